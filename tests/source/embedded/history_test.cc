// Long random histories of appends, deletes and reads against a model of the rules that is as plain
// as can be: a list of records, looked through from its beginning for every question.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using test::LogClient;
namespace wire = test::wire;

constexpr std::int64_t kTombstone = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kNoStream = -1;
constexpr std::int64_t kAny = -2;
constexpr std::int64_t kExists = -4;

struct Entry {
  std::string stream;
  std::int64_t revision = -1;  // -1: a record without an event.
  std::string id;
  std::string type;
  std::string data;
  std::uint64_t position = 0;
  bool begins_write = true;
};

// What a write answers, as text.
std::string Success(std::int64_t revision, std::uint64_t position) {
  return "revision " + std::to_string(revision) +
         (position == 0 ? ", no position" : " at " + std::to_string(position));
}
std::string Conflict(std::int64_t current) { return "conflict, is " + std::to_string(current); }
const std::string kDeleted = "deleted";

class Model {
 public:
  std::vector<Entry> log;

  std::int64_t Last(const std::string& stream) const {
    std::int64_t last = -1;
    for (const Entry& entry : log) {
      if (entry.stream == stream && entry.revision != kTombstone) {
        last = std::max(last, entry.revision);
      }
    }
    return last;
  }
  bool Tombstoned(const std::string& stream) const {
    return std::any_of(log.begin(), log.end(), [&](const Entry& entry) {
      return entry.revision == kTombstone &&
             (entry.stream == stream || "$$" + entry.stream == stream);
    });
  }
  // The newest metadata, or nothing.
  std::optional<nlohmann::json> Metadata(const std::string& stream) const {
    std::optional<std::string> newest;
    for (const Entry& entry : log) {
      if (entry.stream == "$$" + stream && entry.revision >= 0) {
        newest = entry.data;
      }
    }
    if (!newest || !nlohmann::json::accept(*newest)) {
      return std::nullopt;
    }
    nlohmann::json json = nlohmann::json::parse(*newest);
    return json.is_object() ? std::optional(json) : std::nullopt;
  }
  std::int64_t Member(const std::string& stream, const char* name) const {
    const auto metadata = Metadata(stream);
    return metadata ? metadata->value(name, std::int64_t{0}) : 0;
  }
  bool SoftDeleted(const std::string& stream) const {
    return !stream.starts_with("$$") && Member(stream, "$tb") == kTombstone;
  }
  std::int64_t First(const std::string& stream) const {
    if (stream.starts_with("$$")) {
      return Last(stream);
    }
    const std::int64_t count = Member(stream, "$maxCount");
    return std::max(Member(stream, "$tb"), count > 0 ? Last(stream) - count + 1 : 0);
  }
  const Entry* At(const std::string& stream, std::int64_t revision) const {
    for (const Entry& entry : log) {
      if (entry.stream == stream && entry.revision == revision) {
        return &entry;
      }
    }
    return nullptr;
  }

  std::string Append(const std::string& stream, std::int64_t expected,
                     const std::vector<LogClient::Event>& events) {
    if (const auto decided = Decide(stream, expected, events)) {
      return *decided;
    }
    const std::int64_t last = Last(stream);
    const bool reopens = SoftDeleted(stream);
    const std::string owner = stream.starts_with("$$") ? stream.substr(2) : "";
    const bool reopens_owner = !owner.empty() && SoftDeleted(owner);
    std::int64_t revision = last;
    for (const LogClient::Event& event : events) {
      Write({stream, ++revision, FormatUuid(event.id), event.type, event.data, 0,
             revision == last + 1});
    }
    if (events.empty()) {
      Write({stream, -1, "", "", "", 0, true});
    }
    const std::string answer = Success(revision, log.back().position);
    if (reopens) {
      Reopen(stream, last + 1);
    } else if (reopens_owner) {
      Reopen(owner, Last(owner) + 1);
    }
    return answer;
  }
  std::string Delete(const std::string& stream, std::int64_t expected) {
    if (const auto decided = Decide(stream, expected, {LogClient::Event{}})) {
      return *decided;
    }
    if (Last(stream) < 0) {
      return Conflict(-1);
    }
    Write({"$$" + stream, Last("$$" + stream) + 1, "", "$metadata",
           R"({"$tb":9223372036854775807})", 0, true});
    return "done";
  }
  std::string Tombstone(const std::string& stream, std::int64_t expected) {
    if (const auto decided = Decide(stream, expected, {LogClient::Event{}})) {
      return *decided;
    }
    Write({stream, kTombstone, "", "$streamDeleted", "", 0, true});
    return "done";
  }

