// Any text as a line of an event file. What was read and is written again reads as the same event.
#include <catchup/event_line.hpp>
#include <string>

#include "host/base/check.h"
#include "tests/fuzz/input.h"

namespace catchup {
namespace {

EventLine Borrow(const ParsedEventLine& parsed, fuzz::Input* numbers) {
  EventLine line;
  line.stream = parsed.stream;
  line.type = parsed.type;
  line.data = parsed.data;
  line.metadata = parsed.metadata;
  line.is_json = parsed.is_json;
  line.id = parsed.id.value_or(line.id);
  line.revision = numbers->Take<std::uint64_t>();
  line.commit = numbers->Take<std::uint64_t>();
  line.prepare = numbers->Take<std::uint64_t>();
  line.created_ticks = numbers->Take<std::int64_t>();
  return line;
}

void CheckSame(const EventLine& event) {
  std::string text;
  AppendEventLine(&text, event);
  CATCHUP_CHECK(text.find('\n') == std::string::npos);
  ParsedEventLine again;
  std::string error;
  CATCHUP_CHECK(ParseEventLine(text, &again, &error));
  CATCHUP_CHECK(again.stream == event.stream && again.type == event.type);
  CATCHUP_CHECK(again.data == event.data && again.metadata == event.metadata);
  CATCHUP_CHECK(again.is_json == event.is_json && again.id == event.id);
}

}  // namespace
}  // namespace catchup

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace catchup;
  const std::string_view text = fuzz::AsText(bytes, size);
  ParsedEventLine parsed;
  std::string error;
  fuzz::Input numbers(bytes, size);
  if (ParseEventLine(text, &parsed, &error)) {
    CheckSame(Borrow(parsed, &numbers));
    return 0;
  }
  CATCHUP_CHECK(!error.empty());
  // Any bytes may be a payload.
  EventLine event;
  event.stream = "s";
  event.is_json = size % 2 == 0;
  event.data = text.substr(0, size / 2);
  event.metadata = text.substr(size / 2);
  CheckSame(event);
  return 0;
}
