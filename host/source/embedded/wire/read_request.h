#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "host/base/position.h"
#include "host/source/embedded/wire/frame_encoder.h"
#include "host/source/embedded/wire/record_filter.h"
#include "host/source/embedded/wire/rpc_error.h"

namespace event_store::client::streams {
class ReadReq;
}

namespace catchup::embedded {

// What a Read call asks for, checked.
struct ReadPlan {
  enum class From { kStart, kEnd, kAt };

  bool all = false;  // `$all`; else `stream`.
  std::string stream;
  bool subscription = false;
  bool forwards = true;
  bool resolve_links = false;
  From from = From::kStart;
  Position position;          // Where kAt, of `$all`.
  std::int64_t revision = 0;  // Where kAt, of a stream.
  std::uint64_t count = 0;    // Of a read that ends.
  FrameEncoder encoder;
  std::uint32_t compatibility = 0;

  bool filtered = false;
  RecordFilter filter;
  std::uint32_t window = 0;    // Events considered in one page.
  std::uint64_t interval = 0;  // Events considered between two checkpoints.
};

// Checks a request as a node does, in its order and with its words.
std::variant<ReadPlan, RpcError> PlanRead(const event_store::client::streams::ReadReq& request);

}  // namespace catchup::embedded
