#include "host/cli/trial.h"

#include <catchup/plugin.h>
#include <poll.h>

#include <algorithm>
#include <iterator>

#include "host/base/check.h"
#include "host/base/time_text.h"
#include "host/base/wait.h"
#include "host/cli/printable.h"
#include "host/runner/instance.h"

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
  const auto binary = RunnerBinary::Find();
  if (!binary.ok()) {
    return binary.status();
  }
  auto rings = HostEnd::Create(group_.name);
  if (!rings.ok()) {
    return rings.status();
  }
  RunnerSetup setup;
  setup.group = group_.name;
  setup.projection = group_.projection;
  const std::string path = options_.copy.string();
  setup.plugin_path = path;
  setup.config_json = group_.settings.json;
  setup.settings = &group_.settings.values;
  setup.open_files = group_.limits.open_files;
  setup.token = 1;
  setup.go_on_after_failures = true;
  setup.ignore_position = !options_.with_position && !options_.create_only;
  setup.create_only = options_.create_only;
  if (Status written = (*rings)->WriteSetup(setup); !written.ok()) {
    // More than a runner can be given is the configuration's fault.
    return Status::Invalid(written.message());
  }
  (*rings)->Publish();
  const auto lock = RunnerLock::TryTake(options_.scratch / "runner.lock");
  if (!lock.ok()) {
    return lock.status();
  }
  RunnerProcess::Options options;
  options.group = group_.name;
  options.rings = (*rings)->descriptors();
  options.working_directory = options_.work;
  options.env = group_.env;
  auto process = RunnerProcess::Spawn(*binary, options, *lock);
  if (!process.ok()) {
    return process.status();
  }
  link_.emplace(1, std::move(*rings), std::move(*process));
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

void Trial::Take(Outcome outcome) {
  switch (outcome.kind) {
    case OutcomeKind::kLog:
      output_->PrintLine(outcome.text);
      break;
    case OutcomeKind::kReady:
      link_->MarkReady();
      position_mode_ = outcome.position_mode;
      loaded_ = outcome.loaded;
      break;
    case OutcomeKind::kStopped:
      link_->NoteStopped();
      break;
    case OutcomeKind::kFailure:
      if (outcome.status == kRunnerContract) {
        // As a host would: what such a plugin does next is not to be waited for.
        BreakOff(outcome.status, std::string(CallName(outcome.call)) + " " + outcome.text);
      } else if (outcome.sequence != 0) {
        failures_[outcome.sequence] = {outcome.status, std::move(outcome.text), false};
      } else {
        // The plugin may still end what it has begun.
        const Answer refused{outcome.status, std::move(outcome.text), true};
        (void)Stop();
        end_ = refused;
      }
  }
}

// Takes what the runner has said. True if an answer may have come.
bool Trial::Look() {
  // Before the outcomes: an event that failed is settled only after its failure was told.
  const auto settled = link_->rings().PollSettled();
  while (!end_.has_value()) {
    auto outcome = link_->rings().PollOutcome();
    if (!outcome.ok()) {
      BreakOff(kRunnerContract, outcome.status().message());
      return true;
    }
    if (!outcome->has_value()) {
      break;
    }
    Take(std::move(**outcome));
  }
  if (end_.has_value()) {
    return true;
  }
  if (!settled.ok()) {
    BreakOff(kRunnerContract, settled.status().message());
    return true;
  }
  const bool moved = *settled > settled_;
  settled_ = *settled;
  return moved;
}

// Waits until there may be something to look at, but not past `deadline`; true when the runner is
// gone. The plugin's output is passed on, for a full pipe would stop the plugin.
bool Trial::WaitForNews(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
  const auto wait = std::clamp(left, std::chrono::milliseconds{0}, kLookEvery);
  pollfd waits[] = {{link_->process().pidfd(), POLLIN, 0},
                    {link_->rings().descriptors().host_wake, POLLIN, 0},
                    {output_->fd(), POLLIN, 0}};
  // Interrupted or not, the caller looks again.
  (void)PollOrPause(waits, std::size(waits), static_cast<int>(wait.count()));
  link_->rings().DrainWake();
  output_->Drain();
  return (waits[0].revents & POLLIN) != 0;
}

Trial::Answer Trial::AnswerTo(std::uint64_t sequence) const {
  const auto failure = failures_.find(sequence);
  return failure == failures_.end() ? Answer{} : failure->second;
}

std::vector<Trial::Answer> Trial::Handle(std::span<const EventView> events) {
  std::vector<Answer> answers;
  const std::uint64_t first = given_ + 1;
  const std::uint64_t last = given_ + events.size();
  auto deadline = Clock::now() + group_.handler_timeout;
  while (settled_ < last && !end_.has_value()) {
    bool wrote = false;
    for (; given_ < last && link_->rings().WriteEvent(given_ + 1, events[given_ + 1 - first], 1);
         ++given_) {
      wrote = true;
    }
    if (wrote) {
      link_->rings().Publish();
    }
    // Woken early enough to fill the ring again, if not all had room.
    const bool waits = link_->rings().WakeWhenSettled(given_ < last ? settled_ + 1 : last);
    const bool gone = waits && WaitForNews(deadline);
    if (Look()) {
      deadline = Clock::now() + group_.handler_timeout;
    }
    if (gone && !end_.has_value() && settled_ < last) {
      end_ = Ended();
    } else if (!end_.has_value() && Clock::now() >= deadline) {
      end_ = Hung("handler_timeout", group_.handler_timeout, options_.other_limits_are_defaults);
    }
  }
  output_->Drain();
  for (std::uint64_t at = first; at <= std::min(settled_, last); ++at) {
    answers.push_back(AnswerTo(at));
  }
  if (end_.has_value() && settled_ < last) {
    answers.push_back(*end_);
  } else if (end_.has_value()) {
    answers.back().ended = true;
  }
  failures_.clear();
  return answers;
}

Trial::Answer Trial::Hung(std::string_view key, std::chrono::milliseconds limit, bool is_default) {
  const CallInProgress call = link_->rings().call();
  link_->NoteHung();
  link_->process().Kill();
  Answer hung = Ended();
  hung.text = (call.running() ? std::string(CallName(call.kind)) : "the plugin's process") +
              " hung: it took longer than " + std::string(key) + " = " + DescribeDuration(limit) +
              (is_default ? ", a group's default" : "");
  return hung;
}

Trial::Answer Trial::Ended() {
  const RunnerLink::Ending ending = link_->Reap();
  output_->Finish();
  return {ending.exit_class == ExitClass::kClean ? CATCHUP_OK : CATCHUP_FAILED,
          ending.text.empty() ? std::string(ExitClassName(ending.exit_class)) : ending.text, true};
}

Trial::Answer Trial::Stop() {
  link_->rings().RequestStop();
  const auto deadline = Clock::now() + group_.drain_timeout;
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
