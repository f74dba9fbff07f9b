#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "host/engine/engine.h"
#include "host/source/source.h"
#include "host/store/checkpoint_store.h"

namespace catchup {

// The events that a group has received and not settled yet, by their sequence, and how far the
// present runner has been handed them. Carries out the engine's kDeliver and kRelease:
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
  struct Slot {
    Sequence sequence = 0;
    const EventFrame* frame = nullptr;  // Null for an advance. Valid until its release.
    std::uint32_t attempt = 1;
    bool alone = false;  // In a call of its own.
  };

  // An event that the engine named `sequence`, the next one.
  void Add(Sequence sequence, std::unique_ptr<EventFrame> frame);

  // kDeliver: these may go to the runner now, behind those before.
  void Deliver(const Command& command);

  // kTakeBack: nothing more of what was delivered goes to the runner.
  void TakeBack();

  // kCallLetter, once its event is read back: it may go to the runner now, before all others, as
  // the call number `attempt`. Kept until it is forgotten or taken back.
  void CallLetter(std::unique_ptr<EventFrame> letter, std::uint32_t attempt);
  // What became of it is decided.
  void ForgetLetter();

  // kRelease: everything up to `last` is settled.
  void Release(Sequence last);

  // A new runner has nothing, and gets nothing before the next kDeliver.
  void BeginRunner();

  // The slot that is to go into the ring next; nothing while there is none.
  std::optional<Slot> Next() const;
  // Next() is in the ring.
  void Wrote();

  // Where the runner is to wake the host, if anything waits for its progress: `paused`, the source,
  // or slots that found no room. Asked for once for each stretch; nothing while none is due.
  std::optional<Sequence> WakeAt(bool paused);

  EventName NameOf(Sequence sequence) const override;

  // The event named so, kLetterCall included, while it is here; null for an advance.
  const EventFrame* Find(Sequence sequence) const;

  Sequence settled() const { return settled_; }
  bool empty() const { return slots_.empty(); }
  Sequence oldest() const { return slots_.front().sequence; }  // Unless empty.
  Sequence newest() const { return slots_.back().sequence; }   // Unless empty.

  // The last event that was released. One that was let go unhandled because the group went back
  // counts, too, and lies beyond what is then the checkpoint.
  const std::optional<Witness>& last_released() const { return last_released_; }

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

  std::deque<Entry> slots_;  // Oldest first, without gaps.
  std::deque<Range> to_write_;
  std::unique_ptr<EventFrame> letter_;
  std::uint32_t letter_attempt_ = 0;
  bool letter_waits_ = false;  // It is not in the ring yet.
  Sequence last_written_ = 0;  // To the present runner.
  Sequence settled_ = 0;
  Sequence armed_ = 0;  // The sequence at whose settling the runner will wake us.
  std::optional<Witness> last_released_;
};

}  // namespace catchup
