#include "host/store/witnesses.h"

#include <algorithm>
#include <utility>

namespace catchup {

void AddWitness(Witness fresh, std::vector<Witness>* witnesses) {
  if (!witnesses->empty() && fresh.position <= witnesses->front().position) {
    return;
  }
  witnesses->insert(witnesses->begin(), std::move(fresh));
  if (witnesses->size() <= kMaxWitnesses) {
    return;
  }
  const auto distance = [&](std::size_t i) {
    return static_cast<double>(witnesses->front().position.commit -
                               (*witnesses)[i].position.commit);
  };
  // Neither the newest, nor the one before it (nothing measures it), nor the oldest.
  std::size_t least = 2;
  double least_ratio = 0;
  for (std::size_t i = 2; i + 1 < witnesses->size(); ++i) {
    const double nearer = distance(i - 1);
    const double ratio = nearer > 0 ? distance(i + 1) / nearer : 0;
    if (i == 2 || ratio < least_ratio) {
      least = i;
      least_ratio = ratio;
    }
  }
  witnesses->erase(witnesses->begin() + static_cast<std::ptrdiff_t>(least));
}

void DropWitnessesBeyond(Position position, std::vector<Witness>* witnesses) {
  witnesses->erase(
      std::remove_if(witnesses->begin(), witnesses->end(),
                     [&](const Witness& witness) { return witness.position > position; }),
      witnesses->end());
}

}  // namespace catchup
