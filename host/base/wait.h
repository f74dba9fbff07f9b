#pragma once

#include <poll.h>

namespace catchup {

// As poll(2), for loops that look at everything themselves after it: the number of descriptors that
// are ready, 0 when the time has passed, -1 when it returned early. Early is a signal, or a
// shortage that keeps the kernel from waiting (no memory, a limit of descriptors that was lowered
// below `count`): then a pause is made first, so that a loop around this call goes on, at a walk,
// until there is enough again. All `revents` are 0 unless descriptors are ready. Any thread.
int PollOrPause(pollfd* fds, nfds_t count, int timeout_ms);

}  // namespace catchup
