#pragma once

#include <cstdint>
#include <optional>
#include <set>

#include "host/engine/command.h"

namespace catchup {

// Which events a runner's end may be the fault of. A death with one event in hand is that event's;
// with several it says nothing about any one of them, nor does the failure of a call for several:
// each is a suspect then, and is called alone, so that the next time says whose fault it is.
//
// What becomes of a suspect is for whoever judges its calls; here is only who is one.
class Suspects {
 public:
  // What a runner had when it ended.
  struct Had {
    std::uint64_t events = 0;
    Sequence first = 0;              // Of them.
    bool letter = false;             // It called one.
    std::optional<Sequence> hung{};  // That this call hung: 0 is one without an event.
  };

  // What its end is about: `charged`, or where that is kUnknownCall the one thing that it had; 0 if
  // it had none or several.
  static Sequence ChargedTo(const Had& had, Sequence charged);

  // With one lane: every event up to `last`. With several: `one`.
  void AddThrough(Sequence last) { through_ = last > through_ ? last : through_; }
  void Add(Sequence one) { some_.insert(one); }

  bool Has(Sequence sequence) const { return sequence <= through_ || some_.contains(sequence); }

  // Whether none is left, where everything up to `settled` is settled.
  bool none_beyond(Sequence settled) const { return through_ <= settled && some_.empty(); }

  // Everything up to `last` is settled. Needed with several lanes only.
  void Release(Sequence last) { some_.erase(some_.begin(), some_.upper_bound(last)); }

 private:
  Sequence through_ = 0;
  std::set<Sequence> some_;
};

}  // namespace catchup
