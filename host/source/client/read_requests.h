#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <optional>
#include <string_view>

#include "host/base/status.h"
#include "host/source/source.h"

namespace catchup {

// Path of the call that all reads and subscriptions make, and of the question for the version.
inline constexpr char kReadMethod[] = "/event_store.client.streams.Streams/Read";
inline constexpr char kVersionMethod[] =
    "/event_store.client.server_features.ServerFeatures/GetSupportedMethods";

// The request of a filtered subscription to the whole log, ready to send.
//
// kInvalid for a position that the server would not take as one: it answers some of them with an
// error that says nothing, and takes one of them for the end of the log.
Result<grpc::ByteBuffer> SubscriptionRequest(const SubscribeOptions& options);

// The request for the newest event of the log.
grpc::ByteBuffer HeadRequest();

// The request for the first record at or after `from`, of any type. Invalid like that of a
// subscription.
Result<grpc::ByteBuffer> FirstRequest(Position from);

// The request for the event of one stream at `revision`, or else the next one, links unresolved,
// and for where the stream ends.
grpc::ByteBuffer RevisionRequest(std::string_view stream, std::uint64_t revision);

// The request for the first event behind `behind`, null being the beginning of the log, that a
// subscription with this filter would bring; the event at that very place may come before it.
// Invalid like that of a subscription.
Result<grpc::ByteBuffer> NextRequest(std::optional<Position> behind, const EventFilter& filter);

// The request for the events of one stream, newest first, links unresolved.
grpc::ByteBuffer StreamEndRequest(std::string_view stream);

// A request without content.
grpc::ByteBuffer EmptyRequest();

}  // namespace catchup
