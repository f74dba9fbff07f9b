#include "host/base/event.h"

#include "host/base/str_cat.h"

namespace catchup {

std::string TooLargeEvent(std::uint64_t bytes) {
  return StrCat("an event of ", bytes, " bytes with its names: wanted at most ", kMaxEventBytes);
}

}  // namespace catchup
