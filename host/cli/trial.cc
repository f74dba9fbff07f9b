#include "host/cli/trial.h"

#include <catchup/plugin.h>
#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "host/base/check.h"
#include "host/base/test_seams.h"
#include "host/base/time_text.h"
#include "host/base/wait.h"
#include "host/cli/printable.h"
#include "host/daemon/runner/runner_start.h"
#include "host/engine/engine_text.h"
#include "host/ring/contract/calls.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// The longest wait before another look. What has come shows in shared memory; being woken only
// makes it show at once, and a plugin can close the descriptor for that.
constexpr std::chrono::milliseconds kLookEvery{20};

}  // namespace

Trial::~Trial() {
  if (output_.has_value()) {
    output_->Finish();
  }
}

Status Trial::Start() {
  CATCHUP_ASSIGN_OR_RETURN(const RunnerBinary binary, RunnerBinary::Find());
  CATCHUP_ASSIGN_OR_RETURN(const RunnerLock lock,
                           RunnerLock::TryTake(options_.scratch / "runner.lock"));
  RunnerStart start;
  start.binary = &binary;
  start.group = &group_;
  start.plugin = options_.copy;
  start.working_directory = options_.work;
  start.token = 1;
  start.ignore_position = !options_.with_position && !options_.create_only;
  start.create_only = options_.create_only;
  CATCHUP_ASSIGN_OR_RETURN(link_, StartRunner(start, lock));
  output_.emplace(link_->process().output(), options_.most_lines);
  return {};
}

Trial::Answer Trial::AwaitReady() {
  const auto deadline = Clock::now() + group_.start_timeout;
  while (!link_->ready() && !end_.has_value()) {
    const bool gone = WaitForNews(deadline);
    Look();
    if (gone && !end_.has_value()) {
      end_ = Ended();
    } else if (!link_->ready() && !end_.has_value() && Clock::now() >= deadline) {
      end_ = Hung(options_.start_limit, group_.start_timeout, false);
    }
  }
  if (!end_.has_value()) {
    return {};
  }
  end_->text = ShowPath(std::move(end_->text), options_.copy.string(), options_.plugin.string());
  if (group_.projection.empty()) {
    // The runner asks for it by its key.
    end_->text = ShowPath(std::move(end_->text), "`projection`", options_.projection);
  }
  return *end_;
}

// Nothing the runner says counts any more.
void Trial::BreakOff(std::int32_t status, std::string text) {
  link_->process().Kill();
  (void)Ended();
  end_ = Answer{status, std::move(text), true};
}

// The plugin is given nothing any more, but may still end what it has begun.
void Trial::Refuse(Answer refused) {
  (void)Stop();
  end_ = std::move(refused);
}

void Trial::Take(Outcome outcome) {
  switch (outcome.kind) {
    case OutcomeKind::kLog:
      output_->PrintLine(outcome.text);
      break;
    case OutcomeKind::kReady:
      link_->MarkReady();
      position_mode_ = outcome.position_mode;
      loaded_ = outcome.loaded;
      if (loaded_.has_value() && !IsPlace(*loaded_)) {
        Refuse({CATCHUP_FAILED, LoadedNoPlace(*loaded_), true});
      }
      break;
    case OutcomeKind::kStopped:
      link_->NoteStopped(std::move(outcome.text));
      break;
    case OutcomeKind::kFailure:
      if (outcome.status == kRunnerContract) {
        // As a host would: what such a plugin does next is not to be waited for.
        BreakOff(outcome.status, fmt::format("{} {}", CallName(outcome.call), outcome.text));
      } else if (outcome.ticket != 0) {
        TakeFailure(std::move(outcome));
      } else {
        Refuse({outcome.status, std::move(outcome.text), true});
      }
  }
}

// What was applied before it has its answer. As a host does, what a failed call of several left
// comes again one by one, and that answer counts; a single event that failed is passed over.
void Trial::TakeFailure(Outcome failure) {
  const Tickets& tickets = link_->tickets();
  const std::size_t failed = tickets.ItemOf(failure.ticket);
  AnswerUpTo(failure.ticket - 1);
  if (failure.call_first != failure.call_last && failure.status != CATCHUP_FATAL) {
    alone_until_ = tickets.ItemOf(failure.call_last);
    output_->PrintLine(fmt::format(
        "{} of {} events: {} after {}, the rest comes again one by one: {}", CallName(failure.call),
        failure.call_last - failure.call_first + 1, CallStatusName(failure.status),
        failure.ticket - failure.call_first, failure.text));
    GiveAgain(failed - 1);
  } else {
    answers_.push_back({failure.status, std::move(failure.text), false});
    GiveAgain(failed);
  }
}

// The events behind the first `from` are given in a new epoch.
void Trial::GiveAgain(std::size_t from) {
  link_->tickets().Forget();
  given_ = from;
  if (const Status begun = link_->rings().BeginEpoch(); !begun.ok()) {
    BreakOff(kRunnerContract, begun.message());
  }
}

void Trial::AnswerUpTo(Ticket settled) {
  const std::size_t event = link_->tickets().ItemOf(settled);
  answers_.resize(std::max(answers_.size(), event));
}

