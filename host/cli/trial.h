#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/event.h"
#include "host/base/position.h"
#include "host/base/status.h"
#include "host/cli/plugin_output.h"
#include "host/config/config.h"
#include "host/daemon/runner/memory_watch.h"
#include "host/daemon/runner/runner_link.h"

namespace catchup {

// One plugin in a runner of its own, asked call by call. What it logs or prints goes to standard
// error meanwhile. The runner goes with this. One thread.
class Trial {
 public:
  struct Options {
    std::filesystem::path copy;     // What is loaded.
    std::filesystem::path plugin;   // What it is a copy of, for messages.
    std::filesystem::path scratch;  // For files of the runner's own.
    std::filesystem::path work;     // The plugin's working directory.
    bool with_position = false;
    bool create_only = false;               // End after `create`; nothing can be handed to it.
    std::uint64_t most_lines = UINT64_MAX;  // Lines passed on of what the plugin says.
    // The options by which the user sets these limits.
    std::string start_limit = "start_timeout";
    std::string projection = "`projection`";
    bool other_limits_are_defaults = false;  // The user has no option for them.
  };

  // The outcome of one event, of the set-up or of the stop.
  struct Answer {
    std::int32_t status = 0;  // CATCHUP_OK and so on.
    std::string text;
    bool ended = false;  // The runner is gone; nothing more can be asked.
  };

  // Name, projection, settings, environment and limits are those of `group`, which must outlive
  // this.
  Trial(const GroupConfig& group, Options options)
      : group_(group), options_(std::move(options)), memory_(group.limits.memory_bytes) {}
  ~Trial();
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  // Spawns the runner. Call it once, before anything else.
  Status Start();
  // Waits until the plugin has started, or has failed to: then the runner is gone.
  Answer AwaitReady();
  // Once ready: whether the plugin keeps its own position, and which one it holds.
  bool position_mode() const { return position_mode_; }
  const std::optional<Position>& loaded() const { return loaded_; }

  // Hands over events that the plugin is to get in one call, or in as few as its table and the ring
  // allow. An answer for each, in order; if the runner ends, the last answer says so, and the
  // events behind it have none.
  std::vector<Answer> Handle(std::span<const EventView> events);

  // Lets the plugin stop; the answer is not OK if it did not end cleanly.
  Answer Stop();

 private:
  using Clock = std::chrono::steady_clock;

  // As a time to wait: a default is the program's own.
  std::chrono::nanoseconds Lasting(std::chrono::milliseconds limit) const;
  void Give();
  bool Look();
  void AnswerUpTo(Ticket settled);
  void TakeFailure(Outcome failure);
  void GiveAgain(std::size_t from);
  bool WaitForNews(Clock::time_point deadline);
  void LookAtMemory();
  void Refuse(Answer refused);
  void Take(Outcome outcome);
  void BreakOff(std::int32_t status, std::string text);
  Answer Hung(std::string_view key, std::chrono::milliseconds limit, bool is_default);
  Answer Ended();

  const GroupConfig& group_;
  const Options options_;
  std::unique_ptr<RunnerLink> link_;
  std::optional<PluginOutput> output_;
  MemoryWatch memory_;
  Clock::time_point next_memory_look_;
  bool position_mode_ = false;
  std::optional<Position> loaded_;

  // The state of the present Handle. The tickets' items are its events, counted from 1.
  std::span<const EventView> events_;
  std::vector<Answer> answers_;
  std::size_t given_ = 0;        // Events in the ring.
  std::size_t alone_until_ = 0;  // Events that come again after a failed call of several.
  std::optional<Answer> end_;    // Why nothing more can be asked.
};

}  // namespace catchup
