// What a slot does for an operator's reset, which may have to ask the server first.
#include <memory>
#include <string>
#include <utility>

#include "host/daemon/group/group_slot.h"
#include "host/daemon/orders/group_orders.h"
#include "host/daemon/source/last_good.h"
#include "host/engine/engine_text.h"

namespace catchup {
namespace {

// For all questions of one reset to a server; less than a client waits for its answer.
constexpr std::chrono::seconds kAskLimit{15};

}  // namespace

void GroupSlot::ResetByCommand(const ResetTarget& target, const std::string& by,
                               ControlReply reply) {
  on_reactor_.AssertHeld();
  if (Refuse(reply)) {
    return;
  }
  if (Running()) {
    const std::string found = std::string(GroupStateName(Glance().state));
    reply(Answer(ControlAnswer::Kind::kRefused,
                 "group " + config_.name + " is " + found +
                     ", wanted stopped, halted or failed: catchup stop " + config_.name +
                     " first"));
    return;
  }
  if (target.kind != ResetTarget::Kind::kLastGood) {
    BeginOrder(Kind::kReset, kOrderLimit, std::move(reply),
               [this, to = PlaceOf(target), by](const std::filesystem::path& groups) {
                 return OrderReset(groups, config_, to, by);
               });
    return;
  }
  const auto witnesses = std::make_shared<std::vector<Witness>>();
  BeginOrder(Kind::kReset, kOrderLimit, std::move(reply),
             [this, witnesses](const std::filesystem::path& groups) -> Result<std::string> {
               CATCHUP_ASSIGN_OR_RETURN(*witnesses, WitnessesOf(groups, config_));
               return std::string();
             });
  command_->next = [this, witnesses, by] {
    on_reactor_.AssertHeld();
    AskForLastGood(*witnesses, by);
  };
}

// The leader, where there are several: another node may lag behind what the group has passed.
void GroupSlot::AskForLastGood(const std::vector<Witness>& witnesses, const std::string& by) {
  const SourceSide::Services& source = services_.source;
  Discovery* const leaders = source.leaders != nullptr ? source.leaders : source.discovery;
  if (leaders == nullptr) {
    AskForLastGoodAt(source.address(), witnesses, by);
    return;
  }
  leaders->Find(Gate::Wrap(gate_, [this, witnesses, by](const auto& node) {
    on_reactor_.AssertHeld();
    if (command_.has_value() && node.ok()) {
      AskForLastGoodAt(*node, witnesses, by);
    } else if (command_.has_value()) {
      Finish(ControlAnswer::Kind::kFailed, "--to last-good: " + node.end().text);
    }
  }));
}

void GroupSlot::AskForLastGoodAt(const std::string& address, const std::vector<Witness>& witnesses,
                                 const std::string& by) {
  const SourceSide::Services& source = services_.source;
  auto opened =
      (source.leaders != nullptr ? source.open_leader : source.open)(address, config_.name);
  if (!opened.ok()) {
    Finish(ControlAnswer::Kind::kFailed, "--to last-good: " + opened.status().message());
    return;
  }
  asked_ = *std::move(opened);
  services_.reactor->After(kAskLimit,
                           Gate::Wrap(gate_, [this, late = std::weak_ptr<Source>(asked_)] {
                             on_reactor_.AssertHeld();
                             if (asked_ != nullptr && asked_ == late.lock()) {
                               asked_->Shutdown();
                             }
                           }));
  const auto turn = Gate::Wrap(gate_, [this, witnesses, by](const LastGoodAnswer& good) {
    on_reactor_.AssertHeld();
    OnLastGood(witnesses, by, good);
  });
  FindLastGood(asked_.get(), witnesses,
               [reactor = services_.reactor, turn](const LastGoodAnswer& good) {
                 reactor->Post([turn, good] { turn(good); });
               });
}

void GroupSlot::OnLastGood(const std::vector<Witness>& witnesses, const std::string& by,
                           const LastGoodAnswer& good) {
  asked_->Shutdown();
  services_.source.retire(std::exchange(asked_, nullptr));
  if (!command_.has_value()) {
    return;
  }
  if (!good.ok()) {
    Finish(ControlAnswer::Kind::kFailed,
           "--to last-good: the log could not be asked: " + good.end().text);
    return;
  }
  command_->order = [this, witnesses, good, by](const std::filesystem::path& groups) {
    return OrderResetToLastGood(groups, config_, witnesses, *good, by);
  };
  command_->deadline = Clock::now() + kOrderLimit;
  GiveOrder();
}

}  // namespace catchup
