#pragma once

#include <string>

#include "tests/sim/history.h"

namespace catchup::sim {

// A history for the eye: its settings, the log, and each record in a line with its number, as the
// checker names it.
std::string Describe(const History& history);

}  // namespace catchup::sim
