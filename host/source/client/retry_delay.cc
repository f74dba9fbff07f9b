#include "host/source/client/retry_delay.h"

#include <algorithm>
#include <cstdint>

#include "host/source/client/wire_reader.h"

namespace catchup {
namespace {

constexpr std::string_view kRetryInfo = "type.googleapis.com/google.rpc.RetryInfo";

// What no server means; more seconds than this would not fit either.
constexpr std::int64_t kMaxSeconds = 24 * 3600;

// A google.protobuf.Duration.
std::chrono::nanoseconds Duration(std::string_view bytes) {
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  WireReader reader(bytes);
  while (reader.NextTag()) {
    switch (reader.tag()) {
      case VarintTag(1):
        seconds = static_cast<std::int64_t>(reader.Varint());
        break;
      case VarintTag(2):
        nanos = static_cast<std::int64_t>(reader.Varint());
        break;
      default:
        reader.Skip();
    }
  }
  return std::chrono::seconds(std::clamp<std::int64_t>(seconds, 0, kMaxSeconds)) +
         std::chrono::nanoseconds(std::clamp<std::int64_t>(nanos, 0, 999'999'999));
}

// The bytes of field `tag` of a message, the last of that name as protobuf has it.
std::string_view Field(std::string_view message, std::uint32_t tag) {
  std::string_view found;
  WireReader reader(message);
  while (reader.NextTag()) {
    if (reader.tag() == tag) {
      found = reader.Bytes();
    } else {
      reader.Skip();
    }
  }
  return found;
}

}  // namespace

std::optional<std::chrono::nanoseconds> RetryDelay(std::string_view details) {
  WireReader status(details);
  while (status.NextTag()) {
    if (status.tag() != LengthTag(3)) {
      status.Skip();
      continue;
    }
    const std::string_view any = status.Bytes();
    if (Field(any, LengthTag(1)) == kRetryInfo) {
      return Duration(Field(Field(any, LengthTag(2)), LengthTag(1)));
    }
  }
  return std::nullopt;
}

}  // namespace catchup
