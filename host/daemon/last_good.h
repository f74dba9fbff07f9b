#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "host/base/witness.h"
#include "host/source/source.h"

namespace catchup {

// The newest event that the log has as it was handled, or none; else how a question ended that was
// not answered.
using LastGood = Answer<std::optional<Witness>>;
using LastGoodFound = std::function<void(const LastGood& good)>;

// Finds where a log and what a group has handled part: asks the server about one of `witnesses`
// after the other, as they stand, until its log proves one. `found` comes once, on the source's
// thread; the source must stay until then. Shutting it down ends the search at once. Any thread.
void FindLastGood(Source* source, std::vector<Witness> witnesses, LastGoodFound found);

}  // namespace catchup
