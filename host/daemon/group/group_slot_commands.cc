// What a slot does for an operator: one command at a time, on the reactor.
#include <string>
#include <utility>

#include "host/base/log.h"
#include "host/base/stop_budget.h"
#include "host/base/test_seams.h"
#include "host/daemon/group/group_slot.h"
#include "host/daemon/orders/group_orders.h"
#include "host/engine/engine_text.h"

namespace catchup {
namespace {

// How long an incarnation may take to begin: what waits longer (a server, a disk) is answered with
// its state.
constexpr std::chrono::seconds kStartLimit{5};

// The pause before a group that was given up is tried again.
constexpr std::chrono::minutes kGivenUpPause{10};

// Between two looks at an incarnation that begins, or tries of a store that is not free yet.
constexpr std::chrono::milliseconds kLookAgain{20};

ControlAnswer::Kind KindOf(const Status& status) {
  switch (status.code()) {
    case Status::Code::kInvalid:
    case Status::Code::kDenied:
    case Status::Code::kNotFound:
    case Status::Code::kCorrupt:
    case Status::Code::kIncompatible:
      return ControlAnswer::Kind::kRefused;
    default:
      return ControlAnswer::Kind::kFailed;
  }
}

}  // namespace

void GroupSlot::StopByCommand(const std::string& by, ControlReply reply) {
  on_reactor_.AssertHeld();
  if (Refuse(reply)) {
    return;
  }
  Log(LogLevel::kInfo, "Command", "GroupSlot.Stop", config_.name,
      {{"command", "stop"}, {"by", by}});
  Command command;
  command.kind = Kind::kStop;
  command.reply = std::move(reply);
  command.order = [this](const std::filesystem::path& groups) {
    const Status stored = OrderStop(groups, config_);
    return stored.ok() ? Result<std::string>(std::string()) : stored;
  };
  const bool running = Running();
  command.deadline = Clock::now() + (running ? config_.drain_timeout + kStopPatience + kStopMargin
                                             : std::chrono::milliseconds(kOrderLimit));
  Begin(std::move(command));
  if (!running) {
    GiveOrder();
    return;
  }
  const MutexLock lock(&mutex_);
  drains_ = true;
  // Both at once: a group that hangs is to end all the same, and the writing comes first.
  group_->StoreDesired(DesiredState::kStopped, [this](const Status& stored) {
    services_.reactor->Post(Gate::Wrap(gate_, [this, ok = stored.ok()] {
      on_reactor_.AssertHeld();
      if (command_.has_value()) {
        command_->stored = ok;
      }
    }));
  });
  group_->Stop();
}

void GroupSlot::StartByCommand(const StartOrder& order, const std::string& by, ControlReply reply) {
  on_reactor_.AssertHeld();
  if (Refuse(reply)) {
    return;
  }
  if (Running()) {
    // The words that operators know from the earlier hosts.
    constexpr const char* kRunning = "Catch-up subscription already running";
    Log(LogLevel::kWarn, kRunning, "GroupSlot.Start", config_.name,
        {{"by", by}, {"expected", true}});
    ControlAnswer answer = Answer(ControlAnswer::Kind::kRefused, kRunning);
    answer.expected = true;
    reply(answer);
    return;
  }
  Log(LogLevel::kInfo, "Command", "GroupSlot.Start", config_.name,
      {{"command", "start"}, {"by", by}});
  BeginOrder(Kind::kStart, kOrderLimit, std::move(reply),
             [this, order, by](const std::filesystem::path& groups) {
               return OrderStart(groups, config_, order, by);
             });
}

const char* GroupSlot::NameOf(Kind kind) {
  switch (kind) {
    case Kind::kStop:
      return "stop";
    case Kind::kStart:
      return "start";
    case Kind::kReset:
      return "reset";
    case Kind::kLetters:
      break;
  }
  return "dlq";
}

// True: it was answered.
bool GroupSlot::Refuse(const ControlReply& reply) {
  const bool ending = [this] {
    const MutexLock lock(&mutex_);
    return ending_;
  }();
  if (ending) {
    reply(Answer(ControlAnswer::Kind::kEnding, "the host is ending"));
  } else if (command_.has_value()) {
    reply(Answer(ControlAnswer::Kind::kRefused, "another command for group " + config_.name +
                                                    " is under way: " + NameOf(command_->kind)));
  }
  return ending || command_.has_value();
}

void GroupSlot::Begin(Command command) {
  command_ = std::move(command);
  {
    const MutexLock lock(&mutex_);
    commanded_ = true;
  }
  Watch();
}

void GroupSlot::BeginOrder(Kind kind, std::chrono::seconds limit, ControlReply reply, Order order) {
  Command command;
  command.kind = kind;
  command.reply = std::move(reply);
  command.deadline = Clock::now() + limit;
  command.order = std::move(order);
  Begin(std::move(command));
  GiveOrder();
}

// Looks again and again until the command is answered.
void GroupSlot::Watch() {
  if (std::exchange(watching_, true)) {
    return;
  }
  services_.reactor->After(kLookAgain, Gate::Wrap(gate_, [this] {
                             on_reactor_.AssertHeld();
                             watching_ = false;
                             Look();
                             OnTime();
                             if (command_.has_value()) {
                               Watch();
                             }
                           }));
}

bool GroupSlot::AwaitsIncarnation() const {
  return command_->kind == Kind::kStart && command_->order == nullptr;
}

void GroupSlot::Look() {
  on_reactor_.AssertHeld();
  if (!command_.has_value()) {
    LookAfterGivenUp();
    return;
  }
  if (command_->ordered) {
    return;
  }
  if (AwaitsIncarnation()) {
    LookAtIncarnation();
  } else if (!Running()) {
    if (command_->stored) {
      OnOrderDone("");
    } else {
      GiveOrder();
    }
  }
}

void GroupSlot::LookAfterGivenUp() {
  const std::chrono::nanoseconds pause = FixedWait(kGivenUpPause);
  {
    const MutexLock lock(&mutex_);
    const GroupState state = group_ != nullptr ? group_->Glance().state : last_.state;
    if (ending_ || stopped_by_command_ || state != GroupState::kGivenUp) {
      return;
    }
    if (retry_at_.has_value() && Clock::now() < *retry_at_) {
      return;
    }
    if (!retry_at_.has_value()) {
      retry_at_ = Clock::now() + pause;
      Log(LogLevel::kWarn, "Group given up until the next try", "GroupSlot.Look", config_.name,
          {{"delayMs", std::chrono::duration_cast<std::chrono::milliseconds>(pause).count()}});
      return;
    }
  }
  Log(LogLevel::kInfo, "Trying a group again that was given up", "GroupSlot.Look", config_.name,
      {});
  Command command;
  command.kind = Kind::kStart;
  command.reply = [](const ControlAnswer&) {};
  command.deadline = Clock::now() + kOrderLimit;
  command.order = [](const std::filesystem::path&) { return Result<std::string>(std::string()); };
  command.on_probation = true;
  Begin(std::move(command));
  GiveOrder();
}

// Whether what a start has begun is on its way, or has come to an end at once.
void GroupSlot::LookAtIncarnation() {
  {
    const MutexLock lock(&mutex_);
    if (group_ == nullptr || !(group_->started() || group_->Glance().finished)) {
      return;
    }
  }
  const GroupStatus status = Glance();
  const bool begun = !status.finished || status.state == GroupState::kStopped;
  Finish(begun ? ControlAnswer::Kind::kDone : ControlAnswer::Kind::kRefused,
         begun ? command_->note : status.reason);
}

// Has the order carried out where it may block, once the incarnation has let go of its store.
void GroupSlot::GiveOrder() {
  command_->ordered = true;
  {
    const MutexLock lock(&mutex_);
    if (ending_) {
      return;
    }
    ordering_ = true;
  }
  services_.pool->Post([this, order = command_->order, groups = services_.state->groups()] {
    LetGo();
    services_.reactor->Post(Gate::Wrap(gate_, [this, done = order(groups)] {
      on_reactor_.AssertHeld();
      OnOrdered(done);
    }));
    const MutexLock lock(&mutex_);
    ordering_ = false;
    changed_.NotifyAll();
  });
}

// Ends the incarnation, which has finished, and keeps what was to be seen of it.
void GroupSlot::LetGo() {
  std::unique_ptr<Group> old;
  {
    const MutexLock lock(&mutex_);
    if (group_ == nullptr) {
      return;
    }
    last_ = group_->Glance();
    last_safe_ = group_->CheckpointSafe();
    last_.rate = 0;
    old = std::move(group_);
  }
  old->Close();
}

void GroupSlot::OnOrdered(const Result<std::string>& done) {
  if (!command_.has_value()) {
    return;
  }
  if (done.ok()) {
    OnOrderDone(*done);
  } else if (done.status().may_pass() && Clock::now() < command_->deadline) {
    command_->ordered = false;  // The next look tries again.
  } else {
    const bool stop = command_->kind == Kind::kStop;
    Finish(KindOf(done.status()),
           (stop ? "the group does not run, but that could not be stored, so the next run of the "
                   "host starts it: "
                 : "") +
               done.status().message());
  }
}

void GroupSlot::OnOrderDone(const std::string& note) {
  if (command_->kind == Kind::kStop) {
    const MutexLock lock(&mutex_);
    stopped_by_command_ = true;
  }
  if (command_->kind == Kind::kStart) {
    command_->note = note;
    BeginNext();
  } else if (command_->next != nullptr) {
    std::exchange(command_->next, nullptr)();
  } else {
    Finish(ControlAnswer::Kind::kDone, note);
  }
}

void GroupSlot::BeginNext() {
  const MutexLock lock(&mutex_);
  if (ending_) {
    return;
  }
  stopped_by_command_ = false;
  drains_ = false;
  retry_at_.reset();
  group_ = std::make_unique<Group>(config_, services_, stop_on_caught_up_, command_->on_probation);
  group_->Start();
  command_->order = nullptr;
  command_->ordered = false;
  command_->deadline = Clock::now() + kStartLimit;
}

void GroupSlot::OnTime() {
  if (!command_.has_value() || command_->ordered || Clock::now() < command_->deadline) {
    return;
  }
  const GroupStatus status = Glance();
  if (AwaitsIncarnation()) {
    // It has begun, and says what it waits for.
    Finish(ControlAnswer::Kind::kDone, command_->note);
    return;
  }
  Finish(ControlAnswer::Kind::kTimedOut, "group " + config_.name +
                                             " did not end in time: it is still " +
                                             std::string(GroupStateName(status.state)));
}

ControlAnswer GroupSlot::Answer(ControlAnswer::Kind kind, std::string text) {
  const GroupStatus status = Glance();
  ControlAnswer answer;
  answer.kind = kind;
  answer.text = std::move(text);
  answer.group = config_.name;
  answer.state = status.state;
  answer.reason = status.reason;
  return answer;
}

void GroupSlot::Finish(ControlAnswer::Kind kind, std::string text) {
  const ControlReply reply = std::move(command_->reply);
  const char* name = NameOf(command_->kind);
  command_.reset();
  {
    const MutexLock lock(&mutex_);
    commanded_ = false;
  }
  if (kind != ControlAnswer::Kind::kDone) {
    Log(LogLevel::kWarn, "Command not done", "GroupSlot.Finish", config_.name,
        {{"command", name}, {"reason", text}});
  }
  reply(Answer(kind, std::move(text)));
}

}  // namespace catchup
