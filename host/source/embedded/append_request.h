#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "host/source/embedded/record.h"
#include "host/source/embedded/rpc_error.h"
#include "host/source/proto/shared.pb.h"
#include "host/source/proto/streams.pb.h"

namespace catchup::embedded {

// What a UUID message says; no value for one that is absent, malformed or all zero.
std::optional<Uuid> ReadUuid(const event_store::client::UUID& uuid);

// Takes an event out of an append's message, checking it as a node does.
std::variant<NewEvent, RpcError> TakeEvent(
    event_store::client::streams::AppendReq::ProposedMessage* message);
std::variant<NewEvent, RpcError> TakeEvent(
    event_store::client::streams::BatchAppendReq::ProposedMessage* message);

// The bytes that an event counts for against the limit of one append: payload, and its type in
// UTF-16.
std::uint64_t AppendBytes(const NewEvent& event);

// The expected revision of options in the shape that Append, Delete and Tombstone share; no value
// when it is unset or beyond any revision.
template <typename Options>
std::optional<ExpectedRevision> ReadExpected(const Options& options) {
  switch (options.expected_stream_revision_case()) {
    case Options::kRevision:
      if (options.revision() >= static_cast<std::uint64_t>(kTombstoneRevision)) {
        return std::nullopt;
      }
      return ExpectedRevision{static_cast<std::int64_t>(options.revision())};
    case Options::kNoStream:
      return ExpectedRevision{ExpectedRevision::kNoStream};
    case Options::kAny:
      return ExpectedRevision{ExpectedRevision::kAny};
    case Options::kStreamExists:
      return ExpectedRevision{ExpectedRevision::kStreamExists};
    case Options::EXPECTED_STREAM_REVISION_NOT_SET:
      break;
  }
  return std::nullopt;
}

}  // namespace catchup::embedded
