#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace catchup::embedded {

// The gRPC status codes that this server answers with.
enum class RpcCode : std::uint8_t {
  kUnknown = 2,
  kInvalidArgument = 3,
  kNotFound = 5,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
};

// How a call fails: the status and the trailers that say more. Texts and trailers are a node's own,
// word for word, since clients branch on them.
struct RpcError {
  RpcCode code = RpcCode::kUnknown;
  std::string message;
  std::vector<std::pair<std::string, std::string>> trailers;

  // What a node answers where its own code threw something it had not foreseen.
  static RpcError Unhandled() {
    return {RpcCode::kUnknown, "Exception was thrown by handler.", {}};
  }
  // The end of a call that has one request, before that came.
  static RpcError Incomplete() { return {RpcCode::kInternal, "Incomplete message.", {}}; }
  static RpcError Invalid(std::string message) {
    return {RpcCode::kInvalidArgument, std::move(message), {}};
  }
  // `type` is the part of a node's type name behind "EventStore.Client.Streams.".
  static RpcError UnsetOneof(std::string_view type) {
    return Invalid("'None' is not a valid EventStore.Client.Streams." + std::string(type));
  }
  static RpcError StreamDeleted(const std::string& stream) {
    return {RpcCode::kFailedPrecondition,
            "Event stream '" + stream + "' is deleted.",
            {{"exception", "stream-deleted"}, {"stream-name", stream}}};
  }
  static RpcError AppendTooLarge(std::uint64_t limit) {
    const std::string bytes = std::to_string(limit);
    return {RpcCode::kInvalidArgument,
            "Maximum Append Size of " + bytes + " Exceeded.",
            {{"exception", "maximum-append-size-exceeded"}, {"maximum-append-size", bytes}}};
  }
  static RpcError WrongVersion(const std::string& stream, std::int64_t expected,
                               std::int64_t actual) {
    const std::string wanted = std::to_string(expected);
    const std::string found = std::to_string(actual);
    return {RpcCode::kFailedPrecondition,
            "Delete failed due to WrongExpectedVersion. Stream: " + stream +
                ", Expected version: " + wanted + ", Actual version: " + found,
            {{"exception", "wrong-expected-version"},
             {"stream-name", stream},
             {"expected-version", wanted},
             {"actual-version", found}}};
  }
  // The log's own file could not be read or written: the dev server's trouble, not a node's.
  static RpcError Storage(std::string message) {
    return {RpcCode::kUnavailable, std::move(message), {}};
  }
};

}  // namespace catchup::embedded
