#pragma once

#include <memory>

#include "host/config/config.h"
#include "host/daemon/group.h"

namespace catchup {

// A group's place in the host: its configuration and its present incarnation, which has not begun
// yet, runs, or has ended and stays to be looked at until the next begins. So a group can end and
// begin again while the host runs.
class GroupSlot {
 public:
  // What `services` name must outlive this.
  GroupSlot(const GroupConfig& config, GroupServices services, bool stop_on_caught_up);
  GroupSlot(const GroupSlot&) = delete;
  GroupSlot& operator=(const GroupSlot&) = delete;

  // Begins the first incarnation, or the next one: the one before must have finished, and nobody
  // may be at work with it.
  void Start();

  // The present one, never null. Any thread; valid until the next Start but the first.
  Group* group() const { return group_.get(); }

 private:
  const GroupConfig config_;
  const GroupServices services_;
  const bool stop_on_caught_up_;
  bool started_ = false;
  std::unique_ptr<Group> group_;
};

}  // namespace catchup
