#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/daemon/store/preparation.h"
#include "host/daemon/threads/gate.h"
#include "host/daemon/threads/serial_queue.h"

namespace catchup {

// A group's side towards its disk: preparation, checkpoint, fencing token, the plugin's copy.
//
// Every request is a job of the group's queue, so they are carried out in order and one at a time,
// and no function here waits. Each is tried once: a status that may pass (Status::may_pass), as
// where the disk has no room, changed nothing, and when to ask again is for whoever asked. `done`
// comes in a turn of the gate; kCancelled: the request was not wanted any more, nothing was done.
//
// All functions: inside a turn.
class StoreSide {
 public:
  using Done = std::function<void(const Status&)>;
  // Asked right before the try, inside a turn. None: always wanted, by a group that has ended too.
  using Wanted = std::function<bool()>;

  // What it needs; all must outlive it and its jobs.
  struct Services {
    WorkerPool* pool = nullptr;
    const StateDirectory* state = nullptr;
    const std::vector<std::filesystem::path>* plugin_directories = nullptr;
  };

  StoreSide(const GroupConfig& config, const Services& services, std::shared_ptr<Gate> gate);
  ~StoreSide();
  StoreSide(const StoreSide&) = delete;
  StoreSide& operator=(const StoreSide&) = delete;

  // First. See Preparation: where that needs the head, `done` comes with needs_head(), and after
  // SetHead() this is called again.
  void Prepare(Wanted wanted, Done done);
  // Inside `done`: the group is not to start.
  const std::optional<Hold>& hold() const;
  bool needs_head() const;
  void SetHead(std::optional<Position> head);

  // The rest once prepared.

  // The record as it was then; only inside a `done`.
  const CheckpointRecord& record() const;
  // Whether the file holds the filter of an earlier run.
  bool filter_changed() const;
  // A reset that the plugin has not been told of yet.
  std::optional<PositionReset> pending_reset() const;
  const StagedPlugin& plugin() const;

  // Writes a checkpoint, with `witness`, which lies within, as its newest one.
  struct Checkpoint {
    Position position;
    std::optional<Position> event;  // The last one at or before it, where it is known.
    std::optional<Witness> witness;
    std::optional<LettersMark> letters;  // What is parked at or before `position` is in there.
    // The file that runs is the record's from now on. Not before letters and holds are as they are
    // to be with it, since another start would not make them so.
    bool names_plugin = true;
    bool may_go_back = false;
  };
  void Save(Checkpoint checkpoint, Wanted wanted, Done done);

  // Before a spawn: raises the token, since a runner believed dead may be alive and must not commit
  // any more, and makes sure of the plugin's copy. A token of 0: it was not raised, and why. A
  // token that was raised for a spawn which then lacked something is the next spawn's.
  using SpawnReady = std::function<void(std::uint64_t token, const Status& status)>;
  // `seen` is a token that the group has given out as its letters know.
  void PrepareSpawn(std::uint64_t seen, Wanted wanted, SpawnReady done);

  void AcceptFilter(Wanted wanted, Done done);
  // The plugin has been told of the reset.
  void FinishReset(Wanted wanted, Done done);

  // What the operator wants from now on. Always wanted; `done` comes once it is durable, or with
  // why it is not.
  void StoreDesired(DesiredState desired, Done done);
  // The plugin's store has refused our token. Always wanted.
  void StoreFence(std::uint64_t seen);

  // Whether the checkpoint is still where a restart would look for it, and whether `data` is what
  // the group's data/ leads to.
  using FilesDone = std::function<void(const Status& checkpoint, bool has_data)>;
  void CheckFiles(const StateDirectory::GroupData& data, FilesDone done);

 private:
  // What the queue's jobs work with. The last of them may outlive the group.
  struct Shared {
    Shared(const GroupConfig& config, const StateDirectory& state,
           const std::vector<std::filesystem::path>& plugin_directories)
        : group(config), preparation(group, state, plugin_directories) {}
    const GroupConfig group;
    Preparation preparation;
    std::unique_ptr<FencedStore> store;
    std::uint64_t unused_token = 0;  // Raised, and no runner was given it.
  };
  using Step = std::function<Status(Shared*)>;

  void Do(Step step, Wanted wanted, Done done);

  const Services services_;
  const std::shared_ptr<Gate> gate_;
  const std::shared_ptr<Shared> shared_;
  const std::shared_ptr<SerialQueue> queue_;
};

}  // namespace catchup
