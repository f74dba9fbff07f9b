#pragma once

#include <memory>
#include <optional>
#include <string>

#include "host/config/config.h"
#include "host/daemon/group.h"

namespace catchup {

// A group's place in the host: its configuration and its present incarnation. One that has ended
// stays to be looked at until the next begins, so a group can end and begin again while the host
// runs. One thread at a time.
class GroupSlot {
 public:
  // What `services` name must outlive this.
  GroupSlot(const GroupConfig& config, GroupServices services, bool stop_on_caught_up);
  GroupSlot(const GroupSlot&) = delete;
  GroupSlot& operator=(const GroupSlot&) = delete;

  // Begins an incarnation. An earlier one must have finished.
  void Start();

  // The rest is the incarnation's, see Group; before the first one there is nothing to do.
  void Stop();
  void Close();
  GroupStatus Glance();
  void SetHead(const std::optional<Position>& head);
  bool CheckpointSafe();

  const std::string& name() const { return config_.name; }

 private:
  const GroupConfig config_;
  const GroupServices services_;
  const bool stop_on_caught_up_;
  std::unique_ptr<Group> group_;
};

}  // namespace catchup
