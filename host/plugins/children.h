#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "host/base/mutex.h"
#include "host/base/status.h"

namespace catchup {

// The children of this process: runners, and what plugins leave behind when their runner ends.
//
// A plugin's processes can leave the runner's process group, and their own parents can die. They
// stay the runner's descendants all the same, because a runner adopts orphans below it; when it
// ends they come to this process, which adopts orphans too. So a child that this process did not
// spawn belonged to a runner that is no more, and no living group can miss it. Two exceptions:
// children that were there before Adopt(), which a program that became this one by exec has left to
// it, are not touched; and as process 1 of a container this process gets the orphans of everything
// in it, so it only reaps them.
//
// One table for the whole process, as the kernel has one. Any thread.
class Children {
 public:
  static Children& OfThisProcess();

  // How long an orphan that was killed may take to be gone before it is looked for again; and how
  // long it is waited for in all.
  static constexpr std::chrono::milliseconds kSweepAgain{10};
  static constexpr std::chrono::milliseconds kOrphansEnd{500};

  // From now on orphans come here. To be called before the first runner.
  Status Adopt();

  // Makes a child by `spawn`, so that no sweep takes it for an orphan.
  Result<pid_t> Spawn(const std::function<Result<pid_t>()>& spawn);
  // Waits for a child that Spawn made and reaps it; its number may come again then.
  siginfo_t Reap(pid_t pid);

  // Says whose a child is that Spawn made: what stays behind in its session, which has its number,
  // is told as that one's. Remembered until long after it was reaped.
  void SetOwner(pid_t pid, const std::string& owner);

  struct Orphan {
    pid_t pid = 0;
    std::string owner;  // Empty: it has left the session that it was in, or nobody was named.
  };
  struct Sweep {
    std::vector<Orphan> killed;  // Sent SIGKILL now, for the first time.
    bool done = true;            // Every orphan is gone. If not, sweep again soon.
  };
  // Kills orphans and reaps those that have ended. Waits for nothing.
  Sweep KillOrphans();

  // Sweeps until every orphan is gone, but no longer than `at_most`: what the kernel cannot end
  // that soon is left to whoever adopts it next.
  void EndOrphans(std::chrono::milliseconds at_most);

 private:
  Children() = default;

  Mutex mutex_;
  std::set<pid_t> spawned_ CATCHUP_GUARDED_BY(mutex_);
  std::set<pid_t> inherited_ CATCHUP_GUARDED_BY(mutex_);  // There before Adopt().
  std::set<pid_t> dying_ CATCHUP_GUARDED_BY(mutex_);      // Orphans that were sent SIGKILL.
  std::map<pid_t, std::string> owners_ CATCHUP_GUARDED_BY(mutex_);  // By session.
  std::deque<pid_t> ended_ CATCHUP_GUARDED_BY(mutex_);  // Owners that were reaped, the last ones.
};

}  // namespace catchup