 private:
  std::optional<std::string> Decide(const std::string& stream, std::int64_t expected,
                                    const std::vector<LogClient::Event>& events) const {
    const std::int64_t last = Last(stream);
    if (Tombstoned(stream)) {
      return kDeleted;
    }
    if (expected == kExists) {
      if (SoftDeleted(stream)) {
        return kDeleted;
      }
      if (last < 0 && Last("$$" + stream) < 0) {
        return Conflict(last);
      }
    }
    if (expected == kExists || expected == kAny) {
      return KnownIds(stream, last, events);
    }
    if (expected > last) {
      return Conflict(last);
    }
    if (expected == last) {
      return std::nullopt;
    }
    if (events.empty()) {
      return Conflict(last);
    }
    for (std::size_t i = 0; i < events.size(); ++i) {
      const Entry* there = At(stream, expected + 1 + static_cast<std::int64_t>(i));
      if (there == nullptr || there->id != FormatUuid(events[i].id)) {
        const bool counts_as_none = expected == kNoStream && SoftDeleted(stream);
        return counts_as_none ? std::nullopt : std::optional(Conflict(last));
      }
    }
    return Repeated(stream, expected + static_cast<std::int64_t>(events.size()));
  }
  std::optional<std::string> KnownIds(const std::string& stream, std::int64_t last,
                                      const std::vector<LogClient::Event>& events) const {
    std::int64_t revision = -1;
    for (const LogClient::Event& event : events) {
      const Entry* newest = nullptr;
      for (const Entry& entry : log) {
        newest = entry.id == FormatUuid(event.id) ? &entry : newest;
      }
      if (newest == nullptr || newest->stream != stream) {
        return revision < 0 ? std::nullopt : std::optional(Conflict(last));
      }
      revision = newest->revision;
    }
    return revision < 0 ? std::nullopt : std::optional(Repeated(stream, revision));
  }
  std::string Repeated(const std::string& stream, std::int64_t revision) const {
    const bool shown = revision >= First(stream);
    return Success(revision, shown ? At(stream, revision)->position : 0);
  }
  void Reopen(const std::string& stream, std::int64_t first) {
    auto metadata = Metadata(stream);
    if (metadata) {
      (*metadata)["$tb"] = first;
      Write({"$$" + stream, Last("$$" + stream) + 1, "", "$metadata", metadata->dump(), 0, true});
    }
  }
  void Write(Entry entry) {
    entry.position = end_;
    end_ += 90 + entry.stream.size() + entry.type.size() + entry.data.size();
    log.push_back(std::move(entry));
  }

  std::uint64_t end_ = 544;
};

class HistoryTest : public ServedLogTest, public testing::WithParamInterface<unsigned> {
 protected:
  int Pick(int bound) { return static_cast<int>(random_() % static_cast<unsigned>(bound)); }
  std::string PickStream() { return "s" + std::to_string(Pick(4)); }

  template <typename Options>
  static void SetExpected(std::int64_t expected, Options* options) {
    if (expected == kAny) {
      options->mutable_any();
    } else if (expected == kExists) {
      options->mutable_stream_exists();
    } else if (expected == kNoStream) {
      options->mutable_no_stream();
    } else {
      options->set_revision(static_cast<std::uint64_t>(expected));
    }
  }
  std::int64_t PickExpected(const std::string& stream) {
    switch (Pick(6)) {
      case 0:
        return kNoStream;
      case 1:
        return kExists;
      case 2:
        return std::max<std::int64_t>(0, model_.Last(stream));
      case 3:
        return Pick(8);
      default:
        return kAny;
    }
  }

