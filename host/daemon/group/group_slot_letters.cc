// What a slot answers about its group's letters, whether an incarnation runs or not.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/base/log.h"
#include "host/base/mutex.h"
#include "host/daemon/group/group_slot.h"
#include "host/daemon/orders/group_orders.h"

namespace catchup {
namespace {

// How long a decision may take to be on the disk; a retry has its own limit, which is shorter.
constexpr std::chrono::seconds kLettersLimit{20};

// Passes on the first answer, and gives one itself where whoever was to answer is gone.
class FirstReply {
 public:
  explicit FirstReply(ControlReply reply) : reply_(std::move(reply)) {}
  ~FirstReply() {
    ControlAnswer answer;
    answer.kind = ControlAnswer::Kind::kFailed;
    answer.text = "the group ended before it was done";
    Give(answer);
  }
  FirstReply(const FirstReply&) = delete;
  FirstReply& operator=(const FirstReply&) = delete;

  void Give(const ControlAnswer& answer) {
    ControlReply reply;
    {
      const MutexLock lock(&mutex_);
      reply = std::exchange(reply_, nullptr);
    }
    if (reply) {
      reply(answer);
    }
  }

 private:
  Mutex mutex_;
  ControlReply reply_ CATCHUP_GUARDED_BY(mutex_);
};

// Who waits for a retry asks again and again, which is the same command.
void LogLetterCommand(const LetterCommand& order, const std::string& by, const std::string& group) {
  const bool retry = order.kind == LetterCommand::Kind::kRetry;
  if (retry && order.after != 0) {
    return;
  }
  const std::string position = FormatPosition(order.position);
  std::vector<LogField> fields = {
      {"command", LetterCommandName(order.kind)},
      order.type.empty() ? LogField("position", position) : LogField("eventType", order.type),
      {"by", by}};
  if (!retry) {
    fields.emplace_back("reason", order.reason);
  }
  Log(LogLevel::kInfo, "Command", "GroupSlot.OrderLetter", group, fields);
}

}  // namespace

void GroupSlot::ReadLetters(const LetterRead& read, const ControlReply& reply) {
  {
    const MutexLock lock(&mutex_);
    if (ending_) {
      ControlAnswer answer;
      answer.kind = ControlAnswer::Kind::kEnding;
      answer.text = "the host is ending";
      reply(answer);
      return;
    }
    if (group_ != nullptr && group_->ReadLetters(read)) {
      return;
    }
  }
  services_.pool->Post(
      [name = config_.name, read, reply, folder = services_.state->group(config_.name)] {
        auto reader = LetterReader::Open(folder, name);
        if (reader.ok()) {
          read(&*reader);
          return;
        }
        ControlAnswer answer;
        answer.kind = ControlAnswer::Kind::kFailed;
        answer.text = reader.status().message();
        answer.group = name;
        reply(answer);
      });
}

void GroupSlot::OrderLetter(const LetterCommand& order, const std::string& by, ControlReply reply) {
  on_reactor_.AssertHeld();
  if (Refuse(reply)) {
    return;
  }
  const bool retry = order.kind == LetterCommand::Kind::kRetry;
  LogLetterCommand(order, by, config_.name);
  if (!Running() && retry) {
    const GroupStatus status = Glance();
    reply(Answer(ControlAnswer::Kind::kRefused,
                 "group " + config_.name + " is " + std::string(GroupStateName(status.state)) +
                     ", and letters are called while it runs: catchup start " + config_.name +
                     " first"));
    return;
  }
  if (!Running()) {
    BeginOrder(Kind::kLetters, kLettersLimit, std::move(reply),
               [this, order, by](const std::filesystem::path& groups) {
                 return OrderLetters(groups, config_, order, by);
               });
    return;
  }
  const auto first =
      std::make_shared<FirstReply>([this, reply = std::move(reply)](const ControlAnswer& answer) {
        // Its state is asked for outside the group's turn.
        services_.reactor->Post([this, reply, answer] {
          ControlAnswer whole = Answer(answer.kind, answer.text);
          whole.letter = answer.letter;
          if (answer.kind == ControlAnswer::Kind::kTimedOut && !whole.reason.empty()) {
            whole.text +=
                ": the group is " + std::string(GroupStateName(whole.state)) + ": " + whole.reason;
          }
          reply(whole);
        });
      });
  // The timer may outlive this.
  services_.reactor->After(kLettersLimit, [weak = std::weak_ptr<FirstReply>(first)] {
    if (const auto late = weak.lock()) {
      ControlAnswer answer;
      answer.kind = ControlAnswer::Kind::kTimedOut;
      answer.text = "not stored in time, and may come to be all the same";
      late->Give(answer);
    }
  });
  const MutexLock lock(&mutex_);
  if (group_ != nullptr) {
    group_->OrderLetter(order, by, [first](const ControlAnswer& answer) { first->Give(answer); });
  }
}

}  // namespace catchup
