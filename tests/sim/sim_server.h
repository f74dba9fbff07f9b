#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "host/base/witness.h"
#include "tests/sim/faults.h"
#include "tests/sim/history.h"
#include "tests/sim/random.h"

namespace catchup::sim {

// Events of a few streams, matching and not, with gaps between positions and some that share a
// commit position.
std::vector<LogEvent> MakeLog(Random* random);

struct Frame {
  enum class Kind : std::uint8_t { kEvent, kCheckpoint, kCaughtUp };
  Kind kind{};
  std::size_t event = 0;
  std::optional<Position> position{};
};

// A database node with one subscription at a time over a log that becomes visible bit by bit.
// Truthful unless `lying`: then it also sends the frames that real servers have got wrong.
class SimServer {
 public:
  SimServer(const std::vector<LogEvent>* log, Random* random, FaultCounts* faults);

  // A new call, exclusive of `from`; null is the beginning.
  void Open(std::optional<Position> from);

  // The next frame, or none while there is nothing to say.
  std::optional<Frame> Next();

  // The first record at or after `from`, as a single read shows it.
  std::optional<Position> First(Position from) const;

  // What reads show to whoever asks for a witness: as above, but what was scavenged is not shown.
  std::optional<FirstRecord> FirstShown(Position from) const;
  StreamRevision Revision(std::uint32_t stream, std::uint64_t revision) const;

  // Some of the records up to `place` are not to be read one by one any more.
  void Scavenge(Position place);

  // Of the record `index` of the log; one of another log has another one.
  static Uuid IdOf(std::size_t index);

  // The first event of the filter behind `behind`, as a single read shows it.
  std::optional<Position> NextMatch(const std::optional<Position>& behind) const;

  // Whether the call has yet to bring an event.
  bool Owes() const;

  // A frame of some call long ago.
  Frame Stale();

  // The last visible record; null while there is none.
  std::optional<Position> head() const;

  // The last record before `place` that is visible; null where there is none.
  std::optional<Position> Before(Position place) const;

  // The log turns out to be another one, which has grown past `place`, at which no record of it
  // lies.
  void GrowForeign(Position place);

  // As much, with records in between as well, also where those of this log lay.
  void Regrow(Position place);

  // A backup from before `place` was put back.
  void RestoreBefore(Position place);

  std::size_t visible() const { return visible_; }
  void Append() { ++visible_; }

  // A lie was told on this call whose event has not followed.
  bool lie_is_open() const { return event_is_next_; }

  // Two lies in a row were told since this was asked last: the first event that they hide, and up
  // to where.
  struct Hidden {
    std::size_t event = 0;
    Position position;
  };
  std::optional<Hidden> TakeHidden() { return std::exchange(hidden_, std::nullopt); }

  bool lying = false;
  bool lies_twice = false;      // Also twice in a row, which looks like the truth.
  bool sends_caught_up = true;  // Servers before 23.10 do not.
  bool old = false;             // Before 24.2; for the next call.

 private:
  std::size_t LowerBound(Position from) const;
  std::optional<Frame> Lie();
  std::optional<Frame> AtEndOfLog();
  Frame CheckpointAt(Position position);

  const std::vector<LogEvent>& log_;
  Random& random_;
  FaultCounts& faults_;
  std::size_t visible_ = 0;
  std::vector<Position> foreign_;    // Behind what is visible.
  std::set<std::size_t> scavenged_;  // Of the log.

  std::size_t cursor_ = 0;      // Next record to look at.
  std::size_t considered_ = 0;  // Since the last checkpoint frame.
  std::size_t interval_ = 4;    // Records between checkpoint frames.
  bool event_is_next_ = false;  // A lie about this event was told: it follows at once.
  Frame TooHigh();
  std::optional<Position> lie_;  // Told last, as long as it is open.
  std::optional<Hidden> hidden_;
  bool lie_again_ = false;  // As the first frame of this call.
  bool live_ = false;
  bool end_was_announced_ = false;
  std::optional<Position> from_;
  std::optional<std::size_t> last_event_;    // Sent on this call.
  std::optional<Position> last_checkpoint_;  // Sent on this call, truthfully.
};

}  // namespace catchup::sim
