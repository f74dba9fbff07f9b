#pragma once

#include <string_view>

#include "host/ring/contract/exits.h"
#include "host/ring/runner_end.h"

namespace catchup {

// Tells the host through its ring that the runner could not be set up in `call`, and why; the exit
// code alone would not, since a plugin may exit with any. Returns kSetup's code.
int RefuseSetup(RunnerEnd* ring, CallKind call, std::string_view text);

// Loads the plugin of the ring's setup record, hands it events until the host asks for a stop, and
// ends it. Returns the process's exit code.
int RunLoop(RunnerEnd* ring);

}  // namespace catchup
