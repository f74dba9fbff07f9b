#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "host/base/witness.h"
#include "host/engine/engine.h"
#include "host/source/source.h"

namespace catchup {

// The events that a group has received and not settled yet, by their sequence, and how far the
// present runner of each lane has been handed its own. Carries out the engine's kDeliver and
// kRelease:
//
//   Add ──► waits ──kDeliver──► may go to the ring ──Next, Wrote──► in the ring ──kRelease──► gone
//             ▲                          │                              │
//             └───────────────────── kTakeBack ─────────────────────────┘
//
// Beside them it may hold one letter, which is called by itself: kCallLetter.
//
// A slot is an event with its bytes, or an advance, which the engine makes up itself and which has
// none. A runner that ends takes nothing with it: the engine delivers to the next one again.
//
// Pure: no I/O, no clock. Not thread safe.
class DeliveryWindow final : public EventNames {
 public:
  explicit DeliveryWindow(LaneNumber lanes = 1) : outlets_(std::max<LaneNumber>(lanes, 1)) {}

  struct Slot {
    Sequence sequence = 0;
    const EventFrame* frame = nullptr;  // Null for an advance. Valid until its release.
    std::uint32_t attempt = 1;
    bool alone = false;  // In a call of its own.
  };

  // An event that the engine named `sequence`, the next one.
  void Add(Sequence sequence, std::unique_ptr<EventFrame> frame);

  // kDeliver: these may go to the lane's runner now, behind those before.
  void Deliver(const Command& command);

  // kTakeBack: nothing more of what was delivered goes to the lane's runner.
  void TakeBack(LaneNumber lane = 0);

  // kCallLetter, once its event is read back: it may go to the lane's runner now, before all
  // others, as the call number `attempt`. Kept until it is forgotten or taken back.
  void CallLetter(LaneNumber lane, std::unique_ptr<EventFrame> letter, std::uint32_t attempt);
  // What became of it is decided.
  void ForgetLetter();

  // kRelease: everything up to `last` is settled.
  void Release(Sequence last);

  // A new runner has nothing, and gets nothing before the next kDeliver.
  void BeginRunner(LaneNumber lane = 0);

  // The slot that is to go into the lane's ring next; nothing while there is none.
  std::optional<Slot> Next(LaneNumber lane = 0) const;
  // Next() is in the ring.
  void Wrote(LaneNumber lane = 0);

  // Where the lane's runner is to wake the host, if anything waits for its progress: `paused`, the
  // source, or slots that found no room; with several lanes always, at the end of what it has,
  // since it gets nothing more before. Asked for once for each stretch; nothing while none is due.
  std::optional<Sequence> WakeAt(bool paused, LaneNumber lane = 0);

  EventName NameOf(Sequence sequence) const override;

  // The event named so, kLetterCall included, while it is here; null for an advance.
  const EventFrame* Find(Sequence sequence) const;

  Sequence settled() const { return settled_; }
  bool empty() const { return slots_.empty(); }
  Sequence oldest() const { return slots_.front().sequence; }  // Unless empty.
  Sequence newest() const { return slots_.back().sequence; }   // Unless empty.

  // The last event that was released, if that is the one at `place`: where the group has gone back,
  // what was let go unhandled is not.
  std::optional<Witness> ReleasedAt(const std::optional<Position>& place) const {
    return last_released_ && last_released_->position == place ? last_released_ : std::nullopt;
  }

 private:
  struct Entry {
    Sequence sequence;
    std::unique_ptr<EventFrame> frame;
  };

  // Delivered and not in the ring yet.
  struct Range {
    Sequence first;
    Sequence last;
    std::uint32_t attempt;
    bool alone;
    bool advance;
  };

  // What goes to the runner of one lane.
  struct Outlet {
    std::deque<Range> to_write;
    Sequence last_written = 0;  // To the present runner.
    Sequence armed = 0;         // The sequence at whose settling the runner will wake us.
  };

  bool LetterWaitsFor(LaneNumber lane) const { return letter_waits_ && letter_lane_ == lane; }

  std::deque<Entry> slots_;  // Oldest first, without gaps.
  std::vector<Outlet> outlets_;
  std::unique_ptr<EventFrame> letter_;
  LaneNumber letter_lane_ = 0;
  std::uint32_t letter_attempt_ = 0;
  bool letter_waits_ = false;  // It is not in the ring yet.
  Sequence settled_ = 0;
  std::optional<Witness> last_released_;
};

}  // namespace catchup
