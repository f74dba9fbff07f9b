#pragma once

#include <vector>

#include "host/store/checkpoint_record.h"

namespace catchup {

// Puts an event behind the newest of `witnesses`, which are newest first, and drops one when there
// are more than kMaxWitnesses: the one whose neighbours are nearest to each other, measured from
// the newest. So those kept lie at a growing distance, from the last commit to the first event ever
// handled, whatever the pace of commits was. One that is not newer than the newest changes nothing.
void AddWitness(Witness fresh, std::vector<Witness>* witnesses);

// Forgets what lies beyond `position`, to which the group has gone back.
void DropWitnessesBeyond(Position position, std::vector<Witness>* witnesses);

}  // namespace catchup
