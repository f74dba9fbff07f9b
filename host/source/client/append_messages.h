#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "host/source/client/appender.h"
#include "host/source/proto/streams.pb.h"

namespace catchup {

// The messages of a BatchAppend call, on which appends go out and their answers come back in
// whatever order.

// An append of `events`, whose answer gives `number` back: unique within the call.
event_store::client::streams::BatchAppendReq AppendRequest(std::uint64_t number,
                                                           std::string_view stream,
                                                           const ExpectedStream& expected,
                                                           std::span<const NewEvent* const> events);

// The number of the append that `response` answers.
std::uint64_t AnsweredAppend(const event_store::client::streams::BatchAppendResp& response);

// What it says. A failure names the server at `address` and the stream.
AppendAnswer ReadAppendResponse(const event_store::client::streams::BatchAppendResp& response,
                                std::string_view address, std::string_view stream);

}  // namespace catchup