  static std::string Answer(const grpc::Status& status) {
    if (status.error_message().starts_with("Event stream '")) {
      return kDeleted;
    }
    const std::string actual = "Actual version: ";
    const std::size_t at = status.error_message().find(actual);
    return at == std::string::npos
               ? status.error_message()
               : Conflict(std::stoll(status.error_message().substr(at + actual.size())));
  }
  static std::string Answer(const wire::AppendResp& reply) {
    if (reply.has_wrong_expected_version()) {
      const auto& wrong = reply.wrong_expected_version();
      return Conflict(
          wrong.has_current_no_stream() ? -1 : static_cast<std::int64_t>(wrong.current_revision()));
    }
    const auto& success = reply.success();
    EXPECT_EQ(success.has_position(), !success.has_no_position());
    return Success(
        success.has_no_stream() ? -1 : static_cast<std::int64_t>(success.current_revision()),
        success.position().commit_position());
  }

  void StepAppend() {
    std::string stream = PickStream();
    std::vector<LogClient::Event> events;
    if (Pick(4) == 0) {
      static const char* const kMetadata[] = {
          R"({"$tb":3})", R"({"$maxCount":2})", R"({"$maxCount":1,"$tb":2})",
          "{}",           "no object",          R"({"$tb":9223372036854775807})"};
      stream = "$$" + stream;
      events.push_back({"$metadata", kMetadata[Pick(6)]});
    } else {
      for (int i = Pick(4); i > 0; --i) {
        events.push_back({"t", std::to_string(i)});
      }
    }
    // Sometimes ids of before, all, from the middle, or followed by new ones.
    const auto known = calls_.find(stream);
    if (known != calls_.end() && Pick(3) == 0) {
      const auto& call =
          known->second[static_cast<std::size_t>(Pick(static_cast<int>(known->second.size())))];
      std::vector<LogClient::Event> again(call.begin() + Pick(static_cast<int>(call.size())),
                                          call.end());
      if (Pick(3) == 0) {
        again.insert(again.end(), events.begin(), events.end());
      }
      events = std::move(again);
    }
    const std::int64_t expected = PickExpected(stream);
    wire::AppendResp reply;
    const grpc::Status status = client_->Append(
        stream, events, &reply, [&](auto* options) { SetExpected(expected, options); });
    const std::string found = status.ok() ? Answer(reply) : Answer(status);
    ASSERT_EQ(found, model_.Append(stream, expected, events))
        << events.size() << " events to " << stream << ", expected " << expected;
    if (!events.empty() && found.starts_with("revision")) {
      calls_[stream].push_back(events);
    }
  }

  void StepRemove(bool tombstone) {
    const std::string stream = PickStream();
    const std::int64_t expected = PickExpected(stream);
    const auto configure = [&](auto* options) { SetExpected(expected, options); };
    const grpc::Status status = tombstone
                                    ? client_->Remove<wire::TombstoneReq, wire::TombstoneResp>(
                                          stream, configure, &wire::Streams::Stub::Tombstone)
                                    : client_->Remove<wire::DeleteReq, wire::DeleteResp>(
                                          stream, configure, &wire::Streams::Stub::Delete);
    ASSERT_EQ(status.ok() ? "done" : Answer(status),
              tombstone ? model_.Tombstone(stream, expected) : model_.Delete(stream, expected))
        << (tombstone ? "tombstone " : "delete ") << stream << ", expected " << expected;
  }

  std::string Frames(const wire::ReadReq& request) {
    std::vector<wire::ReadResp> frames;
    const grpc::Status status = client_->Read(request, &frames);
    std::string text;
    for (const wire::ReadResp& frame : frames) {
      if (frame.has_event()) {
        text += std::to_string(frame.event().event().commit_position()) + " ";
      } else if (frame.has_stream_not_found()) {
        text += "not found";
      } else if (frame.content_case() == wire::ReadResp::kFirstStreamPosition) {
        text += "first " + std::to_string(frame.first_stream_position()) + " ";
      } else {
        text += "last " + std::to_string(frame.last_stream_position());
      }
    }
    return status.ok() ? text : Answer(status);
  }

