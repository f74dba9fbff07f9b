#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "host/engine/group_state.h"
#include "host/plugins/plugin_file.h"
#include "host/store/checkpoint_store.h"
#include "host/store/state_directory.h"

namespace catchup {

// Why a group is not to start before a command says so.
struct Hold {
  GroupState state = GroupState::kStopped;
  std::string reason;
};

// What comes before a group can start: its checkpoint store is opened, its plugin found and copied,
// and the start of a new group written down. Blocks on the disk; one thread at a time.
class Preparation {
 public:
  // All must outlive this.
  Preparation(const GroupConfig& config, const StateDirectory& state,
              const std::vector<std::filesystem::path>& plugin_directories)
      : config_(config), state_(state), plugin_directories_(plugin_directories) {}

  // Does what is left to do. A status that may pass (Status::may_pass): call again later, it goes
  // on where it stopped. Any other failure is the group's end.
  Status Run();

  // Run() succeeded, but the group starts at the end of the log: find out where that is, say so and
  // call Run() again.
  bool needs_head() const { return step_ == Step::kAwaitHead; }
  void SetHead(std::optional<Position> head);

  bool done() const { return step_ == Step::kDone; }
  // Run() succeeded and found that the group is not to start: stopped, or fenced. The store stays
  // with this.
  const std::optional<Hold>& hold() const { return hold_; }
  // What Run() failed in: "checkpoint not opened" and the like.
  std::string_view what() const;

  // Once done.
  std::unique_ptr<FencedStore> TakeStore() { return std::move(store_); }
  const StagedPlugin& plugin() const { return *plugin_; }

 private:
  enum class Step : std::uint8_t {
    kOpen,
    kHeld,
    kStage,
    kLookAtStart,
    kAwaitHead,
    kWriteStart,
    kDone
  };

  Status OpenStore();
  std::optional<Hold> FindHold() const;
  Status StagePluginFile();
  Status LookAtStart();

  const GroupConfig& config_;
  const StateDirectory& state_;
  const std::vector<std::filesystem::path>& plugin_directories_;
  Step step_ = Step::kOpen;
  std::unique_ptr<CheckpointStore> store_;
  std::optional<Hold> hold_;
  std::optional<StagedPlugin> plugin_;
  CheckpointRecord record_;  // With the start, for kWriteStart.
};

}  // namespace catchup
