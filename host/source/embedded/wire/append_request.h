#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "host/source/embedded/log/record.h"
#include "host/source/embedded/wire/rpc_error.h"
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

// The expected revision that `found`, one of the cases of an append's options, and `number`, the
// value of its case `numbered`, say; no value when none is set or it is beyond any revision.
template <typename Options, typename Case>
std::optional<ExpectedRevision> ReadExpected(Case found, Case numbered, std::uint64_t number) {
  if (found == numbered) {
    if (number == ~std::uint64_t{0}) {
      return ExpectedRevision{ExpectedRevision::kNoStream};  // What a node counts as -1.
    }
    if (number > static_cast<std::uint64_t>(kTombstoneRevision)) {
      return std::nullopt;
    }
    return ExpectedRevision{static_cast<std::int64_t>(number)};
  }
  switch (found) {
    case Options::kNoStream:
      return ExpectedRevision{ExpectedRevision::kNoStream};
    case Options::kAny:
      return ExpectedRevision{ExpectedRevision::kAny};
    case Options::kStreamExists:
      return ExpectedRevision{ExpectedRevision::kStreamExists};
    default:
      return std::nullopt;
  }
}

// Reads it in the shape that Append, Delete and Tombstone share.
template <typename Options>
std::optional<ExpectedRevision> ReadExpectedRevision(const Options& options) {
  return ReadExpected<Options>(options.expected_stream_revision_case(), Options::kRevision,
                               options.revision());
}

}  // namespace catchup::embedded
