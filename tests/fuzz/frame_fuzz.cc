// Any bytes as a message of a subscription. Whatever is taken out of it lies within it. And any
// bytes as the details of a status.
#include <chrono>
#include <string_view>
#include <vector>

#include "host/base/check.h"
#include "host/source/client/frame_decoder.h"
#include "host/source/client/retry_delay.h"
#include "tests/fuzz/input.h"

namespace catchup {
namespace {

void CheckWithin(std::string_view part, std::string_view whole) {
  CATCHUP_CHECK(part.empty() || (part.data() >= whole.data() &&
                                 part.data() + part.size() <= whole.data() + whole.size()));
}

void CheckRetryDelay(std::string_view details) {
  const auto delay = RetryDelay(details);
  CATCHUP_CHECK(!delay.has_value() || *delay >= std::chrono::nanoseconds{});
}

}  // namespace
}  // namespace catchup

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace catchup;
  const std::string_view message = fuzz::AsText(bytes, size);
  CheckRetryDelay(message);
  ReadFrame frame;
  const Status status = DecodeReadFrame(message, &frame);
  if (!status.ok()) {
    CATCHUP_CHECK(status.code() == Status::Code::kInvalid && fuzz::IsOneLine(status.message()));
    return 0;
  }
  if (frame.kind == ReadFrame::Kind::kEvent) {
    for (const std::string_view part :
         {frame.event.stream, frame.event.type, frame.event.data, frame.event.metadata}) {
      CheckWithin(part, message);
    }
    CATCHUP_CHECK(frame.event.position != kEndOfLog);
  }
  CATCHUP_CHECK(!frame.position.has_value() || *frame.position != kEndOfLog);
  return 0;
}
