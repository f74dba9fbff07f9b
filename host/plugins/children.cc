#include "host/plugins/children.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <thread>

namespace catchup {
namespace {

// More than end between the death of a runner and the sweep that finds what it left.
constexpr std::size_t kEndedOwners = 1024;

// The children of every thread, as each has a list of its own. A kernel without these lists
// (CONFIG_PROC_CHILDREN) shows none.
std::vector<pid_t> LivingChildren() {
  std::vector<pid_t> children;
  std::error_code error;  // A thread that ends meanwhile has no children any more.
  for (std::filesystem::directory_iterator task("/proc/self/task", error), end;
       !error && task != end; task.increment(error)) {
    std::ifstream list(task->path() / "children");
    for (pid_t pid = 0; list >> pid;) {
      children.push_back(pid);
    }
  }
  return children;
}

}  // namespace

Children& Children::OfThisProcess() {
  static Children children;
  return children;
}

Status Children::Adopt() {
  const MutexLock lock(&mutex_);
  for (const pid_t pid : LivingChildren()) {
    inherited_.insert(pid);
  }
  return prctl(PR_SET_CHILD_SUBREAPER, 1) == 0
             ? Status()
             : Status::FromErrno("adopt orphans (prctl PR_SET_CHILD_SUBREAPER)", errno);
}

Result<pid_t> Children::Spawn(const std::function<Result<pid_t>()>& spawn) {
  // Held over the spawn, so that a sweep sees the child only once it is known.
  const MutexLock lock(&mutex_);
  Result<pid_t> pid = spawn();
  if (pid.ok()) {
    spawned_.insert(*pid);
  }
  return pid;
}

siginfo_t Children::Reap(pid_t pid) {
  siginfo_t info{};
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  // One step in the eyes of a sweep, which must neither reap it nor take the next bearer of its
  // number for it.
  const MutexLock lock(&mutex_);
  while (waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED) != 0 && errno == EINTR) {
  }
  spawned_.erase(pid);
  if (owners_.contains(pid)) {
    ended_.push_back(pid);
  }
  if (ended_.size() > kEndedOwners) {
    owners_.erase(ended_.front());
    ended_.pop_front();
  }
  return info;
}

void Children::SetOwner(pid_t pid, const std::string& owner) {
  const MutexLock lock(&mutex_);
  // The number of one that was reaped may have come again.
  std::erase(ended_, pid);
  owners_[pid] = owner;
}

Children::Sweep Children::KillOrphans() {
  const MutexLock lock(&mutex_);
  Sweep sweep;
  const std::vector<pid_t> living = LivingChildren();
  // Somebody else may have reaped one, and its number may come again.
  std::erase_if(inherited_, [&](pid_t pid) {
    return std::find(living.begin(), living.end(), pid) == living.end();
  });
  const bool is_init = getpid() == 1;
  for (const pid_t pid : living) {
    if (spawned_.contains(pid) || inherited_.contains(pid)) {
      continue;
    }
    // Until it is reaped here its number is its own. What it leaves behind itself comes with its
    // end, perhaps after the list was read.
    if (waitpid(pid, nullptr, WNOHANG) == pid) {
      dying_.erase(pid);
      sweep.done = false;
      continue;
    }
    if (is_init) {
      continue;
    }
    sweep.done = false;
    const auto owner = owners_.find(getsid(pid));
    if (dying_.insert(pid).second && kill(pid, SIGKILL) == 0) {
      sweep.killed.push_back({pid, owner == owners_.end() ? std::string() : owner->second});
    }
  }
  return sweep;
}

void Children::EndOrphans(std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!KillOrphans().done && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kSweepAgain);
  }
}

}  // namespace catchup
