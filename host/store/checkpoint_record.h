#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "host/base/digest.h"
#include "host/base/position.h"
#include "host/base/witness.h"

namespace catchup {

// A witness's stream name longer than kMaxWitnessStream bytes is not kept.
inline constexpr std::size_t kMaxWitnesses = 8;
inline constexpr std::size_t kMaxWitnessStream = 256;

// Where the group began, kept because a plugin that holds its own position may answer "none".
struct RecordedStart {
  enum class Kind : std::uint8_t { kUnknown, kBeginning, kPosition };

  Kind kind = Kind::kUnknown;  // kUnknown: start = "end" and the head has not been read yet.
  Position position;  // kPosition; kBeginning: kEndOfLog where that was an empty log's end.
};

// Which letters' file a checkpoint was written beside, and how far that had come by then. What was
// parked before the checkpoint is in that file or a later state of it, so any other one at the next
// start has lost letters.
struct LettersMark {
  std::uint64_t file = 0;     // Drawn by chance when the file was made.
  std::uint64_t changes = 0;  // Of letters, committed in it by then; only grows.
  std::uint64_t letters = 0;  // In it then.
  friend bool operator==(const LettersMark&, const LettersMark&) = default;
};

// What the operator wants of a group; survives restarts.
enum class DesiredState : std::uint8_t { kRunning = 1, kPaused = 2, kStopped = 3 };

// Where an operator has put a group.
struct ResetOrder : PositionReset {
  // A plugin that keeps its own position has not been told yet.
  bool pending = true;
};

// What a store keeps of a group. The filter it was made with is kept beside it by the store.
struct CheckpointRecord {
  std::optional<Position> checkpoint;  // None until the first one is written.
  std::uint64_t token = 0;             // Fencing token of the last runner spawned.
  // The last handled event at or before the checkpoint: a place where an event lies, from which
  // every server resumes soundly. None before the first, or not known.
  std::optional<Position> last_event;
  RecordedStart start;
  std::optional<LettersMark> letters;  // None while there was no such file.
  std::vector<Witness> witnesses;      // Newest first, at most kMaxWitnesses.
  Digest32 plugin_digest{};            // SHA-256 of the file; all zero: none yet.
  std::uint64_t number = 0;            // Counts the writes; set by the store.
  std::int64_t time_ticks = 0;  // Wall clock of the write, 100 ns since 1970; set by the store.
};

}  // namespace catchup
