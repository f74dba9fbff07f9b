#include "host/base/wait.h"

#include <time.h>

#include <algorithm>
#include <cerrno>

namespace catchup {
namespace {

// Short for a person who waits for an end, long for a processor.
constexpr int kPauseMs = 20;

}  // namespace

int PollOrPause(pollfd* fds, nfds_t count, int timeout_ms) {
  const int ready = poll(fds, count, timeout_ms);
  if (ready >= 0) {
    return ready;
  }
  if (errno != EINTR) {
    const int pause_ms = timeout_ms < 0 ? kPauseMs : std::min(timeout_ms, kPauseMs);
    const timespec pause{0, pause_ms * 1'000'000L};
    (void)nanosleep(&pause, nullptr);  // A signal may end it, as it may end poll().
  }
  std::for_each(fds, fds + count, [](pollfd& fd) { fd.revents = 0; });
  return -1;
}

}  // namespace catchup
