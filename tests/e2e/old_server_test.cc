#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/e2e/harness.h"
#include "tests/source/client/fake_server.h"

// The real host at a server before 24.2. A subscription there goes on behind the first record at or
// after the place it is given, so where none lies at the place, the next event is never sent.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

namespace wire = event_store::client::streams;
using Strings = std::vector<std::string>;

// A node with the events of one stream, "event-0" and so on, at the positions it is given. It
// answers as its version does: a newer one resumes behind the very place and announces places
// between events, one before 24.2 does neither.
class ScriptedNode {
 public:
  explicit ScriptedNode(std::vector<std::uint64_t> events)
      : events_(std::move(events)), server_([this](FakeCall* call) { Serve(call); }) {}

  std::string uri() const { return "kurrentdb://" + server_.address() + "?tls=false"; }

  // From now on it is of this version.
  void Become(const std::string& version) {
    const std::lock_guard lock(mutex_);
    version_ = version;
  }
  void Append(std::uint64_t position) {
    const std::lock_guard lock(mutex_);
    events_.push_back(position);
  }
  // Of a kind that no read shows; told to a subscription from the end.
  void SetLastRecord(std::uint64_t position) {
    const std::lock_guard lock(mutex_);
    last_record_ = position;
  }
  // How often somebody has asked for the first record from a place.
  int probes() {
    const std::lock_guard lock(mutex_);
    return probes_;
  }
  // Where each subscription was asked to resume, "" from the beginning.
  Strings resumed() {
    const std::lock_guard lock(mutex_);
    return resumed_;
  }

 private:
  // The versions that the tests name differ in their first number.
  bool IsOld() const { return std::stoi(version_) < 24; }
  bool SaysCaughtUp() const { return std::stoi(version_) >= 23; }

  void Serve(FakeCall* call) {
    const std::string request = call->Read().value_or("");
    if (call->method().ends_with("/GetSupportedMethods")) {
      event_store::client::server_features::SupportedMethods answer;
      {
        const std::lock_guard lock(mutex_);
        answer.set_event_store_server_version(version_);
      }
      call->Write(answer.SerializeAsString());
      return;
    }
    wire::ReadReq read;
    ASSERT_TRUE(call->method().ends_with("/Read") && read.ParseFromString(request))
        << call->method();
    if (read.options().all().has_end() && read.options().has_subscription()) {
      SubscriptionFromEnd(call);
    } else if (read.options().has_subscription()) {
      Subscription(call, read.options().all());
    } else {
      Count(call, read.options());
    }
  }

  // One record: the newest, or the first at or after a place.
  void Count(FakeCall* call, const wire::ReadReq::Options& options) {
    std::vector<std::string> answer;
    {
      const std::lock_guard lock(mutex_);
      if (options.read_direction() == wire::ReadReq::Options::Backwards) {
        if (!events_.empty()) {
          answer.push_back(Event(events_.size() - 1));
        }
      } else {
        ++probes_;
        const std::size_t first = LowerBound(PlaceOf(options.all()));
        if (first < events_.size()) {
          answer.push_back(Event(first));
        }
      }
    }
    for (const std::string& frame : answer) {
      call->Write(frame);
    }
  }

  void SubscriptionFromEnd(FakeCall* call) {
    wire::ReadResp caught_up;
    caught_up.mutable_caught_up();
    {
      const std::lock_guard lock(mutex_);
      EXPECT_TRUE(SaysCaughtUp()) << "one that says nothing is asked in vain";
      if (last_record_) {
        caught_up.mutable_caught_up()->mutable_position()->set_commit_position(*last_record_);
        caught_up.mutable_caught_up()->mutable_position()->set_prepare_position(*last_record_);
      }
    }
    wire::ReadResp confirmation;
    confirmation.mutable_confirmation()->set_subscription_id("a");
    call->Write(confirmation.SerializeAsString());
    call->Write(caught_up.SerializeAsString());
    call->AwaitCancel();
  }

  void Subscription(FakeCall* call, const wire::ReadReq::Options::AllOptions& all) {
    std::vector<std::string> frames;
    {
      const std::lock_guard lock(mutex_);
      wire::ReadResp confirmation;
      confirmation.mutable_confirmation()->set_subscription_id("a");
      frames.push_back(confirmation.SerializeAsString());
      std::size_t next = 0;
      if (all.has_position()) {
        const Position from = PlaceOf(all);
        next = LowerBound(from);
        if (next < events_.size() && (IsOld() || At(next) == from)) {
          ++next;
        }
        resumed_.push_back(FormatPosition(from));
      } else {
        resumed_.emplace_back();
      }
      for (; next < events_.size(); ++next) {
        frames.push_back(Event(next));
      }
      // What nobody before 24.2 may resume from: a place behind the last event where none lies.
      if (!last_record_) {
        for (const std::uint64_t behind : {10u, 20u}) {
          frames.push_back(Announcement(events_.back() + behind));
        }
      }
      if (SaysCaughtUp()) {
        wire::ReadResp caught_up;
        caught_up.mutable_caught_up();
        frames.push_back(caught_up.SerializeAsString());
      }
    }
    for (const std::string& frame : frames) {
      call->Write(frame);
    }
    call->AwaitCancel();
  }

  Position At(std::size_t event) const { return {events_[event], events_[event]}; }

