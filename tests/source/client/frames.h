#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/source/client/connection_options.h"
#include "host/source/proto/streams.pb.h"
#include "host/source/source.h"

// What the tests of the source have their servers say, and how they subscribe to them.
namespace catchup {

inline std::string Confirmation() {
  event_store::client::streams::ReadResp message;
  message.mutable_confirmation()->set_subscription_id("8c9a4d5e-6f70-4a1b-9c2d-3e4f5a6b7c8d");
  return message.SerializeAsString();
}

inline std::string Event(std::uint64_t position, const std::string& data = "{}") {
  event_store::client::streams::ReadResp message;
  auto* event = message.mutable_event()->mutable_event();
  event->mutable_id()->mutable_structured()->set_least_significant_bits(7);
  event->mutable_stream_identifier()->set_stream_name("order-1");
  event->set_stream_revision(3);
  event->set_commit_position(position);
  event->set_prepare_position(position);
  (*event->mutable_metadata())["type"] = "order-placed";
  (*event->mutable_metadata())["created"] = "17639555575720000";
  (*event->mutable_metadata())["content-type"] = "application/json";
  event->set_data(data);
  event->set_custom_metadata("meta");
  message.mutable_event()->set_commit_position(position);
  return message.SerializeAsString();
}

inline std::string Checkpoint(std::uint64_t commit, std::uint64_t prepare) {
  event_store::client::streams::ReadResp message;
  message.mutable_checkpoint()->set_commit_position(commit);
  message.mutable_checkpoint()->set_prepare_position(prepare);
  return message.SerializeAsString();
}

inline std::string CaughtUp(std::optional<Position> position) {
  event_store::client::streams::ReadResp message;
  message.mutable_caught_up();
  if (position.has_value()) {
    message.mutable_caught_up()->mutable_position()->set_commit_position(position->commit);
    message.mutable_caught_up()->mutable_position()->set_prepare_position(position->prepare);
  }
  return message.SerializeAsString();
}

inline ConnectionOptions To(const std::string& address) {
  ConnectionOptions options;
  options.address = address;
  return options;
}

inline SubscribeOptions Everything() {
  SubscribeOptions options;
  options.filter.prefixes = {""};
  return options;
}

}  // namespace catchup
