#include "host/cli/trial.h"

#include <catchup/plugin.h>
#include <poll.h>

#include <algorithm>
#include <iterator>

#include "host/base/check.h"
#include "host/cli/printable.h"
#include "host/plugins/plugin_file.h"
#include "host/runner/instance.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kCallLimit{30};

// The longest wait before another look. What has come shows in shared memory; being woken only
// makes it show at once, and a plugin can close the descriptor for that.
constexpr std::chrono::milliseconds kLookEvery{20};

}  // namespace

Trial::~Trial() {
  if (output_.has_value()) {
    output_->Finish();
  }
}

Status Trial::Start(const PluginSettings& settings) {
  const fs::path plugin = fs::absolute(options_.plugin);
  const auto file = FindPlugin({plugin.parent_path()}, plugin.filename().string());
  if (!file.ok()) {
    return file.status();
  }
  const auto staged = StagePlugin(*file, options_.scratch, "");
  if (!staged.ok()) {
    return staged.status();
  }
  copy_ = staged->path;
  return Spawn(settings);
}

Status Trial::Spawn(const PluginSettings& settings) {
  const auto binary = RunnerBinary::Find();
  if (!binary.ok()) {
    return binary.status();
  }
  auto rings = HostEnd::Create("try");
  if (!rings.ok()) {
    return rings.status();
  }
  RunnerSetup setup;
  setup.group = "try";
  setup.projection = options_.projection;
  const std::string path = copy_.string();
  setup.plugin_path = path;
  setup.config_json = settings.json;
  setup.settings = &settings.values;
  setup.token = 1;
  setup.go_on_after_failures = true;
  setup.ignore_position = !options_.with_position;
  CATCHUP_RETURN_IF_ERROR((*rings)->WriteSetup(setup));
  (*rings)->Publish();
  const auto lock = RunnerLock::TryTake(options_.scratch / "runner.lock");
  if (!lock.ok()) {
    return lock.status();
  }
  RunnerProcess::Options options;
  options.group = "try";
  options.rings = (*rings)->descriptors();
  options.working_directory = options_.work;
  auto process = RunnerProcess::Spawn(*binary, options, *lock);
  if (!process.ok()) {
    return process.status();
  }
  link_.emplace(1, std::move(*rings), std::move(*process));
  output_.emplace(link_->process().output());
  return {};
}

Trial::Answer Trial::AwaitReady() {
  Answer ready = Await(0);
  ready.text = ShowPath(std::move(ready.text), copy_.string(), options_.plugin.string());
  return ready;
}

// The outcomes there are, or nothing yet.
std::optional<Trial::Answer> Trial::Look(std::uint64_t sequence) {
  Answer answer;
  bool answered = false;
  while (true) {
    auto outcome = link_->rings().PollOutcome();
    if (!outcome.ok()) {
      return Answer{kRunnerContract, outcome.status().message(), true};
    }
    if (!outcome->has_value()) {
      break;
    }
    if ((*outcome)->kind == OutcomeKind::kLog) {
      output_->PrintLine((*outcome)->text);
    } else if ((*outcome)->kind == OutcomeKind::kReady) {
      link_->MarkReady();
      position_mode_ = (*outcome)->position_mode;
      answered = true;
    } else if ((*outcome)->kind == OutcomeKind::kFailure) {
      answer = {(*outcome)->status, (*outcome)->text, (*outcome)->sequence == 0};
      answered = true;
    } else {
      link_->NoteStopped();
    }
  }
  if (answered) {
    return answer;
  }
  const auto settled = link_->rings().PollSettled();
  if (!settled.ok()) {
    return Answer{kRunnerContract, settled.status().message(), true};
  }
  return sequence != 0 && *settled >= sequence ? std::optional<Answer>(answer) : std::nullopt;
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
  (void)poll(waits, std::size(waits), static_cast<int>(wait.count()));
  link_->rings().DrainWake();
  output_->Drain();
  return (waits[0].revents & POLLIN) != 0;
}

Trial::Answer Trial::Await(std::uint64_t sequence) {
  const auto deadline = Clock::now() + kCallLimit;
  while (true) {
    const bool gone = WaitForNews(deadline);
    const auto answer = Look(sequence);
    if (gone) {
      // Its last words count; but when they end the trial, so does what it died of.
      if (answer.has_value() && !answer->ended) {
        return *answer;
      }
      const Answer ended = Ended();
      return answer.value_or(ended);
    }
    if (answer.has_value()) {
      output_->Drain();
      return *answer;
    }
    if (Clock::now() >= deadline) {
      return Hung();
    }
  }
}

Trial::Answer Trial::Hung() {
  const CallInProgress call = link_->rings().call();
  link_->NoteHung();
  link_->process().Kill();
  Answer hung = Ended();
  hung.text = (call.running() ? std::string(CallName(call.kind)) : "the plugin's process") +
              " hung: no answer within " + std::to_string(kCallLimit.count()) + " s";
  return hung;
}

Trial::Answer Trial::Ended() {
  const RunnerLink::Ending ending = link_->Reap();
  output_->Finish();
  return {ending.exit_class == ExitClass::kClean ? CATCHUP_OK : CATCHUP_FAILED,
          ending.text.empty() ? std::string(ExitClassName(ending.exit_class)) : ending.text, true};
}

Trial::Answer Trial::Handle(std::uint64_t sequence, const EventView& event) {
  // The ring is empty between events, so there is always room.
  CATCHUP_CHECK(link_->rings().WriteEvent(sequence, event, 1));
  link_->rings().Publish();
  if (!link_->rings().WakeWhenSettled(sequence)) {
    const auto answer = Look(sequence);
    output_->Drain();
    return *answer;
  }
  return Await(sequence);
}

Trial::Answer Trial::Stop() {
  link_->rings().RequestStop();
  const auto deadline = Clock::now() + kCallLimit;
  while (!WaitForNews(deadline)) {
    (void)Look(0);
    if (Clock::now() >= deadline) {
      return Hung();
    }
  }
  (void)Look(0);
  return Ended();
}

}  // namespace catchup
