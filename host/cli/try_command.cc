#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "host/base/log_line.h"
#include "host/base/time_text.h"
#include "host/cli/commands.h"
#include "host/cli/event_file.h"
#include "host/config/reader.h"
#include "host/daemon/runner_link.h"
#include "host/plugins/plugin_file.h"
#include "host/runner/instance.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kCallLimit{30};

// Positions of a trial: line n lies at n*1000, so that they look like offsets and no two are equal.
constexpr std::uint64_t kPositionStep = 1000;

// A directory that is removed with what the plugin left in it.
class ScratchDirectory {
 public:
  static Result<ScratchDirectory> Make() {
    std::string path = (fs::temp_directory_path() / "catchup-try-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) {
      return Status::FromErrno("make a temporary directory", errno);
    }
    return ScratchDirectory(path);
  }
  ScratchDirectory(ScratchDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ScratchDirectory& operator=(ScratchDirectory&&) = delete;
  ~ScratchDirectory() {
    if (!path_.empty()) {
      std::error_code leftover;  // What stays in a temporary directory is swept by the system.
      fs::remove_all(path_, leftover);
    }
  }
  const fs::path& path() const { return path_; }

 private:
  explicit ScratchDirectory(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// What became of one event, or of the set-up.
struct Answer {
  std::int32_t status = CATCHUP_OK;
  std::string text;
  bool ended = false;  // The runner is gone; nothing more can be asked.
};

// One plugin in a runner of its own, asked one event at a time.
class Trial {
 public:
  Trial(const TryArguments& arguments, fs::path scratch)
      : arguments_(arguments), scratch_(std::move(scratch)) {}

  Status Start(const fs::path& work, const PluginSettings& settings);
  Answer AwaitReady() { return Await(0); }
  Answer Handle(std::uint64_t sequence, const EventView& event);
  // Once ready: whether the plugin keeps its own position.
  bool position_mode() const { return position_mode_; }
  // Lets the plugin stop; the answer is not OK if it did not end cleanly.
  Answer Stop();

 private:
  Answer Await(std::uint64_t sequence);
  std::optional<Answer> Look(std::uint64_t sequence);
  Answer Ended();
  void PrintOutput();

  const TryArguments& arguments_;
  const fs::path scratch_;
  std::optional<RunnerLink> link_;
  bool position_mode_ = false;
};

Status Trial::Start(const fs::path& work, const PluginSettings& settings) {
  const fs::path plugin = fs::absolute(arguments_.plugin);
  auto file = FindPlugin({plugin.parent_path()}, plugin.filename().string());
  if (!file.ok()) {
    return file.status();
  }
  auto staged = StagePlugin(*file, scratch_, "");
  if (!staged.ok()) {
    return staged.status();
  }
  auto binary = RunnerBinary::Find();
  if (!binary.ok()) {
    return binary.status();
  }
  auto rings = HostEnd::Create("try");
  if (!rings.ok()) {
    return rings.status();
  }
  RunnerSetup setup;
  setup.group = "try";
  setup.projection = arguments_.projection;
  const std::string path = staged->path.string();
  setup.plugin_path = path;
  setup.config_json = settings.json;
  setup.scalars = &settings.scalars;
  setup.token = 1;
  setup.go_on_after_failures = true;
  setup.ignore_position = !arguments_.with_position;
  CATCHUP_RETURN_IF_ERROR((*rings)->WriteSetup(setup));
  (*rings)->Publish();
  auto lock = RunnerLock::TryTake(scratch_ / "runner.lock");
  if (!lock.ok()) {
    return lock.status();
  }
  RunnerProcess::Options options;
  options.group = "try";
  options.rings = (*rings)->descriptors();
  options.working_directory = work;
  auto process = RunnerProcess::Spawn(*binary, options, *lock);
  if (!process.ok()) {
    return process.status();
  }
  link_.emplace(1, std::move(*rings), std::move(*process));
  return {};
}

void Trial::PrintOutput() {
  for (const std::string& line : link_->ReadOutput().lines) {
    std::fprintf(stderr, "plugin: %s\n", line.c_str());
  }
}

// The outcomes there are, or nothing yet.
std::optional<Answer> Trial::Look(std::uint64_t sequence) {
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
      std::fprintf(stderr, "plugin: %s\n", (*outcome)->text.c_str());
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

Answer Trial::Await(std::uint64_t sequence) {
  const auto deadline = std::chrono::steady_clock::now() + kCallLimit;
  while (true) {
    link_->rings().DrainWake();
    if (auto answer = Look(sequence)) {
      PrintOutput();
      return *answer;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      link_->NoteHung();
      link_->process().Kill();
      return Ended();
    }
    pollfd waits[] = {{link_->rings().descriptors().host_wake, POLLIN, 0},
                      {link_->process().pidfd(), POLLIN, 0}};
    // Interrupted or not, the loop looks again.
    (void)poll(waits, std::size(waits), static_cast<int>(left.count()));
    if ((waits[1].revents & POLLIN) != 0) {
      const auto last_words = Look(sequence);
      if (last_words.has_value() && !last_words->ended) {
        return *last_words;
      }
      Answer ended = Ended();
      return last_words.has_value() ? *last_words : ended;
    }
  }
}

Answer Trial::Ended() {
  PrintOutput();
  const RunnerLink::Ending ending = link_->Reap();
  return {ending.exit_class == ExitClass::kClean ? CATCHUP_OK : CATCHUP_FAILED,
          ending.text.empty() ? std::string(ExitClassName(ending.exit_class)) : ending.text, true};
}

Answer Trial::Handle(std::uint64_t sequence, const EventView& event) {
  // The ring is empty between events, so there is always room.
  CATCHUP_CHECK(link_->rings().WriteEvent(sequence, event, 1));
  link_->rings().Publish();
  if (!link_->rings().WakeWhenSettled(sequence)) {
    return *Look(sequence);
  }
  return Await(sequence);
}

Answer Trial::Stop() {
  link_->rings().RequestStop();
  pollfd wait{link_->process().pidfd(), POLLIN, 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(kCallLimit);
  if (poll(&wait, 1, static_cast<int>(limit.count())) == 0) {
    link_->NoteHung();
    link_->process().Kill();
  }
  (void)Look(0);
  return Ended();
}

std::string AnswerName(const Answer& answer) {
  return answer.ended && answer.status == CATCHUP_FAILED ? "DIED" : CallStatusName(answer.status);
}

void PrintAnswer(const EventFile::Line& line, std::uint64_t revision, const Answer& answer,
                 bool json) {
  if (!json) {
    std::printf("%llu  %s@%llu  %s  %s%s%s\n", static_cast<unsigned long long>(line.number),
                line.event.stream.c_str(), static_cast<unsigned long long>(revision),
                line.event.type.c_str(), AnswerName(answer).c_str(),
                answer.text.empty() ? "" : "  ", answer.text.c_str());
    return;
  }
  std::string out = "{\"line\":" + std::to_string(line.number) + ",\"stream\":";
  AppendJsonString(line.event.stream, &out);
  out += ",\"revision\":" + std::to_string(revision) + ",\"type\":";
  AppendJsonString(line.event.type, &out);
  out += ",\"status\":";
  AppendJsonString(AnswerName(answer), &out);
  out += ",\"text\":";
  AppendJsonString(answer.text, &out);
  std::printf("%s}\n", out.c_str());
}

int Fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return kExitFailed;
}

EventView ViewOf(const EventFile::Line& line, std::uint64_t revision) {
  EventView event;
  event.stream = line.event.stream;
  event.type = line.event.type;
  event.data = line.event.data;
  event.metadata = line.event.metadata;
  event.id = line.id;
  event.revision = revision;
  event.position = {line.number * kPositionStep, line.number * kPositionStep};
  event.created_ticks = NowTicks();
  event.is_json = line.event.is_json;
  return event;
}

bool StopCleanly(Trial* trial) {
  const Answer stopped = trial->Stop();
  if (stopped.status != CATCHUP_OK) {
    std::fprintf(stderr, "stop: %s\n", stopped.text.c_str());
  }
  return stopped.status == CATCHUP_OK;
}

int Feed(Trial* trial, EventFile* file, bool json) {
  std::map<std::string, std::uint64_t> revisions;
  bool all_ok = true;
  std::uint64_t sequence = 0;
  while (true) {
    auto line = file->Next();
    if (!line.ok()) {
      // The events before it were handled: the plugin gets its chance to keep what they made.
      (void)StopCleanly(trial);
      return Fail(line.status());
    }
    if (*line == nullptr) {
      break;
    }
    const std::uint64_t revision = revisions[(*line)->event.stream]++;
    const Answer answer = trial->Handle(++sequence, ViewOf(**line, revision));
    PrintAnswer(**line, revision, answer, json);
    all_ok = all_ok && answer.status == CATCHUP_OK;
    if (answer.ended) {
      return kExitFailed;
    }
  }
  return StopCleanly(trial) && all_ok ? kExitDone : kExitFailed;
}

}  // namespace

int TryCommand(const TryArguments& arguments) {
  const auto settings = SettingsFromArguments(arguments.settings);
  if (!settings.ok()) {
    std::fprintf(stderr, "--set: %s\n", settings.status().message().c_str());
    return kExitUsage;
  }
  auto file = EventFile::Open(arguments.events.string());
  if (!file.ok()) {
    return Fail(file.status());
  }
  auto scratch = ScratchDirectory::Make();
  if (!scratch.ok()) {
    return Fail(scratch.status());
  }
  fs::path work = arguments.work;
  std::error_code failed;
  if (work.empty()) {
    work = scratch->path() / "work";
    fs::create_directory(work, failed);
  }
  if (failed || !fs::is_directory(work, failed)) {
    return Fail(Status::Invalid("--work " + work.string() + ": wanted a directory"));
  }
  Trial trial(arguments, scratch->path());
  if (Status started = trial.Start(work, *settings); !started.ok()) {
    return Fail(started);
  }
  if (const Answer ready = trial.AwaitReady(); ready.status != CATCHUP_OK || ready.ended) {
    std::fprintf(stderr, "%s: the plugin did not start: %s: %s\n", arguments.plugin.c_str(),
                 CallStatusName(ready.status).c_str(), ready.text.c_str());
    return kExitFailed;
  }
  if (arguments.with_position && !trial.position_mode()) {
    (void)StopCleanly(&trial);
    std::fprintf(stderr, "%s: offers no catchup.position/1, which --with-position asks for\n",
                 arguments.plugin.c_str());
    return kExitFailed;
  }
  return Feed(&trial, &*file, arguments.json);
}

}  // namespace catchup
