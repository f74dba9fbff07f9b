#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "host/ring/host_end.h"
#include "host/ring/runner_end.h"

namespace catchup {

// Both ends of fresh rings in one process. Over the host's descriptors the runner's end has
// mappings of its own, read-only where a real runner's are; over the host's mappings a thread
// sanitizer sees that both sides touch the same bytes.
struct RingPair {
  std::unique_ptr<HostEnd> host;
  std::unique_ptr<RunnerEnd> runner;
  // What the runner signs with: for a runner that says with right check bits what cannot be.
  RingSeals seals;

  explicit RingPair(std::unique_ptr<HostEnd> end)
      : host(std::move(end)),
        seals(reinterpret_cast<const EventRingHeader*>(host->mappings().events)->key) {}

  static RingPair OverDescriptors() {
    RingPair pair(std::move(HostEnd::Create("test")).value());
    const HostEnd::Descriptors fds = pair.host->descriptors();
    pair.runner = std::move(RunnerEnd::Open(fds.event_ring, fds.outcome_ring, fds.large_region,
                                            fds.runner_wake, fds.host_wake))
                      .value();
    return pair;
  }

  static RingPair OverMappings() {
    RingPair pair(std::move(HostEnd::Create("test")).value());
    const HostEnd::Descriptors fds = pair.host->descriptors();
    const HostEnd::Mappings mapped = pair.host->mappings();
    pair.runner = RunnerEnd::OverMappings(mapped.events, mapped.outcomes, mapped.large,
                                          fds.runner_wake, fds.host_wake);
    return pair;
  }

  // What a misbehaving runner scribbles into.
  OutcomeRingHeader& outcomes() const {
    return *reinterpret_cast<OutcomeRingHeader*>(host->mappings().outcomes);
  }
  std::byte* outcome_bytes() const { return host->mappings().outcomes + kRingHeaderBytes; }
};

inline EventView EventWithData(std::string_view data) {
  EventView event;
  event.stream = "order-1";
  event.type = "order-placed";
  event.data = data;
  return event;
}

// The payload of a record of the ring.
inline std::string_view DataOf(const RecordView& record) {
  const EventRecord& body = *record.body;
  return {record.bytes + body.stream_size + body.type_size + body.metadata_size, body.data_size};
}

// Waits for something another thread or process is about to do. A test that fails waits this long.
template <typename Condition>
bool Eventually(Condition condition) {
  constexpr auto kLongest = std::chrono::seconds(60);
  const auto deadline = std::chrono::steady_clock::now() + kLongest;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

}  // namespace catchup
