#include <catchup/plugin.h>
#include <fmt/core.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/path_access.h"
#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/cli/commands.h"
#include "host/cli/event_file.h"
#include "host/cli/guard.h"
#include "host/cli/printable.h"
#include "host/cli/scratch_directory.h"
#include "host/cli/trial.h"
#include "host/config/reader.h"
#include "host/config/table_reader.h"
#include "host/plugins/plugin_file.h"
#include "host/ring/contract/calls.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// Positions of a trial: line n lies at n*1000, so that they look like offsets and no two are equal.
constexpr std::uint64_t kPositionStep = 1000;

// An event that the plugin's own position covers: a host would not hand it over.
constexpr std::string_view kHeld = "HELD";

// The longest --start-timeout; more is a slip.
constexpr std::chrono::hours kLongestStart{24};

struct Verdict {
  std::string name;
  std::string text;
};

Verdict VerdictOf(const Trial::Answer& answer) {
  const bool died = answer.ended && answer.status == CATCHUP_FAILED;
  return {died ? "DIED" : CallStatusName(answer.status), answer.text};
}

void Print(const EventFile::Line& line, std::uint64_t revision, const Verdict& verdict, bool json) {
  if (!json) {
    std::printf("%llu  %s@%llu  %s  %s%s%s\n", static_cast<unsigned long long>(line.number),
                Printable(line.event.stream).c_str(), static_cast<unsigned long long>(revision),
                Printable(line.event.type).c_str(), verdict.name.c_str(),
                verdict.text.empty() ? "" : "  ", Printable(verdict.text).c_str());
    return;
  }
  std::string out = fmt::format("{{\"line\":{},\"stream\":", line.number);
  AppendJsonString(line.event.stream, &out);
  out += fmt::format(",\"revision\":{},\"type\":", revision);
  AppendJsonString(line.event.type, &out);
  out += ",\"status\":";
  AppendJsonString(verdict.name, &out);
  out += ",\"text\":";
  AppendJsonString(verdict.text, &out);
  std::printf("%s}\n", out.c_str());
}

int Fail(const Status& status) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return kExitFailed;
}

Position PositionOf(const EventFile::Line& line) {
  return {line.number * kPositionStep, line.number * kPositionStep};
}

EventView ViewOf(const EventFile::Line& line, std::uint64_t revision) {
  EventView event;
  event.stream = line.event.stream;
  event.type = line.event.type;
  event.data = line.event.data;
  event.metadata = line.event.metadata;
  event.id = line.id;
  event.revision = revision;
  event.position = PositionOf(line);
  event.created_ticks = NowTicks();
  event.is_json = line.event.is_json;
  return event;
}

bool StopCleanly(Trial* trial) {
  const Trial::Answer stopped = trial->Stop();
  if (stopped.status != CATCHUP_OK) {
    std::fprintf(stderr, "stop: %s\n", Printable(stopped.text).c_str());
  }
  return stopped.status == CATCHUP_OK;
}

// Feeds the file to the plugin, so many events at a time.
class Feeding {
 public:
  Feeding(Trial* trial, EventFile* file, const TryArguments& arguments)
      : trial_(*trial), file_(*file), arguments_(arguments) {}

  int Run();

 private:
  struct Waiting {
    EventFile::Line line;
    std::uint64_t revision = 0;
  };

  Result<bool> Collect();
  bool Held(const EventFile::Line& line) const {
    return trial_.loaded().has_value() && PositionOf(line) <= *trial_.loaded();
  }
  bool HandOver();
  void SayWhatWasNotFed(std::uint64_t number, std::size_t unanswered);

  Trial& trial_;
  EventFile& file_;
  const TryArguments& arguments_;
  std::map<std::string, std::uint64_t> revisions_;
  std::vector<Waiting> waiting_;
  bool all_ok_ = true;
};

// The events of the next call. False at the end of the file; there may be some all the same, as
// there may be before a line that is malformed.
Result<bool> Feeding::Collect() {
  waiting_.clear();
  while (waiting_.size() < arguments_.batch) {
    CATCHUP_ASSIGN_OR_RETURN(auto line, file_.Next());
    if (line == nullptr) {
      return false;
    }
    const std::uint64_t revision = revisions_[line->event.stream]++;
    if (Held(*line)) {
      Print(*line, revision,
            {std::string(kHeld), "the plugin holds " + FormatPosition(*trial_.loaded())},
            arguments_.json);
    } else {
      waiting_.push_back({*line, revision});
    }
  }
  return true;
}

// False when the plugin is gone.
bool Feeding::HandOver() {
  if (waiting_.empty()) {
    return true;
  }
  std::vector<EventView> events;
  for (const Waiting& one : waiting_) {
    events.push_back(ViewOf(one.line, one.revision));
  }
  const std::vector<Trial::Answer> answers = trial_.Handle(events);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    Print(waiting_[i].line, waiting_[i].revision, VerdictOf(answers[i]), arguments_.json);
    all_ok_ = all_ok_ && answers[i].status == CATCHUP_OK;
  }
  if (!answers.back().ended) {
    return true;
  }
  SayWhatWasNotFed(waiting_[answers.size() - 1].line.number, waiting_.size() - answers.size());
  return false;
}

