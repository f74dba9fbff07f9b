#include "host/daemon/runner/runner_report.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "host/base/log.h"
#include "host/base/signals.h"
#include "host/engine/engine_text.h"
#include "host/ring/contract/calls.h"

namespace catchup {
namespace {

constexpr std::string_view kRunnerOutput = "Runner output";
constexpr std::string_view kPluginSays = "Plugin says";

// The level of a plugin's CATCHUP_LOG_*.
LogLevel LevelOf(std::size_t level) {
  constexpr LogLevel kLevels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn,
                                  LogLevel::kError};
  return kLevels[std::min(level, std::size(kLevels) - 1)];
}

}  // namespace

void RunnerReport::Write(LogLevel level, std::string_view msg, std::string_view method,
                         std::vector<LogField> fields) const {
  if (config_.lanes > 1) {
    fields.emplace_back("lane", lane_);
  }
  Log(level, msg, method, config_.name, fields);
}

void RunnerReport::WriteText(LogLevel level, std::string_view msg, std::string_view method,
                             std::string_view text) const {
  if (config_.lanes > 1) {
    LogFromPlugin(level, msg, method, config_.name, {{"text", text}, {"lane", lane_}});
  } else {
    LogFromPlugin(level, msg, method, config_.name, {{"text", text}});
  }
}

void RunnerReport::Started(const RunnerLink& link, std::uint64_t token) const {
  Write(LogLevel::kInfo, "Runner started", "Group.Spawn",
        {{"plugin", config_.plugin}, {"pid", link.process().pid()}, {"token", token}});
}

void RunnerReport::Ready(const Outcome& ready) const {
  Write(LogLevel::kInfo, "Projection started", "Group.Runner",
        {{"plugin", config_.plugin},
         {"pluginVersion", ready.text},
         {"keepsPosition", ready.position_mode},
         {"position", ready.loaded.has_value() ? FormatPosition(*ready.loaded) : "none"},
         {"maxEvents", ready.max_events}});
}

void RunnerReport::Output(const RunnerLink::Output& output) const {
  for (const std::string& line : output.lines) {
    WriteText(LogLevel::kInfo, kRunnerOutput, "Runner.Output", line);
  }
  LogLeftOutOfPlugin(LogLevel::kInfo, kRunnerOutput, config_.name, output.lines_left_out);
}

void RunnerReport::Says(const Outcome& line) const {
  WriteText(LevelOf(line.level), kPluginSays, "Plugin.Log", line.text);
}

void RunnerReport::NotLimited(const std::string& why) const {
  Log(LogLevel::kWarn, "Runner is not held to its limits", "Group.Spawn", config_.name,
      {{"reason", why}});
}

void RunnerReport::StartsFull(const std::string& why) const {
  Log(LogLevel::kWarn, "Runner has little memory left at its start", "Group.Runner", config_.name,
      {{"plugin", config_.plugin}, {"reason", why}});
}

void RunnerReport::CallFailed(const Outcome& failure, FailureClass failure_class,
                              const EventFields& event) const {
  // Fields borrow what they show.
  const std::string status = CallStatusName(failure.status);
  std::vector<LogField> fields = {{"call", CallName(failure.call)},
                                  {"class", FailureClassName(failure_class)},
                                  {"status", status},
                                  {"reason", failure.text}};
  event.AddTo(&fields);
  Write(LogLevel::kError, "Call failed", "Group.Runner", std::move(fields));
}

void RunnerReport::CallHung(const RunnerLink::Overdue& overdue, const EventFields& event) const {
  std::vector<LogField> fields = {
      {"call", overdue.call},
      {"exitClass", ExitClassName(ExitClass::kHung)},
      {"limit", overdue.limit},
      {"limitMs", static_cast<std::int64_t>(overdue.limit_value.count())}};
  event.AddTo(&fields);
  Write(LogLevel::kError, "Call hung", "Group.Clock", std::move(fields));
}

// Tells it at error level, and by another msg than the plugin's own lines, whose rate it does not
// share.
void RunnerReport::Crashed(std::string_view msg, const CrashRecord& crash, ExitClass exit_class,
                           const EventFields& event) const {
  const std::string signal = SignalName(static_cast<int>(crash.signal));
  std::vector<LogField> fields = {
      {"signal", signal},         {"call", crash.call}, {"exitClass", ExitClassName(exit_class)},
      {"plugin", config_.plugin}, {"lane", crash.lane}, {"pid", crash.pid}};
  if (!crash.plugin.empty()) {
    fields.emplace_back("loaded", crash.plugin);
  }
  if (crash.events > 0) {
    fields.emplace_back("events", crash.events);
  }
  event.AddTo(&fields);
  // What ends a runner so is SIGKILL, a thread whose signal stack is missing or overflown, or a
  // plugin that took the signal or closed the report's descriptor.
  fields.emplace_back("frames", crash.frames.empty() ? std::string_view("no report came")
                                                     : std::string_view(crash.frames));
  if (!crash.modules.empty()) {
    fields.emplace_back("modules", crash.modules);
  }
  Log(LogLevel::kError, msg, "Runner.Crash", config_.name, fields);
}

void RunnerReport::Ended(pid_t pid, const RunnerLink::Ending& ending, bool asked,
                         const EventFields& event) const {
  std::vector<LogField> fields = {
      {"exitClass", ExitClassName(ending.exit_class)}, {"pid", pid}, {"reason", ending.text}};
  event.AddTo(&fields);
  Write(asked ? LogLevel::kInfo : LogLevel::kWarn, "Runner ended", "Group.Runner",
        std::move(fields));
}

// Counted with those that came and were held back, so that what a plugin said adds up.
void RunnerReport::LinesLost(const LinesByLevel& lines) const {
  for (std::size_t level = 0; level < lines.size(); ++level) {
    LogLeftOutOfPlugin(LevelOf(level), kPluginSays, config_.name, lines[level]);
  }
}

void RunnerReport::DataDirectoryMade(const std::string& path) const {
  Log(LogLevel::kWarn, "Working directory made again", "Group.Spawn", config_.name,
      {{"directory", path}, {"reason", "it was gone, and with it what the plugin kept there"}});
}

}  // namespace catchup
