#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/position.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"

namespace catchup::e2e {

namespace wire = event_store::client::streams;

// A node with the events of one stream, "event-0" and so on, at the positions it is given. It
// answers as its version does: a newer one resumes behind the very place and announces places
// between events, one before 24.2 does neither.
class ScriptedNode {
 public:
  explicit ScriptedNode(std::vector<std::uint64_t> events,
                        const std::shared_ptr<grpc::ServerCredentials>& credentials =
                            grpc::InsecureServerCredentials())
      : events_(std::move(events)), server_([this](FakeCall* call) { Serve(call); }, credentials) {}

  // "127.0.0.1:PORT".
  std::string address() const { return server_.address(); }
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
  // From now on every read ends with this, and nothing else.
  void EndReads(grpc::Status status, std::map<std::string, std::string> trailers = {}) {
    const std::lock_guard lock(mutex_);
    end_ = std::pair(std::move(status), std::move(trailers));
  }
  // One subscription more, after those that were so given before, says these frames and then stays
  // open, whatever place it asks for:
  //
  //   "event N", "caught up", "checkpoint COMMIT:PREPARE", "end" (the call, in good order)
  void Say(std::vector<std::string> frames) {
    const std::lock_guard lock(mutex_);
    said_.push_back(std::move(frames));
  }
  // How often somebody has asked for the first record from a place.
  int probes() {
    const std::lock_guard lock(mutex_);
    return probes_;
  }
  // Where each subscription was asked to resume, "" from the beginning.
  std::vector<std::string> resumed() {
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
    if (EndedRead(call)) {
      return;
    }
    if (read.options().all().has_end() && read.options().has_subscription()) {
      SubscriptionFromEnd(call);
    } else if (read.options().has_subscription()) {
      Subscription(call, read.options().all());
    } else {
      Count(call, read.options());
    }
  }

  bool EndedRead(FakeCall* call) {
    const std::lock_guard lock(mutex_);
    if (!end_) {
      return false;
    }
    for (const auto& [name, value] : end_->second) {
      call->AddTrailer(name, value);
    }
    call->Finish(end_->first);
    return true;
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
    if (SaidSubscription(call, all)) {
      return;
    }
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

  // By the next list of Say's; false if there is none.
  bool SaidSubscription(FakeCall* call, const wire::ReadReq::Options::AllOptions& all) {
    std::vector<std::string> frames;
    {
      const std::lock_guard lock(mutex_);
      if (said_.empty()) {
        return false;
      }
      frames = std::move(said_.front());
      said_.pop_front();
      resumed_.push_back(all.has_position() ? FormatPosition(PlaceOf(all)) : "");
    }
    wire::ReadResp confirmation;
    confirmation.mutable_confirmation()->set_subscription_id("a");
    call->Write(confirmation.SerializeAsString());
    for (const std::string& frame : frames) {
      if (frame == "end") {
        return true;
      }
      call->Write(Frame(frame));
    }
    call->AwaitCancel();
    return true;
  }

  std::string Frame(const std::string& words) {
    const std::lock_guard lock(mutex_);
    if (words.starts_with("event ")) {
      return Event(std::stoul(words.substr(6)));
    }
    wire::ReadResp message;
    if (words == "caught up") {
      message.mutable_caught_up();
    } else {
      const auto place = ParsePosition(words.substr(words.find(' ') + 1));
      message.mutable_checkpoint()->set_commit_position(place->commit);
      message.mutable_checkpoint()->set_prepare_position(place->prepare);
    }
    return message.SerializeAsString();
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
  std::optional<std::pair<grpc::Status, std::map<std::string, std::string>>> end_;
  std::deque<std::vector<std::string>> said_;
  int probes_ = 0;
  std::vector<std::string> resumed_;
  FakeServer server_;  // Last: its threads use the rest.
};

}  // namespace catchup::e2e
