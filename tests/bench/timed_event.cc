#include "tests/bench/timed_event.h"

#include <poll.h>

#include "host/base/random.h"

namespace catchup::bench {

Status AppendTimed(Appender* appender, const std::string& stream, const std::string& type,
                   Clock::time_point time) {
  NewEvent event;
  event.id = RandomUuid();
  event.type = type;
  event.data = std::to_string(std::chrono::nanoseconds(time.time_since_epoch()).count());
  const NewEvent* const one[] = {&event};
  appender->Append(stream, {}, one);
  for (;;) {
    for (const AppendAnswer& answer : appender->Take()) {
      return answer.status;
    }
    pollfd wait{appender->wake(), POLLIN, 0};
    (void)poll(&wait, 1, 1000);
  }
}

}  // namespace catchup::bench
