#pragma once

#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/judge.h"

namespace catchup::sim {

// Judges what a history says of calls that fail and of letters, without knowing how the engine
// works:
//
//   cause    every letter has one: a failure in doubt of that class, a REJECT, a hold, an operator,
//            or an earlier letter of its stream. Infrastructure is none (I8)
//   pace     the third stream in a row of one type that fails in doubt, and each one after it,
//            waits for a breaker; so does a letter by a text rule beyond the budget; and nothing is
//            called right after five failures of the infrastructure in a row (I8)
//   breaker  it opens for one of these, for a full store, or for a probe that failed; while it is
//            open nothing is called, then one call at a time until three in a row succeed, which
//            closes it
//   order    no event is called while an earlier one of its stream is a letter, healed or not, in
//            the store, and no letter that is not the first of its stream (I4)
//   call     a letter is called when it is durable, and a dead one only where an operator wants it;
//            an event of a type that is held by hand is not called, nor one that is a letter
//   hold     no type is held by itself before five of its events in a row have become letters, and
//            where the store is half full its events are called
//   dead     a letter dies by REJECT, by its age at a failure in doubt, or by an operator, and is
//            called no more
//   full     there are never more letters than there is room for
//   heal     a complete history leaves no letter that heals, nor one that waits behind nothing (I8)
//   gone     a letter leaves the store healed, dropped, or with what the group went back behind
//
// At most one violation of each kind is returned, the first.
std::vector<Violation> CheckLetters(const History& history);

}  // namespace catchup::sim
