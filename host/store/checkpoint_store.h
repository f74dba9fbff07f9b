#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/base/uuid.h"
#include "host/config/config.h"

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

using PluginDigest = std::array<std::uint8_t, 32>;  // SHA-256 of the file; all zero: none yet.

// What one slot says. The filter it was made with is kept beside it by the store.
struct CheckpointRecord {
  std::optional<Position> checkpoint;  // None until the first one is written.
  std::uint64_t token = 0;             // Fencing token of the last runner spawned.
  RecordedStart start;
  std::vector<Witness> witnesses;  // Newest first, at most kMaxWitnesses.
  PluginDigest plugin_digest{};
  std::uint64_t number = 0;     // Counts the writes; set by the store.
  std::int64_t time_ticks = 0;  // Wall clock of the write, 100 ns since 1970; set by the store.
};

// What the operator wants of a group; survives restarts.
enum class DesiredState : std::uint8_t { kRunning = 1, kPaused = 2, kStopped = 3 };

// The checkpoint of one group: GROUPS/NAME/checkpoint.db, an SQLite file with two slots of full
// width, each under a check sum of its own (host/store/checkpoint_slot.h). A write replaces the
// older slot in one transaction, so a damaged slot or a torn write costs duplicates and never an
// event.
//
// The folder of a group is made by this store, whole and in one step, and by nobody else: a folder
// without its file means that the file was lost. The file is locked while open, and rewritten at
// every open (host/store/checkpoint_file.h says why).
//
// Blocking: every write waits for the disk. One thread at a time.
class CheckpointStore {
 public:
  // Opens the group's store below `groups` (an existing folder), or creates it durably with its
  // folder and the folder's `data/` when the group has no folder yet.
  //
  // kCorrupt       both slots are bad, the file is gone while the folder exists, or it is no SQLite
  //                file; the text names the file and the way out
  // kIncompatible  a newer format, or a database of something else
  // kInvalid       the group's filter changed; the text names both and the checkpoint
  // kInUse         another process has it open
  // kExhausted     disk full; others: the file system's answer
  static Result<std::unique_ptr<CheckpointStore>> Open(const std::filesystem::path& groups,
                                                       const std::string& group,
                                                       const EventFilter& filter);

  // What Open() would refuse, found by reading alone: nothing is created, locked, healed or played
  // back. ok when the group has no folder yet. A host that writes meanwhile does not disturb it.
  static Status Inspect(const std::filesystem::path& groups, const std::string& group,
                        const EventFilter& filter);

  CheckpointStore(const CheckpointStore&) = delete;
  CheckpointStore& operator=(const CheckpointStore&) = delete;
  ~CheckpointStore();

  // The last record written or found.
  const CheckpointRecord& record() const;
  DesiredState desired() const;
  const std::filesystem::path& file() const;

  // Whether the configuration's filter is another one than the last run's. Only without a
  // checkpoint (else Open() refuses) and only once a runner was spawned; the old filter stays in
  // the file until there is a checkpoint, or AcceptFilter() was called.
  bool filter_changed() const;

  // Makes the configuration's filter that of the file, without a checkpoint: nothing was handled
  // under the old one. Before the first event, else a position that the plugin stores meanwhile
  // would count as made with the old filter. As Save() otherwise; nothing to do if not changed.
  Status AcceptFilter();

  // What Open() found worth a warning, as one slot that was bad; empty if nothing.
  const std::string& warning() const;

  // Writes `record`; returns once it is on the disk. Its token must be the present one, else
  // kDenied (a writer of an earlier spawn), and its checkpoint may not lie before the present one
  // (kInvalid).
  //
  // kExhausted: the disk is full, nothing changed, try again later. Any other failure of the disk
  // is final: the record on the disk is the old or the new one, and every later call fails.
  Status Save(const CheckpointRecord& record);

  // Writes the record with the next token and returns it. Call before each spawn.
  Result<std::uint64_t> RaiseToken();

  // Takes back the last RaiseToken, whose runner is known to have ended without storing anything
  // under `token`: else each refused start would bring a foreign store's fence nearer. kDenied when
  // that is not the present token.
  Status TakeBackToken(std::uint64_t token);

  // As Save(), but the checkpoint may go back or away: an operator's command, or a plugin that
  // keeps its own position and is behind.
  Status Rewind(const CheckpointRecord& record);

  Status SetDesired(DesiredState desired);

 private:
  struct State;
  explicit CheckpointStore(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace catchup
