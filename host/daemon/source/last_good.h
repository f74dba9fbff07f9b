#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "host/base/witness.h"
#include "host/source/source.h"

namespace catchup {

// Where a log and the one that a group knows part.
struct LastGood {
  std::optional<Witness> event;  // The newest that the log has as it was, if any.
  std::string refuted;  // What it has in place of the newest that it contradicts; empty: of none.
};
// As a server has answered; else how a question ended that was not.
using LastGoodAnswer = Answer<LastGood>;
using LastGoodFound = std::function<void(const LastGoodAnswer& good)>;

// Asks the server about one of `witnesses`, which stand newest first, after the other, until its
// log proves one. `found` comes once, on the source's thread; the source must stay until then.
// Shutting it down ends the search at once. Any thread.
void FindLastGood(Source* source, const std::vector<Witness>& witnesses, LastGoodFound found);

}  // namespace catchup
