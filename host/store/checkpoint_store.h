#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/digest.h"
#include "host/base/event_filter.h"
#include "host/base/position.h"
#include "host/base/status.h"
#include "host/base/uuid.h"

namespace catchup {

// A handled event by which a later connect recognises the log. A stream name longer than
// kMaxWitnessStream bytes is not kept: `stream` reads back empty, position and id still prove.
struct Witness {
  Position position;
  Uuid event_id;
  std::uint64_t revision = 0;
  std::string stream;
};

inline constexpr std::size_t kMaxWitnesses = 8;
inline constexpr std::size_t kMaxWitnessStream = 256;

// Where the group began, kept because a plugin that holds its own position may answer "none".
struct RecordedStart {
  enum class Kind : std::uint8_t { kUnknown, kBeginning, kPosition };

  Kind kind = Kind::kUnknown;  // kUnknown: start = "end" and the head has not been read yet.
  Position position;  // kPosition; kBeginning: kEndOfLog where that was an empty log's end.
};

// What one slot says. The filter it was made with is kept beside it by the store.
struct CheckpointRecord {
  std::optional<Position> checkpoint;  // None until the first one is written.
  std::uint64_t token = 0;             // Fencing token of the last runner spawned.
  // The last handled event at or before the checkpoint: a place where an event lies, from which
  // every server resumes soundly. None before the first, or not known.
  std::optional<Position> last_event;
  RecordedStart start;
  std::vector<Witness> witnesses;  // Newest first, at most kMaxWitnesses.
  Digest32 plugin_digest{};        // SHA-256 of the file; all zero: none yet.
  std::uint64_t number = 0;        // Counts the writes; set by the store.
  std::int64_t time_ticks = 0;     // Wall clock of the write, 100 ns since 1970; set by the store.
};

// What the operator wants of a group; survives restarts.
enum class DesiredState : std::uint8_t { kRunning = 1, kPaused = 2, kStopped = 3 };

// Where an operator has put a group.
struct ResetOrder : PositionReset {
  // A plugin that keeps its own position has not been told yet.
  bool pending = true;
};

// The checkpoint of one group: GROUPS/NAME/checkpoint, a plain file with two slots, each under a
// check sum of its own (host/store/checkpoint_file.h, host/store/checkpoint_slot.h). A write
// replaces the older slot, so how it can go wrong on a disk ends like this:
//
//   torn          the slot's sum does not fit: the other one is used, with a warning
//   lost          the slot is older than it should be: the newer of the two is used; where both
//                 show it, with a warning
//   reordered     nothing: no write relies on another one
//   both bad, of another group, of another format: refused, naming the file and the way out
//
// So it costs duplicates and never an event. Nothing grows, so a full disk does not stop it where
// the file system writes in place.
//
// The folder of a group is made by this store, whole and in one step, and by nobody else: a folder
// without its file means that the file was lost. The file is locked while open, and written anew at
// every open (host/store/checkpoint_file.h says why).
//
// Blocking: every write waits for the disk. One thread at a time.
class CheckpointStore {
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

  // What Open() would refuse, or else its warning, found by reading alone: nothing is created,
  // locked or healed. Empty when the group has no folder yet. A host that writes meanwhile does not
  // disturb it.
  static Result<std::string> Inspect(const std::filesystem::path& groups, const std::string& group,
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
  ~CheckpointStore();

  // The last record written or found.
  const CheckpointRecord& record() const;
  DesiredState desired() const;
  const std::filesystem::path& file() const;

  // The last reset, until there is a checkpoint behind it and the plugin has been told.
  const std::optional<ResetOrder>& reset() const;
  // The token by which the plugin's store has refused ours; 0: it has not.
  std::uint64_t fence() const;

  // Whether the configuration's filter is another one than the last run's. From Open() only without
  // a checkpoint (else it refuses), and only once a runner was spawned; the old filter stays in the
  // file until there is a checkpoint, or AcceptFilter() was called.
  bool filter_changed() const;
  // The filter of the last run, as FilterText() writes it.
  const std::string& filter_text() const;

  // Makes the configuration's filter that of the file: without a checkpoint, since nothing was
  // handled under the old one, or with one by an operator's word. Before the first event, else a
  // position that the plugin stores meanwhile would count as made with the old filter. As Save()
  // otherwise; nothing to do if not changed.
  Status AcceptFilter();

  // What Open() found worth a warning, as one slot that was bad; empty if nothing.
  const std::string& warning() const;

  // Writes `record`; returns once it is on the disk. Its token must be the present one, else
  // kDenied (a writer of an earlier spawn), and its checkpoint may not lie before the present one
  // (kInvalid).
  //
  // kExhausted, kUnavailable: nothing changed, may be tried again later. Any other failure of the
  // disk is final: the record on the disk is the old or the new one, and every later call fails.
  Status Save(const CheckpointRecord& record);

  // Writes the record with the next token and returns it. Call before each spawn.
  Result<std::uint64_t> RaiseToken();

  // The plugin's store has seen token `seen`, which is not ours. The group is not to start before
  // TakeOver(), or each try would bring our token nearer to the other one.
  Status SetFence(std::uint64_t seen);
  // Raises the token to the one seen, so that the next RaiseToken() passes it. As Save() otherwise.
  Status TakeOver();

  // An operator's reset, in one write: the checkpoint goes to `to`, or away for the beginning, what
  // lies beyond it is forgotten, and the configuration's filter becomes that of the file. reset()
  // says from then on that the plugin is to be told.
  Status Reset(std::optional<Position> to);
  // The plugin knows, or keeps no position.
  Status FinishReset();

  // As Save(), but the checkpoint may go back or away: an operator's command, or a plugin that
  // keeps its own position and is behind.
  Status Rewind(const CheckpointRecord& record);

  Status SetDesired(DesiredState desired);

  // Whether the file is still there under its name, as each write finds out, too: what is written
  // to a removed file is gone with the next start. Final like a failed write.
  Status CheckStillThere();

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
