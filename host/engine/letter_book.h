#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "host/base/position.h"
#include "host/base/text_hash.h"
#include "host/engine/letter.h"

namespace catchup {

// The dead letters of a group without their events: which streams they hold, and which letter is to
// be called next. Names are kept once for each stream and type that has letters.
//
// A letter can be called when it is written, not called already, and
//   - healing, and the first of its stream (with `order` kStream; else any): at its due time,
//   - a follower that has become the first of its stream: at once, streams taking turns,
//   - healing or dead, where somebody asked for it: at once, before the others.
// Letters of a held type wait for the hold's own pace instead of their due times.
class LetterBook {
 public:
  using Time = std::chrono::nanoseconds;

  struct Id {
    std::uint32_t stream = 0;
    Position position;
    friend auto operator<=>(const Id&, const Id&) = default;
  };

  struct Letter {
    Position position;
    std::uint32_t type = 0;
    std::uint32_t bytes = 0;
    std::uint32_t streak = 0;  // The number of the streak that it was written in, while that lasts.
    std::uint32_t step = 0;    // Of the delays, the next one's index.
    std::uint32_t attempts = 0;  // Failed calls.
    LetterState state = LetterState::kHealing;
    FailureClass failure = FailureClass::kUnknown;
    bool written = false;  // Durable. Before that nobody can read it back to call it.
    bool asked = false;    // Somebody wants it called.
    Time since{};
    Time due{};

   private:
    friend class LetterBook;
    enum class Queue : std::uint8_t { kNone, kAsked, kHanding, kDue };
    Queue queue = Queue::kNone;
    bool in_call = false;
  };

  LetterBook(LetterOrder order, std::uint64_t max_letters, std::uint64_t max_bytes)
      : order_(order), max_letters_(max_letters), max_bytes_(max_bytes) {}

  // --- What comes and goes. ---

  // No letter is at its place yet. `written` says that the store has it.
  Id Add(const LetterSummary& summary, std::uint32_t streak, bool written);

  // The store has it now; nothing where it is gone.
  void Written(const Id& id);

  // What it takes in the store; nothing where it is gone.
  void Resize(std::string_view stream, Position position, std::uint64_t bytes);

  // Healed or dropped: it is gone, and a follower behind it is handed on.
  void Remove(const Id& id);

  // Every letter behind `position` is gone.
  void RemoveBeyond(const std::optional<Position>& position);

  // --- Calls, one at a time (letter_queue.cc). ---

  // Whether a letter may be called; empty: any.
  using May = std::function<bool(const Id&)>;
  // What is to be called now; null while there is none. What nobody asked for not before `free_at`.
  std::optional<Id> Next(Time now, Time free_at, const May& may = {}) const;
  // When Next will have an answer, as things stand, if it may.
  std::optional<Time> NextAt(Time free_at) const;
  // Of those that Next would name one after the other, the first ones: `most` at the most, which
  // together have no more than `most_bytes`.
  std::vector<Position> Upcoming(Time now, std::size_t most, std::uint64_t most_bytes) const;
  // When the next letter becomes due that is not due yet.
  std::optional<Time> DueAfter(Time now) const;
  // The one to try a breaker with: what somebody asked for, else the letter called least often
  // since its delays began.
  std::optional<Id> ToProbeWith(const May& may = {}) const;

  void BeginCall(const Id& id);
  // It was cut short, which changes nothing.
  void CutCall(const Id& id);
  // It failed; the letter is now as given. A follower behind it stays where it is.
  void EndCall(const Id& id, LetterState state, FailureClass failure, Time since, Time due,
               std::uint32_t step);

  // --- Due times. Each starts the delays anew, and returns for which letters that is news. ---

  std::vector<Position> MakeAllDue(Time now);
  std::vector<Position> MakeTypeDue(std::string_view type, Time now);
  // The streak has ended: its number means nothing any more.
  std::vector<Position> MakeStreakDue(std::string_view type, std::uint32_t streak, Time now);
  // Somebody asks for it; false when it is a follower that is not the first, or not written.
  bool Ask(const Id& id, Time now);

  // --- Holds. ---

  // Letters of the type are called one at each `next` only, or never (null).
  void Hold(std::string_view type, std::optional<Time> next);
  void EndHold(std::string_view type);
  void EndAllHolds();

  // --- Questions. ---

  bool empty() const { return count_ == 0; }
  std::uint64_t letters() const { return count_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t count(LetterState state) const { return counts_[static_cast<std::size_t>(state)]; }
  // One more of `bytes` has no room.
  bool IsFull(std::uint64_t bytes) const {
    return count_ >= max_letters_ || bytes > max_bytes_ - std::min(bytes_, max_bytes_);
  }
  bool IsHalfFull() const { return count_ * 2 >= max_letters_ || bytes_ >= max_bytes_ / 2; }

  bool Has(std::string_view stream, Position position) const;
  // Its first letter is at or before `position`.
  bool Holds(std::string_view stream, Position position) const;
  // Letters of the type that heal.
  bool Heals(std::string_view type) const;
  std::optional<Id> Find(std::string_view stream, Position position) const;
  const Letter* Get(const Id& id) const;
  // The first letter of the stream.
  std::optional<Id> First(std::string_view stream) const;
  std::string_view StreamOf(const Id& id) const { return *streams_[id.stream].name; }
  std::string_view TypeOf(const Letter& letter) const { return *types_[letter.type].name; }
  std::optional<Id> in_call() const { return in_call_; }

  // What is wrong in here; empty when nothing is. Walks through everything.
  std::string_view CheckInvariants() const;

 private:
  using Names = std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>>;

  struct Stream {
    const std::string* name = nullptr;
    std::map<Position, Letter> letters;
  };
  struct Type {
    const std::string* name = nullptr;
    std::uint64_t letters = 0;
    std::uint64_t healing = 0;
    std::set<std::pair<Time, Id>> due;
    std::set<std::pair<std::uint32_t, Id>> in_streaks;  // Written in a streak that lasts.
    bool held = false;
    std::optional<Time> held_next;
    std::optional<Time> listed_at;  // In by_time_.
  };

  Letter& At(const Id& id) { return streams_[id.stream].letters.at(id.position); }
  bool IsFirst(const Id& id) const;
  std::uint32_t StreamId(std::string_view name);
  std::uint32_t TypeId(std::string_view name);
  void ForgetType(std::uint32_t type);
  void Count(const Letter& letter, int by);
  void SetState(Letter* letter, LetterState state);
  void Enqueue(const Id& id);
  void Dequeue(const Id& id);
  void Refresh(std::uint32_t stream);
  bool MakeDue(const Id& id, Time now);
  void Retime(std::uint32_t type);
  template <typename Which>
  std::vector<Position> MakeDueWhere(Time now, Which which);

  const LetterOrder order_;
  const std::uint64_t max_letters_;
  const std::uint64_t max_bytes_;

  Names stream_ids_;
  std::vector<Stream> streams_;
  std::vector<std::uint32_t> free_streams_;
  Names type_ids_;
  std::vector<Type> types_;  // Types stay while they have letters or a hold; ids are used again.
  std::vector<std::uint32_t> free_types_;

  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t counts_[3] = {};

  std::set<Id> asked_;
  std::deque<Id> handing_;
  std::set<std::pair<Time, std::uint32_t>> by_time_;  // Types, when their next letter is due.
  std::optional<Id> in_call_;
};

}  // namespace catchup