  std::size_t LowerBound(Position from) const {
    std::size_t index = 0;
    while (index < events_.size() && At(index) < from) {
      ++index;
    }
    return index;
  }

  static Position PlaceOf(const wire::ReadReq::Options::AllOptions& all) {
    return {all.position().commit_position(), all.position().prepare_position()};
  }

  std::string Event(std::size_t index) const {
    wire::ReadResp message;
    auto* event = message.mutable_event()->mutable_event();
    event->mutable_id()->mutable_structured()->set_least_significant_bits(
        static_cast<std::int64_t>(index) + 1);
    event->mutable_stream_identifier()->set_stream_name("s");
    event->set_stream_revision(index);
    event->set_commit_position(events_[index]);
    event->set_prepare_position(events_[index]);
    (*event->mutable_metadata())["type"] = "x";
    (*event->mutable_metadata())["created"] = "17639555575720000";
    (*event->mutable_metadata())["content-type"] = "application/json";
    event->set_data("{}");
    message.mutable_event()->set_commit_position(events_[index]);
    return message.SerializeAsString();
  }

  static std::string Announcement(std::uint64_t commit) {
    wire::ReadResp message;
    message.mutable_checkpoint()->set_commit_position(commit);
    message.mutable_checkpoint()->set_prepare_position(0);
    return message.SerializeAsString();
  }

  std::mutex mutex_;
  std::string version_ = "24.10.14";
  std::vector<std::uint64_t> events_;
  std::optional<std::uint64_t> last_record_;
  int probes_ = 0;
  Strings resumed_;
  FakeServer server_;  // Last: its threads use the rest.
};

class OldServerTest : public testing::TestWithParam<const char*> {
 protected:
  void Configure(const std::string& start) {
    site_.Configure(JsonlGroup("copy", "prefixes = [\"\"]\n" + start), node_.uri());
  }
  void Run() {
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
  }

  Site site_;
  ScriptedNode node_{{100, 200, 300, 400}};
};

TEST_P(OldServerTest, AStartWhereNoEventLiesSkipsNone) {
  node_.Become(GetParam());
  for (const char* start : {"150:150", "150:0"}) {
    std::filesystem::remove_all(site_.file("state"));
    Configure("start = \"" + std::string(start) + "\"");
    Run();
    EXPECT_EQ(Written(site_, "copy"), (Strings{"s@1 x", "s@2 x", "s@3 x"})) << start;
  }
  EXPECT_EQ(node_.probes(), 2);
}

TEST_P(OldServerTest, AStartAtAnEventResumesThere) {
  node_.Become(GetParam());
  Configure("start = \"200:200\"");
  Run();
  EXPECT_EQ(Written(site_, "copy"), (Strings{"s@2 x", "s@3 x"}));
  EXPECT_EQ(node_.resumed(), Strings{"200:200"});
}

// An upgrade that was taken back: the checkpoint stands where the newer node announced a place, and
// the next event lies behind it.
TEST_P(OldServerTest, ACheckpointThatANewerOneAnnouncedSkipsNone) {
  Configure("");
  Run();
  const Strings first{"s@0 x", "s@1 x", "s@2 x", "s@3 x"};
  ASSERT_EQ(Written(site_, "copy"), first);
  node_.Append(500);
  node_.Append(600);
  node_.Become(GetParam());
  Run();
  Strings all = first;
  all.insert(all.end(), {"s@4 x", "s@5 x"});
  EXPECT_EQ(Written(site_, "copy"), all) << "each once and in order";
  EXPECT_EQ(node_.resumed(), (Strings{"", "400:400"}));
  EXPECT_EQ(node_.probes(), 2) << "at the checkpoint, and at the last event";
  // What it announces itself becomes no checkpoint.
  node_.Append(700);
  Run();
  all.emplace_back("s@6 x");
  EXPECT_EQ(Written(site_, "copy"), all);
  EXPECT_EQ(node_.resumed().back(), "600:600");
}

TEST_P(OldServerTest, AStartBeyondTheEndOfItsLogFailsTheGroup) {
  node_.Become(GetParam());
  Configure("start = \"9999999:9999999\"");
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1) << run.err;
  const std::string reason = run.Log().Last("Group ended", "copy", "reason");
  EXPECT_THAT(reason, HasSubstr("ends at 400:400, before 9999999:9999999"));
  EXPECT_EQ(node_.resumed(), Strings{}) << "nothing is asked for from there";
}

// A log may end with records that no read shows, and a checkpoint may stand at one of them.
TEST(NodeTest, APlaceAtARecordThatNoReadShowsLiesInTheLog) {
  Site site;
  ScriptedNode node{{100, 200}};
  node.SetLastRecord(250);
  site.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"250:250\""), node.uri());
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(node.resumed(), Strings{"250:250"});

  node.SetLastRecord(240);
  const Finished shorter = site.RunUntilCaughtUp();
  EXPECT_EQ(shorter.exit, 1) << shorter.err;
  const std::string reason = shorter.Log().Last("Group ended", "copy", "reason");
  EXPECT_THAT(reason, HasSubstr("ends at 240:240, before 250:250"));
}

INSTANTIATE_TEST_SUITE_P(Versions, OldServerTest, testing::Values("21.10.11", "22.10.5", "23.10.7"),
                         [](const auto& version) {
                           std::string name = version.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return "Version" + name;
                         });

}  // namespace
}  // namespace catchup::e2e
