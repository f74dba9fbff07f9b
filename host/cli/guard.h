#pragma once

#include <functional>

namespace catchup {

// Runs `work` in a child of this process and returns its exit code, or 128 and the number of the
// signal that ended it: pass that on to EndProcess. Whatever ends it (Ctrl-C, SIGTERM, SIGHUP, a
// reader that went away, a defect of ours), every process below it is gone when this returns: its
// runner, and what a plugin sent to the background. So `work` needs no care about signals, and the
// caller's own clean-up still happens. If this process is killed, the child and its runner die with
// it; only what a plugin has detached from them stays.
//
// `work` ends as a process does, without the destructors of what the caller owns. Call it while
// there is one thread.
int RunGuarded(const std::function<int()>& work);

// Ends this process with `code` as RunGuarded returned it: where a signal ended the work, by that
// signal, so that a shell sees what it expects. Returns the exit code otherwise.
int EndProcess(int code);

// The exit code of a command that ended with `code` and wrote its results to standard output. That
// they could not be written is a failure.
int KeepResults(int code);

}  // namespace catchup
