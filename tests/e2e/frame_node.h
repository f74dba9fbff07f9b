#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "host/base/position.h"
#include "host/source/proto/server_features.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/client/fake_server.h"

namespace catchup::e2e {

namespace wire = event_store::client::streams;

// Frames of a subscription, as bytes. An ordinary record of stream s, type x, data {}; `change`
// makes it an odd one.
inline std::string Record(
    std::uint64_t position, std::uint64_t revision,
    const std::function<void(wire::ReadResp::ReadEvent::RecordedEvent*)>& change =
        [](wire::ReadResp::ReadEvent::RecordedEvent*) {}) {
  wire::ReadResp frame;
  auto* event = frame.mutable_event()->mutable_event();
  event->mutable_id()->mutable_structured()->set_least_significant_bits(
      static_cast<std::int64_t>(position));
  event->mutable_stream_identifier()->set_stream_name("s");
  event->set_stream_revision(revision);
  event->set_commit_position(position);
  event->set_prepare_position(position);
  (*event->mutable_metadata())["type"] = "x";
  (*event->mutable_metadata())["created"] = "17639555575720000";
  (*event->mutable_metadata())["content-type"] = "application/json";
  event->set_data("{}");
  change(event);
  frame.mutable_event()->set_commit_position(position);
  return frame.SerializeAsString();
}

inline std::string Checkpoint(Position position) {
  wire::ReadResp frame;
  frame.mutable_checkpoint()->set_commit_position(position.commit);
  frame.mutable_checkpoint()->set_prepare_position(position.prepare);
  return frame.SerializeAsString();
}

inline std::string CaughtUp() {
  wire::ReadResp frame;
  frame.mutable_caught_up();
  return frame.SerializeAsString();
}

// A node of version 24.10 whose subscriptions bring what a script sends; then they stay open. A
// read forwards finds the record at its place, one backwards the last one of the log.
class FrameNode {
 public:
  // False: the call is over.
  using Send = std::function<bool(const std::string& frame)>;
  // `from`: where the subscription was asked to begin, 0:0 for the beginning of the log. On the
  // call's thread.
  using Script = std::function<void(Position from, const Send& send)>;

  FrameNode(std::uint64_t last, Script script) : last_(last), script_(std::move(script)) {}

  std::string uri() const { return "kurrentdb://" + server_.address() + "?tls=false"; }
  // Where each subscription was asked to begin.
  std::vector<std::string> begun() {
    const std::lock_guard lock(mutex_);
    return begun_;
  }

 private:
  void Serve(FakeCall* call) {
    const std::string request = call->Read().value_or("");
    if (call->method().ends_with("/GetSupportedMethods")) {
      event_store::client::server_features::SupportedMethods answer;
      answer.set_event_store_server_version("24.10.14");
      call->Write(answer.SerializeAsString());
      return;
    }
    wire::ReadReq read;
    ASSERT_TRUE(read.ParseFromString(request));
    const auto& place = read.options().all().position();
    const Position from{place.commit_position(), place.prepare_position()};
    if (!read.options().has_subscription()) {
      const bool forwards = read.options().read_direction() == wire::ReadReq::Options::Forwards;
      call->Write(Record(forwards ? from.commit : last_, 0));
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      begun_.push_back(FormatPosition(from));
    }
    wire::ReadResp confirmation;
    confirmation.mutable_confirmation()->set_subscription_id("a");
    call->Write(confirmation.SerializeAsString());
    script_(from, [call](const std::string& frame) { return call->Write(frame); });
    call->AwaitCancel();
  }

  const std::uint64_t last_;
  const Script script_;
  std::mutex mutex_;
  std::vector<std::string> begun_;
  FakeServer server_{[this](FakeCall* call) { Serve(call); }};  // Last: its threads use the rest.
};

}  // namespace catchup::e2e
