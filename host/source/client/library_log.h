#pragma once

namespace catchup {

// From now on what gRPC has to say goes to our log, line by line: its errors as warnings, as
// whoever called hears of the failure too, and the rest for debugging. By itself it writes to
// standard error in a form of its own. Once and for the whole process; any thread.
void TakeOverLibraryLog();

}  // namespace catchup
