#include <limits>
#include <optional>

#include "tests/source/embedded/model/requests.h"

namespace catchup::embedded::model {
namespace {

using Options = wire::ReadReq::Options;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kFar = 100'000'000;

// Either commit below prepare, or one of them between 2^63 and 2^64-2 (3.1).
void SetImpossible(sim::Random* random, Options::Position* position) {
  const bool is_large = random->Chance(50);
  position->set_commit_position(is_large ? random->Between(std::uint64_t{1} << 63, kMax - 1)
                                         : random->Between(1, 1000));
  position->set_prepare_position(is_large ? 0 : position->commit_position() + 1);
}

}  // namespace

wire::ReadReq Requests::BeginRead() {
  wire::ReadReq request;
  auto& options = *request.mutable_options();
  if (random_.Chance(50)) {
    options.mutable_uuid_option()->mutable_string();
  } else {
    options.mutable_uuid_option()->mutable_structured();
  }
  options.set_resolve_links(random_.Chance(50));
  options.mutable_no_filter();
  return request;
}

wire::ReadReq Requests::ReadStream() {
  static const std::vector<std::string> kOthers{"links-1", "cart-never", "$$order-1", "$$cart-1"};
  wire::ReadReq request = BeginRead();
  auto& options = *request.mutable_options();
  const std::string stream = random_.Chance(20) ? OneOf(kOthers) : Stream();
  options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
  const std::uint64_t end = static_cast<std::uint64_t>(log_.LastRevision(stream) + 1);
  const bool backwards = random_.Chance(50);
  options.set_read_direction(backwards ? Options::Backwards : Options::Forwards);
  if (random_.Chance(40)) {
    options.mutable_stream()->set_revision(random_.Between(0, end + 2));
  } else if (backwards ? random_.Chance(80) : random_.Chance(5)) {
    options.mutable_stream()->mutable_end();
  } else {
    options.mutable_stream()->mutable_start();
  }
  options.set_count(random_.Chance(50) ? random_.Between(1, 5) : 100);
  if (random_.Chance(2)) {
    options.set_count(0);
  }
  if (random_.Chance(50)) {
    options.mutable_control_option()->set_compatibility(
        static_cast<std::uint32_t>(random_.Between(0, 2)));
  }
  return request;
}

void Requests::SetFilter(Options* options) {
  auto& filter = *options->mutable_filter();
  auto& on_stream = *filter.mutable_stream_identifier();
  const std::uint64_t kind = random_.Between(0, 13);
  if (kind < 5) {
    static const std::vector<std::vector<std::string>> kPrefixes{
        {"order-"}, {"cart-", "links-"}, {"Order"}, {"$$", "cart-2"}, {"order-1", "order-l"}};
    on_stream.mutable_prefix()->Add(kPrefixes[kind].begin(), kPrefixes[kind].end());
    return;
  }
  if (kind == 5) {
    on_stream.set_regex("-[13]$");
    return;
  }
  auto& on_type = *filter.mutable_event_type();
  static const std::vector<std::vector<std::string>> kPrefixes{
      {"order-p"}, {"order-paid", "cart-"}, {"$"}, {""}, {}};
  if (kind < 11) {
    on_type.mutable_prefix()->Add(kPrefixes[kind - 6].begin(), kPrefixes[kind - 6].end());
    return;
  }
  static const std::vector<std::string> kRegexes{"^[^\\$].*", "paid", "^order-(placed|paid)$"};
  on_type.set_regex(kRegexes[kind - 11]);
  on_type.add_prefix("cart-");  // Has no effect beside a regex (3.7).
}

void Requests::SetWindow(Options* options) {
  static const std::vector<std::uint32_t> kWindows{1, 2, 3, 5, 8, 17, 31, 32, 33, 64, 1000};
  auto& filter = *options->mutable_filter();
  if (random_.Chance(25)) {
    filter.mutable_count();
  } else {
    filter.set_max(OneOf(kWindows));
  }
  filter.set_checkpointintervalmultiplier(static_cast<std::uint32_t>(random_.Between(1, 4)));
}

void Requests::SetPosition(Options::AllOptions* from) {
  auto& position = *from->mutable_position();
  const std::vector<Record>& records = log_.records();
  std::vector<std::size_t> seen;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].position) {
      seen.push_back(i);
    }
  }
  const std::uint64_t kind = random_.Between(0, 99);
  if (seen.empty() || kind < 4) {
    position.set_commit_position(kind < 2 ? 0 : kMax);
    position.set_prepare_position(kind < 2 ? 0 : kMax);
    return;
  }
  // None where all that was appended was no events.
  const std::optional<std::size_t> shown = log_.LastVisible();
  std::size_t record = random_.Chance(30) ? seen.back() : OneOf(seen);
  if (random_.Chance(15) && shown && records[*shown].position) {
    record = *shown;
  }
  std::uint64_t commit = *records[record].position;
  if (kind < 10 && shown && record < *shown) {
    ++commit;
  } else if (kind < 14) {
    commit = *records[seen.back()].position + kFar;
  }
  position.set_commit_position(commit);
  position.set_prepare_position(random_.Chance(40) ? 0 : commit);
}

