#include "host/base/event.h"

namespace catchup {

std::string TooLargeEvent(std::uint64_t bytes) {
  return "an event of " + std::to_string(bytes) + " bytes with its names: wanted at most " +
         std::to_string(kMaxEventBytes);
}

}  // namespace catchup
