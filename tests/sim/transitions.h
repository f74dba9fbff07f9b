#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>

#include "host/engine/group_state.h"

namespace catchup::sim {

using Cause = Transitions::Cause;

// Which transitions of the engine's table were seen, each by whose word.
class TransitionsSeen {
 public:
  // False: it is not in the table.
  bool Saw(GroupState from, Cause cause, GroupState to) {
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      const Transition& known = Transitions::kTable[i];
      if (known.from == from && known.to == to && (known.causes & cause) != 0) {
        seen_[i] = static_cast<std::uint8_t>(seen_[i] | cause);
        return true;
      }
    }
    return false;
  }

  void Add(const TransitionsSeen& other) {
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      seen_[i] = static_cast<std::uint8_t>(seen_[i] | other.seen_[i]);
    }
  }

  // Those of the table that were not seen; empty when all were.
  std::string Missing() const {
    std::string missing;
    for (std::size_t i = 0; i < seen_.size(); ++i) {
      const Transition& known = Transitions::kTable[i];
      if (seen_[i] != known.causes) {
        missing += std::string(GroupStateName(known.from)) + " to " +
                   std::string(GroupStateName(known.to)) + " by " +
                   std::to_string(known.causes & ~seen_[i]) + "; ";
      }
    }
    return missing;
  }

 private:
  std::array<std::uint8_t, std::size(Transitions::kTable)> seen_{};
};

}  // namespace catchup::sim
