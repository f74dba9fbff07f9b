#include <algorithm>
#include <utility>

#include "host/base/uuid.h"
#include "tests/source/embedded/model/requests.h"

namespace catchup::embedded::model {
namespace {

constexpr std::size_t kLongestStream = 60;

const std::vector<std::string>& Streams() {
  static const std::vector<std::string> kStreams{"order-1", "order-2", "cart-1", "cart-2",
                                                 "Order-3"};
  return kStreams;
}

const std::vector<std::string>& Types() {
  static const std::vector<std::string> kTypes{"order-placed", "order-paid", "cart-filled",
                                               "Order-placed"};
  return kTypes;
}

}  // namespace

std::string Requests::Stream() { return OneOf(Streams()); }

std::string Requests::NewId() {
  const std::uint64_t high = random_.Next();
  return FormatUuid(Uuid::FromHalves(high, random_.Next() | 1));
}

std::string Requests::AnyId(const std::string& stream) {
  const std::vector<std::size_t>& events = log_.Events(stream);
  return events.empty() ? NewId() : log_.records()[OneOf(events)].id;
}

template <typename Options>
void Requests::SetExpected(const std::string& stream, Options* options) {
  const std::int64_t last = log_.LastRevision(stream);
  const std::uint64_t kind = random_.Between(0, 99);
  if (kind < 35) {
    options->mutable_any();
  } else if (kind < 50) {
    options->mutable_stream_exists();
  } else if (kind < 65 || (kind < 90 && last < 0)) {
    options->mutable_no_stream();
  } else if (kind < 90) {
    options->set_revision(static_cast<std::uint64_t>(last));
  } else {
    options->set_revision(random_.Between(0, static_cast<std::uint64_t>(last + 3)));
  }
}

wire::AppendReq Requests::Event(const std::string& type, const std::string& data) {
  static const std::vector<std::string> kMetadata{"", "{\"by\":1}", std::string("\x00\xff", 2)};
  wire::AppendReq message;
  auto& event = *message.mutable_proposed_message();
  event.mutable_id()->set_string(NewId());
  (*event.mutable_metadata())["type"] = type;
  (*event.mutable_metadata())["content-type"] =
      random_.Chance(80) ? "application/json" : "application/octet-stream";
  event.set_custom_metadata(OneOf(kMetadata));
  event.set_data(data);
  return message;
}

wire::AppendReq Requests::Event() {
  const std::string type = OneOf(Types());
  return Event(type, std::to_string(random_.Next()));
}

std::vector<wire::AppendReq> Requests::Begin(const std::string& stream) {
  wire::AppendReq message;
  message.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
  SetExpected(stream, message.mutable_options());
  return {message};
}

// Some of the stream's events once more: as they were, with a new one behind or before.
std::vector<wire::AppendReq> Requests::Repeat(const std::string& stream) {
  std::vector<wire::AppendReq> messages = Begin(stream);
  const std::vector<std::size_t>& events = log_.Events(stream);
  const std::size_t first = random_.Between(0, events.size() - 1);
  const std::size_t count = random_.Between(1, std::min<std::size_t>(3, events.size() - first));
  if (random_.Chance(60) && first > 0) {
    messages.front().mutable_options()->set_revision(first - 1);
  } else if (random_.Chance(50) && first == 0) {
    messages.front().mutable_options()->mutable_no_stream();
  }
  if (random_.Chance(10)) {
    messages.push_back(Event());
  }
  for (std::size_t i = first; i < first + count; ++i) {
    messages.push_back(Event());
    messages.back().mutable_proposed_message()->mutable_id()->set_string(
        log_.records()[events[i]].id);
  }
  if (random_.Chance(20)) {
    messages.push_back(Event());
  }
  return messages;
}

std::vector<wire::AppendReq> Requests::Append() {
  const std::string stream = Stream();
  const std::size_t length = log_.Events(stream).size();
  if (length > 0 && (random_.Chance(20) || length > kLongestStream)) {
    return Repeat(stream);
  }
  std::vector<wire::AppendReq> messages = Begin(stream);
  const std::uint64_t count = random_.Chance(12) ? 0 : random_.Between(1, 4);
  for (std::uint64_t i = 0; i < count; ++i) {
    messages.push_back(Event());
    if (random_.Chance(3)) {
      messages.back().mutable_proposed_message()->mutable_id()->set_string(AnyId(Stream()));
    }
  }
  return messages;
}

std::vector<wire::AppendReq> Requests::Links() {
  std::vector<wire::AppendReq> messages = Begin("links-1");
  for (std::uint64_t i = random_.Between(1, 3); i > 0; --i) {
    const std::string target = random_.Chance(10) ? "cart-never" : Stream();
    const auto end = static_cast<std::uint64_t>(log_.LastRevision(target) + 1);
    const std::string data = std::to_string(random_.Between(0, end)) + "@" + target;
    messages.push_back(Event("$>", random_.Chance(10) ? "no link at all" : data));
  }
  return messages;
}

std::vector<wire::AppendReq> Requests::Metadata() {
  const std::string stream = Stream();
  std::vector<wire::AppendReq> messages = Begin("$$" + stream);
  const std::int64_t last = std::max<std::int64_t>(log_.LastRevision(stream), 0);
  const std::string before =
      "\"$tb\":" + std::to_string(random_.Between(0, static_cast<std::uint64_t>(last)));
  const std::string count = "\"$maxCount\":" + std::to_string(random_.Between(1, 5));
  const std::vector<std::string> forms{"{" + before + "}", "{" + count + "}",
                                       "{" + before + "," + count + "}", "{\"note\":1}"};
  messages.push_back(Event("$metadata", OneOf(forms)));
  (*messages.back().mutable_proposed_message()->mutable_metadata())["content-type"] =
      "application/json";
  return messages;
}

std::vector<wire::AppendReq> Requests::BadAppend() {
  std::vector<wire::AppendReq> messages = Begin(Stream());
  messages.push_back(Event());
  auto& event = *messages.back().mutable_proposed_message();
  switch (random_.Between(0, 9)) {
    case 0:
      messages.front().mutable_options()->clear_expected_stream_revision();
      break;
    case 1:
      event.mutable_metadata()->erase("type");
      break;
    case 2:
      event.mutable_metadata()->erase("content-type");
      break;
    case 3:
      (*event.mutable_metadata())["type"] = "";
      break;
    case 4:
      event.clear_id();
      break;
    case 5:
      event.mutable_id()->set_string(FormatUuid(Uuid{}));
      break;
    case 6:
      messages.erase(messages.begin());
      break;
    case 7:
      messages.push_back(messages.front());
      break;
    case 8:
      event.set_data(std::string((1 << 20) + 1, 'x'));
      break;
    default:
      messages.front().mutable_options()->mutable_stream_identifier()->clear_stream_name();
      break;
  }
  return messages;
}

wire::BatchAppendReq Requests::BatchAppend() {
  const std::vector<wire::AppendReq> messages = Append();
  const auto& from = messages.front().options();
  wire::BatchAppendReq request;
  request.mutable_correlation_id()->set_string(NewId());
  request.set_is_final(true);
  auto& options = *request.mutable_options();
  *options.mutable_stream_identifier() = from.stream_identifier();
  if (from.has_any()) {
    options.mutable_any();
  } else if (from.has_no_stream()) {
    options.mutable_no_stream();
  } else if (from.has_stream_exists()) {
    options.mutable_stream_exists();
  } else {
    options.set_stream_position(from.revision());
  }
  for (std::size_t i = 1; i < messages.size(); ++i) {
    const auto& event = messages[i].proposed_message();
    auto& proposed = *request.add_proposed_messages();
    *proposed.mutable_id() = event.id();
    *proposed.mutable_metadata() = event.metadata();
    proposed.set_custom_metadata(event.custom_metadata());
    proposed.set_data(event.data());
  }
  if (random_.Chance(4)) {
    options.mutable_deadline()->set_seconds(-1);
  } else if (random_.Chance(4) && request.proposed_messages_size() > 0) {
    request.mutable_proposed_messages(0)->mutable_metadata()->erase("content-type");
  }
  return request;
}

wire::DeleteReq Requests::Delete() {
  wire::DeleteReq request;
  const std::string stream = random_.Chance(10) ? "cart-never" : Stream();
  request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
  if (!random_.Chance(5)) {
    SetExpected(stream, request.mutable_options());
  }
  return request;
}

wire::TombstoneReq Requests::Tombstone() {
  const wire::DeleteReq like = Delete();
  wire::TombstoneReq request;
  request.ParseFromString(like.SerializeAsString());  // The two have the same fields (2.6).
  return request;
}

std::optional<std::vector<wire::AppendReq>> Requests::ShownBy(const wire::ReadReq& subscription) {
  const auto& options = subscription.options();
  const std::string stream =
      options.has_stream() ? options.stream().stream_identifier().stream_name() : "order-last";
  if (log_.IsTombstoned(stream)) {
    return std::nullopt;
  }
  wire::AppendReq message;
  message.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
  message.mutable_options()->mutable_any();
  return std::vector<wire::AppendReq>{message, Event("order-paid", "last")};
}

}  // namespace catchup::embedded::model
