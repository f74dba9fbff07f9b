#include "host/ring/contract/crash_line.h"

#include "host/base/number.h"

namespace catchup {
namespace {

template <typename Number>
bool ReadNumber(std::string_view text, Number* number) {
  const auto found = ParseNumber<Number>(text);
  *number = found.value_or(*number);
  return found.has_value();
}

// False for a number that is none. What is not known is passed over.
bool TakeMember(std::string_view name, std::string_view value, CrashRecord* record) {
  const struct {
    std::string_view name;
    std::string* text;
  } texts[] = {{"call", &record->call},
               {"stream", &record->stream},
               {"plugin", &record->plugin},
               {"frames", &record->frames},
               {"modules", &record->modules}};
  for (const auto& one : texts) {
    if (name == one.name) {
      *one.text = value;
      return true;
    }
  }
  const struct {
    std::string_view name;
    std::uint64_t* number;
  } numbers[] = {{"event", &record->ticket},
                 {"events", &record->events},
                 {"revision", &record->revision},
                 {"lane", &record->lane}};
  for (const auto& one : numbers) {
    if (name == one.name) {
      return ReadNumber(value, one.number);
    }
  }
  if (name == "pid") {
    return ReadNumber(value, &record->pid);
  }
  return name != "signal" || ReadNumber(value, &record->signal);
}

}  // namespace

std::optional<CrashRecord> ParseCrashLine(std::string_view line) {
  if (line.empty() || line.front() != kCrashMark) {
    return std::nullopt;
  }
  line.remove_prefix(1);
  if (!line.starts_with(kCrashWord)) {
    return std::nullopt;
  }
  line.remove_prefix(kCrashWord.size());
  CrashRecord record;
  while (!line.empty()) {
    if (line.front() != '\t') {
      return std::nullopt;
    }
    line.remove_prefix(1);
    const std::string_view member = line.substr(0, line.find('\t'));
    line.remove_prefix(member.size());
    const std::size_t equals = member.find('=');
    if (equals == std::string_view::npos ||
        !TakeMember(member.substr(0, equals), member.substr(equals + 1), &record)) {
      return std::nullopt;
    }
  }
  return record.pid > 0 && record.signal > 0 ? std::optional(std::move(record)) : std::nullopt;
}

}  // namespace catchup
