#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/daemon/letters/letter_sinks.h"
#include "host/engine/engine.h"

namespace catchup {

// A group's letters now.
struct LetterCounts {
  std::uint64_t all = 0;  // Followers apart.
  std::uint64_t healing = 0;
  std::uint64_t followers = 0;  // Events that wait behind them.
};

// A group at a glance.
struct GroupStatus {
  std::string name;
  GroupState state = GroupState::kIdle;
  std::string reason;
  std::uint64_t processed = 0;  // Events handled in this run.
  std::uint64_t skipped = 0;
  LetterCounts letters;
  bool breaker_open = false;  // Or half-open.
  std::uint64_t restarts = 0;
  double rate = 0;  // Events a second since the last glance.
  std::optional<Position> position;
  std::optional<Position> head;
  // When the next try is due that the reason speaks of.
  std::optional<std::chrono::steady_clock::time_point> retry_at;
  // While letters are called before the group ends, being caught up: when the next may be.
  std::optional<std::chrono::steady_clock::time_point> heals_at;
  std::uint64_t calls_before_end = 0;  // How many of these have failed.
  LaneNumber lanes = 1;
  LaneNumber lanes_running = 0;  // Whose runner takes events.
  std::vector<SinkStatus> sinks;
  std::uint64_t invalid_traces = 0;  // Of letters; see LetterSide.
  bool finished = false;
  bool held = false;  // By a command, or until one comes: it keeps the host up.
};

}  // namespace catchup
