#pragma once

#include "host/source/proto/streams.pb.h"

namespace catchup::bench {

enum class LoopStart { kBeginning, kEnd };

// The filtered subscription that the host makes, for a loop of our own: search window 1024,
// multiplier 1, events of one type prefix.
inline event_store::client::streams::ReadReq LoopRequest(LoopStart start, const char* prefix) {
  event_store::client::streams::ReadReq request;
  auto* options = request.mutable_options();
  if (start == LoopStart::kBeginning) {
    options->mutable_all()->mutable_start();
  } else {
    options->mutable_all()->mutable_end();
  }
  options->mutable_subscription();
  options->mutable_uuid_option()->mutable_structured();
  options->mutable_filter()->set_max(1024);
  options->mutable_filter()->set_checkpointintervalmultiplier(1);
  options->mutable_filter()->mutable_event_type()->add_prefix(prefix);
  return request;
}

}  // namespace catchup::bench
