#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/log_level.h"
#include "host/base/log_line.h"

namespace catchup {

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
};

// Says how this process logs. Before the first call lines of level info and above go out as `auto`
// does. Call it once the configuration is read; later calls replace the options. Any thread.
void ConfigureLog(const LogOptions& options);

// Puts one line on its way to standard error, which a thread of this process writes in the order of
// the calls.
//
// msg     fixed text: what varies belongs in fields, so that lines can be counted and searched
// method  who speaks, as "Group.Start"
// group   the group it is about, empty for the host's own lines
//
// Never put an event's data, a secret or a file's content into a field. At most
// kMaxLogLinesPerSecond lines a second for one msg, group and level; those left out are counted in
// a line of that level, or of level warn, that follows. Nor are lines kept for a reader who falls
// behind by more than about a megabyte: those dropped are counted in a line where they are missing,
// and errors are dropped last. Any thread, under any lock: it never waits for the reader. What is
// not written yet when the process is killed or aborts is lost.
void Log(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
         std::initializer_list<LogField> fields = {});
void Log(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
         const std::vector<LogField>& fields);

inline constexpr std::uint32_t kMaxLogLinesPerSecond = 10;

// The same for what a plugin says or prints, of which kPluginLogBurst lines may come at once. Each
// level has its own budget, so an error is not lost behind a thousand lines of information.
void LogFromPlugin(LogLevel level, std::string_view msg, std::string_view method,
                   std::string_view group, std::initializer_list<LogField> fields);
// Counts lines of such a msg that were left out before they could be passed on.
void LogLeftOutOfPlugin(LogLevel level, std::string_view msg, std::string_view group,
                        std::uint64_t count);

inline constexpr std::uint32_t kPluginLogBurst = 100;

// The same for what has a bound of its own and of which each line counts, as those of dead letters:
// no rate holds them back. For a reader who falls behind 16 MiB of them are kept, besides the other
// lines; only then are they dropped and counted as those are.
void LogEach(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
             const std::vector<LogField>& fields);

// Whether progress is to be drawn: standard error is a terminal and lines are text.
bool LogDrawsProgress();

// The lines to keep below the log on a terminal: drawn over after every call and moved down by log
// lines. A slow terminal shows only the newest. Without a terminal nothing is drawn. An empty list
// removes them; do so before the end. Any thread; never waits.
void SetProgressLines(std::vector<std::string> lines);

// Writes the counts of lines left out that are still owed, then waits until everything is written;
// not any longer than a reader takes it, though: a second and a half at most, and not again before
// that reader has caught up. A process that returns from main() or calls exit() does it by itself.
void FlushLog();

}  // namespace catchup