wire::ReadReq Requests::ReadAll() {
  wire::ReadReq request = BeginRead();
  auto& options = *request.mutable_options();
  const bool backwards = random_.Chance(50);
  options.set_read_direction(backwards ? Options::Backwards : Options::Forwards);
  if (random_.Chance(50)) {
    SetPosition(options.mutable_all());
  } else if (backwards ? random_.Chance(90) : random_.Chance(10)) {
    options.mutable_all()->mutable_end();
  } else {
    options.mutable_all()->mutable_start();
  }
  options.set_count(random_.Chance(50) ? random_.Between(1, 8) : 1000);
  if (random_.Chance(50)) {
    SetFilter(&options);
    SetWindow(&options);
  }
  return request;
}

wire::ReadReq Requests::SubscribeToStream() {
  wire::ReadReq request = BeginRead();
  auto& options = *request.mutable_options();
  options.mutable_subscription();
  const std::string stream = random_.Chance(10) ? "links-1" : Stream();
  options.mutable_stream()->mutable_stream_identifier()->set_stream_name(stream);
  const std::uint64_t end = static_cast<std::uint64_t>(log_.LastRevision(stream) + 1);
  if (random_.Chance(40)) {
    options.mutable_stream()->set_revision(random_.Between(0, end + 1));
  } else if (random_.Chance(40)) {
    options.mutable_stream()->mutable_end();
  } else {
    options.mutable_stream()->mutable_start();
  }
  return request;
}

wire::ReadReq Requests::SubscribeToAll() {
  wire::ReadReq request = BeginRead();
  auto& options = *request.mutable_options();
  options.mutable_subscription();
  if (random_.Chance(50)) {
    SetPosition(options.mutable_all());
  } else if (random_.Chance(40)) {
    options.mutable_all()->mutable_end();
  } else {
    options.mutable_all()->mutable_start();
  }
  if (random_.Chance(80)) {
    SetFilter(&options);
    SetWindow(&options);
  }
  return request;
}

wire::ReadReq Requests::BadRead() {
  wire::ReadReq request = SubscribeToAll();
  auto& options = *request.mutable_options();
  options.mutable_all()->mutable_start();
  SetFilter(&options);
  options.mutable_filter()->mutable_count();
  options.mutable_filter()->set_checkpointintervalmultiplier(1);
  switch (random_.Between(0, 11)) {
    case 0:
      options.clear_uuid_option();
      break;
    case 1:
      options.mutable_filter()->clear_window();
      break;
    case 2:
      options.mutable_filter()->clear_filter();
      break;
    case 3:
      options.mutable_filter()->set_checkpointintervalmultiplier(0);
      break;
    case 4:
      options.mutable_filter()->mutable_event_type()->set_regex("(");
      break;
    case 5:
      options.mutable_all()->clear_all_option();
      break;
    case 6:
      options.clear_filter_option();
      break;
    case 7:
      options.clear_count_option();
      break;
    case 8:
      options.clear_stream_option();
      break;
    case 9:
      options.set_read_direction(Options::Backwards);
      break;
    case 10:
      options.mutable_stream()->mutable_stream_identifier()->set_stream_name("order-1");
      options.mutable_stream()->mutable_start();
      break;
    default:
      SetImpossible(&random_, options.mutable_all()->mutable_position());
      break;
  }
  return request;
}

}  // namespace catchup::embedded::model
