#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "host/base/fifo.h"
#include "host/base/text_hash.h"
#include "host/engine/command.h"

namespace catchup {

// Which event is next where several lanes take them: of each stream one after the other, so that a
// stream is on one lane at a time. Used by groups of more than one lane only.
//
//   Add ──► waits ──Take──► taken ──Done──► gone
//             ▲               │
//             └───GiveBack────┘
//
// A stream is busy while an event of it is taken, or it is occupied by something that is no event
// here, a letter. The first event that waits of a stream that is not busy is ready.
//
// Names are kept once for each stream that has an event here. Knows nothing of lanes.
class Streams {
 public:
  // `sequence` follows the last one that was added.
  void Add(Sequence sequence, std::string_view stream);

  // The oldest that is ready; 0 while none is.
  Sequence Next() const { return NextAfter(0); }
  // The oldest behind `sequence` that is.
  Sequence NextAfter(Sequence sequence) const {
    const auto next = ready_.upper_bound(sequence);
    return next == ready_.end() ? 0 : *next;
  }

  // The next of the same stream that waits, in order; 0 where none does.
  Sequence NextOfItsStream(Sequence taken) const { return Of(taken).first; }

  // The first that waits of its stream is taken; also of a busy one, by whoever has it.
  void Take(Sequence sequence);

  // One that was taken needs no further call.
  void Done(Sequence sequence);

  // One that was taken waits again, first of its stream; of several the last one comes first.
  void GiveBack(Sequence sequence);

  // Something else of the stream is called, or not any more.
  void Occupy(std::string_view stream);
  void Vacate(std::string_view stream);

  // Everything up to `last` is settled.
  void Release(Sequence last);

  // Nothing is here any more.
  void Clear();

  // --- For tests. ---

  bool OfOneStream(Sequence one, Sequence other) const { return &Of(one) == &Of(other); }
  bool Waits(Sequence sequence) const { return entries_[sequence - first_].waits; }
  std::string_view CheckInvariants() const;

 private:
  struct Entry {
    std::uint32_t stream = 0;
    bool waits = false;
    Sequence next = 0;  // Of its stream, while it waits.
  };
  struct Stream {
    const std::string* name = nullptr;
    Sequence first = 0;  // That waits.
    Sequence last = 0;
    std::uint32_t busy = 0;    // Events taken, and who occupies it.
    std::uint32_t events = 0;  // Not released.
  };

  Entry& At(Sequence sequence) { return entries_[sequence - first_]; }
  const Entry& At(Sequence sequence) const { return entries_[sequence - first_]; }
  const Stream& Of(Sequence sequence) const { return streams_[At(sequence).stream]; }
  std::uint32_t IdOf(std::string_view stream);
  void Free(Stream* stream);
  void ForgetIfUnused(std::uint32_t id);

  Fifo<Entry> entries_;
  Sequence first_ = 1;  // Of entries_.
  std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> ids_;
  std::vector<Stream> streams_;
  std::vector<std::uint32_t> unused_;
  std::set<Sequence> ready_;
};

}  // namespace catchup
