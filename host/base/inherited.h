#pragma once

#include "host/base/status.h"

namespace catchup {

// What a process gets from whoever started it without having asked: descriptors, dispositions and
// masks of signals, timers, limits. Nothing of it may decide how this one behaves. Each function is
// to be called while the process has one thread.

// Opens those of descriptors 0 to 2 that the parent left closed on /dev/null, so that no file of
// ours gets their numbers and is written to as standard output or error. First of all.
Status OpenStandardDescriptors();

// Gives every signal its default effect: dispositions and mask are reset, none is pending but those
// that ask for an end, and no interval timer is left to send one.
// Only a SIGHUP that is ignored stays so: that is what nohup asks for.
Status ResetSignals();

// Keeps what else is open from programs that this one executes, as far as the system can.
void KeepDescriptorsFromChildren();

// Closes every descriptor from `first` on. By close_range, else one by one.
Status CloseDescriptorsFrom(int first);

// Takes back what would keep this program's own files and threads from working: a mask for new
// files that takes rights from the owner, a stack too small for a thread. Best effort.
void LoosenInheritedLimits();

}  // namespace catchup
