#pragma once

#include <optional>
#include <string>
#include <variant>

#include "host/engine/input.h"

namespace catchup {

// What was heard of a runner and is to be judged, in the words of whoever saw it.

// A call that lasted too long.
struct Hang {
  Sequence sequence = 0;  // 0: a call without an event.
  std::string call;
  std::string limit;
};

// It did or reported what cannot be.
struct ContractBreach {
  std::string text;
};

// It is gone.
struct RunnerGone {
  ExitClass exit_class{};
  Sequence charged = 0;
  std::string text;
};

using Heard =
    std::variant<std::monostate, RunnerFacts, BadOutcome, Hang, ContractBreach, RunnerGone>;

}  // namespace catchup
