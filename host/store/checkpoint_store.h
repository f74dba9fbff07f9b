#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/event_filter.h"
#include "host/base/status.h"
#include "host/store/fenced_store.h"

namespace catchup {

// The checkpoint of one group: GROUPS/NAME/checkpoint, a plain file with two slots, each under a
// check sum of its own (host/store/checkpoint_file.h, host/store/checkpoint_slot.h). A write
// replaces the older slot, so each way in which a disk can fail ends like this:
//
//   torn          the slot's sum does not fit: the other one is used, with a warning
//   lost          the slot is older than it should be: the newer of the two is used; where both
//                 show it, with a warning
//   reordered     nothing: no write relies on another one
//   both bad, of another group, of another format: refused, naming the file and the way out
//
// So a fault of the disk costs duplicates and never an event. Nothing grows, so a full disk does
// not stop it where the file system writes in place.
//
// The folder of a group is made by this store, whole and in one step, and by nobody else: a folder
// without its file means that the file was lost. The file is locked while open, and written anew at
// every open (host/store/checkpoint_file.h says why).
//
// Blocking: every write waits for the disk. One thread at a time.
class CheckpointStore final : public FencedStore {
 public:
  // Opens the group's store below `groups` (an existing folder), or creates it durably with its
  // folder and the folder's `data/` when the group has no folder yet.
  //
  // kCorrupt       both slots are bad, or the file is gone while the folder exists; the text names
  //                the file and the way out
  // kIncompatible  another format, or the file of another group
  // kInvalid       the group's filter changed; the text names both and the checkpoint
  // kInUse         another process has it open
  // kExhausted, kUnavailable  no room, descriptors, memory, or right: may pass, try again
  static Result<std::unique_ptr<CheckpointStore>> Open(const std::filesystem::path& groups,
                                                       const std::string& group,
                                                       const EventFilter& filter);

  // What Open() would refuse, or else what it would find, by reading alone: nothing is created,
  // locked or healed. A host that writes meanwhile does not disturb it.
  struct Inspection {
    std::string warning;
    std::optional<CheckpointRecord> record;  // None when the group has no folder yet.
  };
  static Result<Inspection> Inspect(const std::filesystem::path& groups, const std::string& group,
                                    const EventFilter& filter);

  // As Open(), for a command that decides about a changed filter, so that this is no failure, and
  // for a group that has a folder: kNotFound where it has none.
  static Result<std::unique_ptr<CheckpointStore>> OpenForCommand(
      const std::filesystem::path& groups, const std::string& group, const EventFilter& filter);

  // Puts a new store in the place of one that Open() finds kCorrupt, for a reset. The bad file, if
  // there is one, is kept as `checkpoint.bad`. Nothing else of the group's folder is touched.
  static Result<std::unique_ptr<CheckpointStore>> Replace(const std::filesystem::path& groups,
                                                          const std::string& group,
                                                          const EventFilter& filter);

  CheckpointStore(const CheckpointStore&) = delete;
  CheckpointStore& operator=(const CheckpointStore&) = delete;
  ~CheckpointStore() override;

  const CheckpointRecord& record() const override;
  DesiredState desired() const;
  const std::filesystem::path& file() const;

  // What Open() found worth a warning, such as one bad slot; empty if nothing.
  const std::string& warning() const;
  // The token by which the plugin's store has refused ours; 0: it has not.
  std::uint64_t fence() const;
  // The filter of the last run, as FilterText() writes it.
  const std::string& filter_text() const;

  bool filter_changed() const override;
  Status AcceptFilter() override;
  Status Save(const CheckpointRecord& record) override;
  Status Rewind(const CheckpointRecord& record) override;
  Result<std::uint64_t> RaiseTokenAbove(std::uint64_t seen) override;
  Status SetFence(std::uint64_t seen) override;
  Status SetDesired(DesiredState desired) override;
  const std::optional<ResetOrder>& reset() const override;
  Status FinishReset() override;
  // Goes by the file's name: what is written to a removed file is gone with the next start.
  Status CheckStillThere() override;

  // ---- For commands.

  // Raises the token to the one seen, so that the next RaiseToken() passes it. As Save() otherwise.
  Status TakeOver();

  // An operator's reset, in one write: the checkpoint goes to `to`, or away for the beginning;
  // `kept`, none of which lies beyond, is all by which the log is known from then on; whatever
  // letters there are count, and the configuration's filter becomes that of the file. reset() says
  // from then on that the plugin is to be told.
  Status Reset(std::optional<Position> to, std::vector<Witness> kept);

 private:
  struct State;
  explicit CheckpointStore(std::unique_ptr<State> state);
  // Who opens it.
  enum class For : std::uint8_t { kRun, kCommand };
  static Result<std::unique_ptr<CheckpointStore>> TryOpen(const std::filesystem::path& groups,
                                                          const std::string& group,
                                                          const EventFilter& filter, For who);

  std::unique_ptr<State> state_;
};

}  // namespace catchup
