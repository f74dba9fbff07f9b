#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/base/mutex.h"
#include "host/daemon/group/group_slot.h"
#include "host/daemon/orders/host_control.h"
#include "host/daemon/threads/reactor.h"

namespace catchup {

// Takes what a front end asks of the host to the group that it is about. Whatever is asked, on any
// thread, is done on the reactor, in the order in which it came.
class HostDesk final : public HostControl {
 public:
  // Both outlive it. The slots stay the same from Open() on.
  HostDesk(Reactor* reactor, const std::vector<std::unique_ptr<GroupSlot>>* slots)
      : reactor_(reactor), slots_(slots) {}
  HostDesk(const HostDesk&) = delete;
  HostDesk& operator=(const HostDesk&) = delete;

  // Opens the way for commands, by `serve`, and where that fails tries again until it can: without
  // one, groups run all the same. The reactor calls it; `state` outlives it.
  void Open(const ServeControl& serve, const StateDirectory& state);

  // Closes the way. What was asked before is still answered while the reactor runs. Any thread, but
  // not from within a command.
  void Close();

  void StopGroup(const std::string& group, const std::string& by, ControlReply reply) override;
  void StartGroup(const std::string& group, const StartOrder& order, const std::string& by,
                  ControlReply reply) override;
  void ResetGroup(const std::string& group, const ResetTarget& target, const std::string& by,
                  ControlReply reply) override;
  void ReadLetters(const std::string& group, LetterRead read, ControlReply reply) override;
  void OrderLetter(const std::string& group, const LetterCommand& order, const std::string& by,
                   ControlReply reply) override;

 private:
  void InSlot(const std::string& group, ControlReply reply,
              std::function<void(GroupSlot*, const ControlReply&)> command);

  Reactor* const reactor_;
  const std::vector<std::unique_ptr<GroupSlot>>* const slots_;

  Mutex mutex_;
  std::shared_ptr<void> served_ CATCHUP_GUARDED_BY(mutex_);
  std::string told_ CATCHUP_GUARDED_BY(mutex_);  // Why there is no way, as the log has it.
  bool closed_ CATCHUP_GUARDED_BY(mutex_) = false;
};

}  // namespace catchup
