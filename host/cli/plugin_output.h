#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/ring/contract/crash_line.h"
#include "host/ring/layout.h"

namespace catchup {

// What a plugin writes to its standard output and error, passed on to our standard error as it
// comes, a "plugin: TEXT" for each line. Whoever tries a plugin wants to read all of it; whoever
// checks many sets a bound, and the end says how many lines were left out. One thread.
class PluginOutput {
 public:
  // `fd` is the reading end, non-blocking. It stays the caller's and must outlive this.
  PluginOutput(int fd, std::uint64_t most_lines) : fd_(fd), most_lines_(most_lines) {}
  PluginOutput(const PluginOutput&) = delete;
  PluginOutput& operator=(const PluginOutput&) = delete;

  // The descriptor to wait for; -1 once nothing more can come.
  int fd() const { return fd_; }

  // Passes on what has come, without waiting.
  void Drain();

  // The same, then a last line without a line feed, and where the plugin crashed, if it did. Call
  // it once, at the end.
  void Finish();

  // Passes on a line that the plugin said another way, after all it has written before.
  void PrintLine(const std::string& text);

  // Lines that it logged and that did not come, by level; said at the end. The last count holds.
  void NoteLost(const LinesByLevel& lines) { lost_ = lines; }

 private:
  void Print(const std::string& text);
  void EndLine();
  void PrintCrash(const CrashRecord& crash);

  int fd_;
  const std::uint64_t most_lines_;
  std::uint64_t lines_ = 0;
  LinesByLevel lost_{};               // Lines that the plugin logged and that did not come.
  std::string line_;                  // A line whose end has not come yet.
  std::optional<CrashRecord> crash_;  // The last report, told at the end.
};

}  // namespace catchup