  void StepReadStream() {
    const std::string stream = (Pick(4) == 0 ? "$$" : "") + PickStream();
    const bool forwards = Pick(2) == 0;
    const std::int64_t asked = Pick(9);
    const std::int64_t count = 1 + Pick(5);
    wire::ReadReq request = LogClient::ReadStream(stream);
    auto& options = *request.mutable_options();
    options.mutable_stream()->set_revision(static_cast<std::uint64_t>(asked));
    options.set_count(static_cast<std::uint64_t>(count));
    options.mutable_control_option()->set_compatibility(1);
    if (!forwards) {
      options.set_read_direction(wire::ReadReq::Options::Backwards);
    }
    std::string wanted;
    const std::int64_t last = model_.Last(stream);
    const std::int64_t first = model_.First(stream);
    if (model_.Tombstoned(stream)) {
      wanted = kDeleted;
    } else if (last < 0 || model_.SoftDeleted(stream)) {
      wanted = "not found";
    } else {
      std::int64_t sent = 0;
      for (std::int64_t at = forwards ? std::max(asked, first) : std::min(asked, last);
           sent < count && at <= last && at >= first && at >= 0; at += forwards ? 1 : -1, ++sent) {
        wanted += std::to_string(model_.At(stream, at)->position) + " ";
      }
      const std::int64_t next = asked + count <= first ? first : last + 1;
      const bool empty_page = sent == 0 || asked + count <= first;
      if (forwards && empty_page && next != asked) {
        wanted = "first " + std::to_string(next) + " " + wanted;
      }
      wanted += "last " + std::to_string(last);
    }
    ASSERT_EQ(Frames(request), wanted)
        << stream << (forwards ? " forwards" : " backwards") << " from " << asked << ", " << count;
  }

  void StepReadAll() {
    if (model_.log.empty()) {
      return;
    }
    const std::size_t n = static_cast<std::size_t>(Pick(static_cast<int>(model_.log.size())));
    const bool forwards = Pick(2) == 0;
    const bool half = Pick(2) == 0;
    const std::uint64_t commit = model_.log[n].position;
    wire::ReadReq request = LogClient::ReadAll();
    auto& options = *request.mutable_options();
    options.mutable_all()->mutable_position()->set_commit_position(commit);
    options.mutable_all()->mutable_position()->set_prepare_position(half ? 0 : commit);
    if (!forwards) {
      options.set_read_direction(wire::ReadReq::Options::Backwards);
    }
    std::string wanted;
    if (forwards) {
      for (std::size_t i = n; i < model_.log.size(); ++i) {
        wanted += model_.log[i].revision >= 0 ? std::to_string(model_.log[i].position) + " " : "";
      }
    } else {
      for (std::size_t i = half && !model_.log[n].begins_write ? n - 1 : n; i-- > 0;) {
        wanted += model_.log[i].revision >= 0 ? std::to_string(model_.log[i].position) + " " : "";
      }
    }
    ASSERT_EQ(Frames(request), wanted) << "$all " << (forwards ? "forwards" : "backwards")
                                       << " from record " << n << (half ? ", half" : "");
  }

  std::mt19937 random_{GetParam()};
  Model model_;
  std::map<std::string, std::vector<std::vector<LogClient::Event>>> calls_;
};

TEST_P(HistoryTest, FollowsTheRules) {
  for (int step = 0; step < 400 && !HasFatalFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const int kind = Pick(100);
    if (kind < 50) {
      StepAppend();
    } else if (kind < 60) {
      StepRemove(false);
    } else if (kind < 61) {
      StepRemove(true);
    } else if (kind < 85) {
      StepReadStream();
    } else {
      StepReadAll();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HistoryTest, testing::Range(1u, 9u));

}  // namespace
}  // namespace catchup::embedded
