#pragma once

#include <spawn.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "host/ring/host_end.h"

namespace catchup {

// Descriptors that become a child's 1 and 2; -1 leaves this process's own.
struct ChildOutput {
  int out = -1;
  int err = -1;
};

// A child with the rings under the numbers of host/ring/contract/descriptors.h, killed and reaped
// when it goes. One thread.
class RingChild {
 public:
  // Aborts the test program if the child cannot be made: there is nothing to test then.
  RingChild(const std::string& path, const std::vector<std::string>& arguments,
            const HostEnd::Descriptors& rings, ChildOutput output = {});
  RingChild(const RingChild&) = delete;
  RingChild& operator=(const RingChild&) = delete;
  ~RingChild();

  pid_t pid() const { return pid_; }

  // Waits for its end and returns the wait status, or -1 if it has not ended in a minute.
  int Wait();

  // Its wait status if it has ended.
  bool HasEnded();

 private:
  pid_t pid_ = -1;
  bool ended_ = false;
  int status_ = -1;
};

}  // namespace catchup
