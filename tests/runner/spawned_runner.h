#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/ring/host_end.h"
#include "tests/ring/spawn.h"

namespace catchup {

inline std::string FixturePath(std::string_view name) {
  return std::string(FIXTURE_DIRECTORY) + std::string(name) + ".so";
}

// A real catchup-runner with one plugin, driven through its rings as the host does it.
class SpawnedRunner {
 public:
  struct Options {
    std::string plugin = "fixture";
    std::string projection = "plain";
    std::vector<PluginSetting> settings = {};
    std::uint64_t token = 7;
    std::uint32_t open_files = 0;
  };

  explicit SpawnedRunner(const Options& options);

  HostEnd& ring() { return *host_; }
  RingChild& process() { return *child_; }

  // Writes an event of this type and makes it visible at once, or with later ones.
  std::uint64_t Give(std::string_view type, std::string_view data = "");
  std::uint64_t Write(std::string_view type, std::string_view data = "");
  std::uint64_t WriteTo(std::string_view stream, std::uint64_t revision, std::string_view type,
                        std::string_view data = "");
  // One that the runner is to call for alone.
  std::uint64_t WriteAlone(std::string_view type, std::uint32_t attempt);
  std::uint64_t Advance(std::uint64_t commit);

  // Waits for the next outcome that is not a log line; those are collected. A failure of the test
  // and an empty outcome if none comes, or the runner dies before.
  Outcome Next();

  // Whether one is there that Next has not returned, once it has ended.
  bool HasOutcome() const { return !outcomes_.empty(); }

  // Waits until the event is settled; false if the runner fails or dies before.
  bool Settled(std::uint64_t ticket);

  // Waits until it has nothing to do and sleeps.
  bool Sleeps();

  // Stops it and returns its wait status.
  int Stop();
  // Its wait status once it has ended.
  int Ended();

  const std::vector<std::string>& lines() const { return lines_; }
  bool HasLine(std::string_view text) const;

  // What it wrote to standard error so far.
  std::string Errors();

 private:
  bool TakeOutcomes();

  std::unique_ptr<HostEnd> host_;
  UniqueFd errors_;
  std::unique_ptr<RingChild> child_;
  std::string error_text_;
  std::vector<std::string> lines_;
  std::vector<Outcome> outcomes_;
  std::uint64_t ticket_ = 0;
};

// What a command prints to standard output, and its wait status.
struct CommandOutput {
  std::string text;
  int status = -1;
};
CommandOutput RunCommand(const std::string& command);

}  // namespace catchup
