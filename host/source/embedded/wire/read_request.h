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
  Position position;          // For kAt in `$all`.
  std::int64_t revision = 0;  // For kAt in a stream.
  std::uint64_t count = 0;    // For a read that ends.
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
