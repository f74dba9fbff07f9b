#include "host/daemon/host_desk.h"

#include <chrono>
#include <utility>

#include "host/base/log.h"
#include "host/daemon/text/hold_text.h"

namespace catchup {
namespace {

// Between two tries of opening the way for commands.
constexpr std::chrono::seconds kServeAgain{2};

}  // namespace

void HostDesk::Open(const ServeControl& serve, const StateDirectory& state) {
  const MutexLock lock(&mutex_);
  if (closed_) {
    return;
  }
  auto served = serve(this, state);
  if (served.ok()) {
    served_ = *std::move(served);
    return;
  }
  if (served.status().message() != told_) {
    told_ = served.status().message();
    Log(LogLevel::kWarn, "No way for commands", "Host.Serve", "", {{"reason", told_}});
  }
  reactor_->After(kServeAgain, [this, serve, &state] { Open(serve, state); });
}

void HostDesk::Close() {
  std::shared_ptr<void> served;
  {
    const MutexLock lock(&mutex_);
    closed_ = true;
    served = std::move(served_);
  }
}

// Has `command` done where the groups are, or answers that there is none of this name.
void HostDesk::InSlot(const std::string& group, ControlReply reply,
                      std::function<void(GroupSlot*, const ControlReply&)> command) {
  reactor_->Post([this, group, reply = std::move(reply), command = std::move(command)] {
    std::vector<std::string> names;
    for (const auto& slot : *slots_) {
      if (slot->name() == group) {
        command(slot.get(), reply);
        return;
      }
      names.push_back(slot->name());
    }
    ControlAnswer answer;
    answer.kind = ControlAnswer::Kind::kNoSuchGroup;
    answer.group = group;
    answer.text = NoSuchGroup(group, names);
    reply(answer);
  });
}

void HostDesk::StopGroup(const std::string& group, const std::string& by, ControlReply reply) {
  InSlot(group, std::move(reply),
         [by](GroupSlot* slot, const ControlReply& answer) { slot->StopByCommand(by, answer); });
}

void HostDesk::StartGroup(const std::string& group, const StartOrder& order, const std::string& by,
                          ControlReply reply) {
  InSlot(group, std::move(reply), [order, by](GroupSlot* slot, const ControlReply& answer) {
    slot->StartByCommand(order, by, answer);
  });
}

void HostDesk::ResetGroup(const std::string& group, const ResetTarget& target,
                          const std::string& by, ControlReply reply) {
  InSlot(group, std::move(reply), [target, by](GroupSlot* slot, const ControlReply& answer) {
    slot->ResetByCommand(target, by, answer);
  });
}

void HostDesk::ReadLetters(const std::string& group, LetterRead read, ControlReply reply) {
  InSlot(group, std::move(reply), [read = std::move(read)](GroupSlot* slot, const auto& answer) {
    slot->ReadLetters(read, answer);
  });
}

void HostDesk::OrderLetter(const std::string& group, const LetterCommand& order,
                           const std::string& by, ControlReply reply) {
  InSlot(group, std::move(reply), [order, by](GroupSlot* slot, const ControlReply& answer) {
    slot->OrderLetter(order, by, answer);
  });
}

}  // namespace catchup
