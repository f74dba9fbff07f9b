#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "host/base/event.h"
#include "host/base/status.h"
#include "host/cli/plugin_output.h"
#include "host/config/settings.h"
#include "host/daemon/runner_link.h"

namespace catchup {

// One plugin in a runner of its own, asked one event at a time. What it logs or prints goes to
// standard error meanwhile. The runner goes with this. One thread.
class Trial {
 public:
  struct Options {
    std::filesystem::path plugin;
    std::string projection;         // Empty: the only one of the file.
    std::filesystem::path scratch;  // For the copy that is loaded.
    std::filesystem::path work;     // The plugin's working directory.
    bool with_position = false;
  };

  // What became of one event, of the set-up or of the stop.
  struct Answer {
    std::int32_t status = 0;  // CATCHUP_OK and so on.
    std::string text;
    bool ended = false;  // The runner is gone; nothing more can be asked.
  };

  explicit Trial(Options options) : options_(std::move(options)) {}
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // Spawns the runner. Once, and first.
  Status Start(const PluginSettings& settings);
  // Waits until the plugin has started, or has not.
  Answer AwaitReady();
  // `sequence` counts from 1.
  Answer Handle(std::uint64_t sequence, const EventView& event);
  // Once ready: whether the plugin keeps its own position.
  bool position_mode() const { return position_mode_; }
  // Lets the plugin stop; the answer is not OK if it did not end cleanly.
  Answer Stop();

 private:
  using Clock = std::chrono::steady_clock;

  Status Spawn(const PluginSettings& settings);
  Answer Await(std::uint64_t sequence);
  std::optional<Answer> Look(std::uint64_t sequence);
  bool WaitForNews(Clock::time_point deadline);
  Answer Hung();
  Answer Ended();

  const Options options_;
  std::filesystem::path copy_;
  std::optional<RunnerLink> link_;
  std::optional<PluginOutput> output_;
  bool position_mode_ = false;
};

}  // namespace catchup
