#include "host/engine/suspects.h"

namespace catchup {

Sequence Suspects::ChargedTo(const Had& had, Sequence charged) {
  if (charged != kUnknownCall) {
    return charged;
  }
  if (had.hung) {
    return *had.hung;
  }
  if (had.letter) {
    return kLetterCall;
  }
  return had.events == 1 ? had.first : 0;
}

}  // namespace catchup
