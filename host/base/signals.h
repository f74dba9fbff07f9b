#pragma once

#include <signal.h>
#include <sys/types.h>

#include <initializer_list>
#include <optional>
#include <string>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// "SIGTERM", "SIGRTMIN+2"; "signal 99" where there is no name.
std::string SignalName(int number);

// Sets the two signals that the C library keeps for itself to SIG_DFL or SIG_IGN: its own functions
// refuse them, and it installs its handlers once it needs them. Until then they would end the
// process like any other.
Status SetLibrarySignals(void (*handler)(int));

// Blocks, for this thread and those it makes from here on, the signals that mean nothing to this
// program and would end it all the same: SIGUSR1, SIGALRM, the real-time ones and their like. To be
// called while there is one thread. Signals of a terminal's job control keep their effect, and so
// does SIGQUIT, which asks for a core.
void BlockIdleSignals();

// The same, and what stops or reloads a host (SIGTERM, SIGINT, SIGXCPU, SIGHUP), so that all of
// them wait for a SignalInbox.
void BlockHostSignals();

// A signal that was received, and where it came from.
struct ReceivedSignal {
  int number = 0;
  bool by_process = false;  // Else the kernel sent it: a key of the terminal, a limit, a timer.
  pid_t pid = 0;            // 0 also for a process that this one's namespace does not show.
  uid_t uid = 0;
  std::string program;  // Name of that process, if it was still there.

  // Asks this process to end.
  bool stops() const { return number == SIGTERM || number == SIGINT || number == SIGXCPU; }
  // "pid 812 (systemd), uid 0", or "the kernel" and why it sends such a signal.
  std::string Sender() const;
};

// Where signals arrive that were blocked before. One thread.
class SignalInbox {
 public:
  // Those of BlockHostSignals, which comes first.
  static Result<SignalInbox> Open();

  // For a command that is not a host: blocks those of `signals`, by default what asks it for its
  // end, that the parent did not have it ignore, as `nohup` does, and receives them. Before any
  // thread is made.
  static Result<SignalInbox> OpenForCommand(std::initializer_list<int> signals = {SIGINT, SIGTERM,
                                                                                  SIGHUP, SIGXCPU});

  int fd() const { return fd_.get(); }  // Readable when there is one.
  // The next one; none if there is none at present.
  std::optional<ReceivedSignal> Take();

 private:
  explicit SignalInbox(UniqueFd fd) : fd_(std::move(fd)) {}
  static Result<SignalInbox> Of(const sigset_t& set);
  UniqueFd fd_;
};

}  // namespace catchup