// Takes what the runner has said. True if an answer may have come.
bool Trial::Look() {
  const std::size_t before = answers_.size();
  const auto settled = link_->rings().PollSettled();
  if (settled.ok()) {
    AnswerUpTo(*settled);
  }
  while (!end_.has_value()) {
    auto outcome = link_->rings().PollOutcome();
    if (!outcome.ok()) {
      BreakOff(kRunnerContract, outcome.status().message());
      break;
    }
    if (!outcome->has_value()) {
      break;
    }
    Take(std::move(**outcome));
  }
  if (!end_.has_value() && !settled.ok()) {
    BreakOff(kRunnerContract, settled.status().message());
  }
  return end_.has_value() || answers_.size() > before;
}

// Waits until there may be something to look at, but not past `deadline`; true when the runner is
// gone. The plugin's output is passed on, for a full pipe would stop the plugin.
bool Trial::WaitForNews(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  const auto wait = std::clamp(left, std::chrono::milliseconds{0}, kLookEvery);
  pollfd waits[] = {{link_->process().pidfd(), POLLIN, 0},
                    {link_->rings().descriptors().host_wake, POLLIN, 0},
                    {output_->fd(), POLLIN, 0}};
  LookAtMemory();
  // Interrupted or not, the caller looks again.
  (void)PollOrPause(waits, std::size(waits), static_cast<int>(wait.count()));
  link_->rings().DrainWake();
  output_->Drain();
  return (waits[0].revents & POLLIN) != 0;
}

// A trial ends where a host would kill the runner; that it would replace one before is no matter
// here.
void Trial::LookAtMemory() {
  if (Clock::now() < next_memory_look_ || link_->out_of_memory()) {
    return;
  }
  const auto use = ReadMemoryUse(link_->process().pid());
  if (use.has_value() && memory_.Judge(*use, false) == MemoryWatch::Verdict::kKill) {
    link_->NoteOutOfMemory(memory_.Describe());
    link_->process().Kill();
  }
  next_memory_look_ = Clock::now() + memory_.pause();
}

// What has room.
void Trial::Give() {
  bool wrote = false;
  while (given_ < events_.size()) {
    const CallFor call_for = given_ < alone_until_ ? CallFor::kOne : CallFor::kSeveral;
    const Ticket ticket = link_->rings().WriteEvent(events_[given_], 1, call_for);
    if (ticket == 0) {
      break;
    }
    link_->tickets().Give(ticket, ++given_);
    wrote = true;
  }
  if (wrote) {
    link_->rings().Publish();
  }
}

std::vector<Trial::Answer> Trial::Handle(std::span<const EventView> events) {
  events_ = events;
  answers_.clear();
  given_ = 0;
  alone_until_ = 0;
  // Its events count from 1 again, and those before have their answers.
  link_->tickets().Forget();
  auto deadline = Clock::now() + Lasting(group_.handler_timeout);
  while (answers_.size() < events.size() && !end_.has_value()) {
    Give();
    // Woken early enough to fill the ring again, if not all had room.
    const std::size_t wanted = given_ < events.size() ? answers_.size() + 1 : given_;
    const Ticket wake_at = link_->tickets().TicketOf(wanted);
    const bool waits = wake_at == 0 || link_->rings().WakeWhenSettled(wake_at);
    const bool gone = waits && WaitForNews(deadline);
    if (Look()) {
      deadline = Clock::now() + Lasting(group_.handler_timeout);
    }
    if (gone && !end_.has_value() && answers_.size() < events.size()) {
      end_ = Ended();
    } else if (!end_.has_value() && Clock::now() >= deadline) {
      end_ = Hung("handler_timeout", group_.handler_timeout, options_.other_limits_are_defaults);
    }
  }
  output_->Drain();
  if (end_.has_value() && answers_.size() < events.size()) {
    answers_.push_back(*end_);
  } else if (end_.has_value()) {
    answers_.back().ended = true;
  }
  return std::exchange(answers_, {});
}

std::chrono::nanoseconds Trial::Lasting(std::chrono::milliseconds limit) const {
  return options_.other_limits_are_defaults ? FixedWait(limit) : limit;
}

Trial::Answer Trial::Hung(std::string_view key, std::chrono::milliseconds limit, bool is_default) {
  const CallInProgress call = link_->rings().call();
  link_->NoteHung();
  link_->process().Kill();
  Answer hung = Ended();
  hung.text = fmt::format("{} hung: it took longer than {} = {}{}",
                          call.running() ? CallName(call.kind) : "the plugin's process", key,
                          DescribeDuration(limit), is_default ? ", a group's default" : "");
  return hung;
}

Trial::Answer Trial::Ended() {
  const RunnerLink::Ending ending = link_->Reap();
  output_->NoteLost(link_->rings().log_lines_dropped());
  output_->Finish();
  return {ending.exit_class == ExitClass::kClean ? CATCHUP_OK : CATCHUP_FAILED,
          ending.text.empty() ? std::string(ExitClassName(ending.exit_class)) : ending.text, true};
}

Trial::Answer Trial::Stop() {
  link_->rings().RequestStop();
  const auto deadline = Clock::now() + Lasting(group_.drain_timeout);
  while (!end_.has_value()) {
    const bool gone = WaitForNews(deadline);
    (void)Look();
    if (gone && !end_.has_value()) {
      end_ = Ended();
    } else if (!end_.has_value() && Clock::now() >= deadline) {
      end_ = Hung("drain_timeout", group_.drain_timeout, options_.other_limits_are_defaults);
    }
  }
  return *end_;
}

}  // namespace catchup