// `number` is the line of the last event that has an answer; behind it are as many that were
// written to the plugin's ring without getting one.
void Feeding::SayWhatWasNotFed(std::uint64_t number, std::size_t unanswered) {
  const std::optional<std::uint64_t> rest = file_.CountRest();
  const std::uint64_t count = rest.value_or(0) + unanswered;
  if (rest.has_value() && count == 0) {
    return;
  }
  const std::string who = !rest.has_value() ? "the events"
                          : count == 1      ? "1 event"
                                            : fmt::format("{} events", count);
  std::fprintf(stderr, "%s: %s behind line %llu %s%s\n", arguments_.events.c_str(), who.c_str(),
               static_cast<unsigned long long>(number),
               rest.has_value() && count == 1 ? "was" : "were",
               unanswered == 0 ? " not fed" : " not answered");
}

int Feeding::Run() {
  while (true) {
    const Result<bool> more = Collect();
    // What was read before a bad line is handled: the plugin gets its chance to keep what it made.
    if (!HandOver()) {
      return kExitFailed;
    }
    if (!more.ok()) {
      (void)StopCleanly(&trial_);
      return Fail(more.status());
    }
    if (!*more) {
      return StopCleanly(&trial_) && all_ok_ ? kExitDone : kExitFailed;
    }
  }
}

// The plugin's working directory; made if it is missing.
Result<fs::path> WorkDirectory(const TryArguments& arguments, const ScratchDirectory& scratch) {
  const fs::path work = arguments.work.empty() ? scratch.path() / "work" : arguments.work;
  std::error_code failed;
  fs::create_directories(work, failed);
  std::error_code unknown;
  if (fs::is_directory(work, unknown)) {
    return work;
  }
  if (fs::exists(work, unknown)) {
    return Status::Invalid(
        fmt::format("--work {}: found a file, wanted a directory", work.string()));
  }
  if (Status linked = RefuseLinkToNothing(work); !linked.ok()) {
    return Status::Invalid("--work " + linked.message());
  }
  return Status::FromErrno("--work " + work.string(), failed.value());
}

int Try(const TryArguments& arguments, const PluginSettings& settings,
        std::chrono::milliseconds start_timeout, const ScratchDirectory& scratch) {
  auto file = EventFile::Open(arguments.events.string());
  if (!file.ok()) {
    return Fail(file.status());
  }
  const auto work = WorkDirectory(arguments, scratch);
  if (!work.ok()) {
    return Fail(work.status());
  }
  const fs::path plugin = fs::absolute(arguments.plugin);
  const auto found = FindPlugin({plugin.parent_path()}, plugin.filename().string());
  if (!found.ok()) {
    return Fail(found.status());
  }
  const auto staged = StagePlugin(*found, scratch.path(), "");
  if (!staged.ok()) {
    return Fail(staged.status());
  }
  GroupConfig group;
  group.name = "try";
  group.projection = arguments.projection;
  group.settings = settings;
  group.start_timeout = start_timeout;
  Trial::Options options{staged->path, arguments.plugin, scratch.path(), *work,
                         arguments.with_position};
  options.start_limit = "--start-timeout";
  options.projection = "--projection";
  options.other_limits_are_defaults = true;
  Trial trial(group, options);
  if (Status started = trial.Start(); !started.ok()) {
    return Fail(started);
  }
  if (const Trial::Answer ready = trial.AwaitReady(); ready.ended) {
    std::fprintf(stderr, "%s: the plugin did not start: %s: %s\n", arguments.plugin.c_str(),
                 CallStatusName(ready.status).c_str(), Printable(ready.text).c_str());
    return kExitFailed;
  }
  if (arguments.with_position && !trial.position_mode()) {
    (void)StopCleanly(&trial);
    std::fprintf(stderr, "%s: offers no catchup.position/1, which --with-position asks for\n",
                 arguments.plugin.c_str());
    return kExitFailed;
  }
  return Feeding(&trial, &*file, arguments).Run();
}

}  // namespace

int TryCommand(const TryArguments& arguments) {
  const auto settings = SettingsFromArguments(arguments.settings);
  if (!settings.ok()) {
    std::fprintf(stderr, "--set: %s\n", settings.status().message().c_str());
    return kExitUsage;
  }
  const auto start_timeout =
      ParseDuration(arguments.start_timeout, std::chrono::milliseconds(1), kLongestStart);
  if (!start_timeout.ok()) {
    std::fprintf(stderr, "--start-timeout %s: wanted %s\n", arguments.start_timeout.c_str(),
                 start_timeout.status().message().c_str());
    return kExitUsage;
  }
  const auto scratch = ScratchDirectory::Make();
  if (!scratch.ok()) {
    return Fail(scratch.status());
  }
  return RunGuarded([&] { return Try(arguments, *settings, *start_timeout, *scratch); });
}

}  // namespace catchup
