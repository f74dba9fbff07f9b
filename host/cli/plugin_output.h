#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "host/ring/contract/crash_line.h"
#include "host/ring/layout.h"

namespace catchup {

// What a plugin writes to its standard output and error, passed on to our standard error as it
// comes, a "plugin: TEXT" for each line. Who tries a plugin wants to read all of it; who looks at
// many sets a bound, and how many lines were left out is said at the end. One thread.
class PluginOutput {
 public:
  // `fd` is the reading end, non-blocking. It stays the caller's and must outlive this.
  PluginOutput(int fd, std::uint64_t most_lines) : fd_(fd), most_lines_(most_lines) {}
  PluginOutput(const PluginOutput&) = delete;
  PluginOutput& operator=(const PluginOutput&) = delete;

  // What to wait for; -1 once nothing can come any more.
  int fd() const { return fd_; }

  // Passes on what has come. Waits for no more of it.
  void Drain();

  // The same, a last line that has no line feed, and where the plugin crashed, if it did. Once
  // nothing more is wanted.
  void Finish();

  // One line of the plugin's by another way, behind what it wrote before.
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
  LinesByLevel lost_{};
  std::string line_;                  // Its end has not come yet.
  std::optional<CrashRecord> crash_;  // The report that came last, told at the end.
};

}  // namespace catchup
