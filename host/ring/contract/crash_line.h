#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace catchup {

// How a crash report travels from a runner to whoever started it, among what the plugin prints:
//
//   RS "crash" TAB "pid=7" TAB "signal=11" TAB "call=handle" … LF
//
// RS is kCrashMark. A line is at most kMaxCrashLine bytes and one write, which a pipe does not
// break up, so that it is whole whatever is written beside it. A report may come twice, first
// without and then with its frames: the last one counts.
inline constexpr char kCrashMark = '\x1e';
inline constexpr std::string_view kCrashWord = "crash";
inline constexpr std::size_t kMaxCrashLine = 4000;  // Below PIPE_BUF.

// The report as it is read. Nothing in it is to be trusted: a plugin can write such a line too.
struct CrashRecord {
  std::int64_t pid = 0;
  std::int64_t signal = 0;
  std::string call;          // As CallName() has it, "none" between two calls.
  std::uint64_t ticket = 0;  // That of the call's first event.
  std::uint64_t events = 0;  // Of the call; 0: it has none.
  std::string stream;        // Of the first one, with controls and backslashes as \xNN.
  std::uint64_t revision = 0;
  std::string plugin;  // Name and version.
  std::uint64_t lane = 0;
  // "order-totals.so+0x1139 libc.so.6+0x2724a …", innermost first, raw addresses where no module
  // is, "…" where frames were left out; those of the plugin's file are always among them. Empty:
  // none could be told.
  std::string frames;
  // "order-totals.so=BUILDID …" of those in `frames`, in hexadecimal; "-" for none.
  std::string modules;
};

// Reads a line without its end; nothing if it is none of these.
std::optional<CrashRecord> ParseCrashLine(std::string_view line);

}  // namespace catchup
