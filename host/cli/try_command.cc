#include <catchup/plugin.h>

#include <cstdio>
#include <filesystem>
#include <map>

#include "host/base/log_line.h"
#include "host/base/time_text.h"
#include "host/cli/commands.h"
#include "host/cli/event_file.h"
#include "host/cli/printable.h"
#include "host/cli/scratch_directory.h"
#include "host/cli/trial.h"
#include "host/config/reader.h"
#include "host/runner/instance.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// Positions of a trial: line n lies at n*1000, so that they look like offsets and no two are equal.
constexpr std::uint64_t kPositionStep = 1000;

std::string AnswerName(const Trial::Answer& answer) {
  return answer.ended && answer.status == CATCHUP_FAILED ? "DIED" : CallStatusName(answer.status);
}

void PrintAnswer(const EventFile::Line& line, std::uint64_t revision, const Trial::Answer& answer,
                 bool json) {
  if (!json) {
    std::printf("%llu  %s@%llu  %s  %s%s%s\n", static_cast<unsigned long long>(line.number),
                Printable(line.event.stream).c_str(), static_cast<unsigned long long>(revision),
                Printable(line.event.type).c_str(), AnswerName(answer).c_str(),
                answer.text.empty() ? "" : "  ", Printable(answer.text).c_str());
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
  const Trial::Answer stopped = trial->Stop();
  if (stopped.status != CATCHUP_OK) {
    std::fprintf(stderr, "stop: %s\n", Printable(stopped.text).c_str());
  }
  return stopped.status == CATCHUP_OK;
}

// The plugin is gone, and events may be left. `number` is the line of the last one it was given.
void SayWhatWasNotFed(EventFile* file, const std::string& path, std::uint64_t number) {
  const std::optional<std::uint64_t> rest = file->CountRest();
  if (rest.has_value() && *rest == 0) {
    return;
  }
  const std::string count = !rest.has_value() ? "the events"
                            : *rest == 1      ? "1 event"
                                              : std::to_string(*rest) + " events";
  std::fprintf(stderr, "%s: %s behind line %llu %s not fed\n", path.c_str(), count.c_str(),
               static_cast<unsigned long long>(number), rest == 1 ? "was" : "were");
}

int Feed(Trial* trial, EventFile* file, const TryArguments& arguments) {
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
    const Trial::Answer answer = trial->Handle(++sequence, ViewOf(**line, revision));
    PrintAnswer(**line, revision, answer, arguments.json);
    all_ok = all_ok && answer.status == CATCHUP_OK;
    if (answer.ended) {
      SayWhatWasNotFed(file, arguments.events.string(), (*line)->number);
      return kExitFailed;
    }
  }
  return StopCleanly(trial) && all_ok ? kExitDone : kExitFailed;
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
    return Status::Invalid("--work " + work.string() + ": found a file, wanted a directory");
  }
  return Status::FromErrno("--work " + work.string(), failed.value());
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
  const auto scratch = ScratchDirectory::Make();
  if (!scratch.ok()) {
    return Fail(scratch.status());
  }
  const auto work = WorkDirectory(arguments, *scratch);
  if (!work.ok()) {
    return Fail(work.status());
  }
  Trial trial(
      {arguments.plugin, arguments.projection, scratch->path(), *work, arguments.with_position});
  if (Status started = trial.Start(*settings); !started.ok()) {
    return Fail(started);
  }
  if (const Trial::Answer ready = trial.AwaitReady(); ready.status != CATCHUP_OK || ready.ended) {
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
  return Feed(&trial, &*file, arguments);
}

}  // namespace catchup
