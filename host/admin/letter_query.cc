#include "host/admin/letter_query.h"

#include <chrono>
#include <optional>

#include "host/base/number.h"
#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/config/table_reader.h"
#include "host/store/letter.h"

namespace catchup {
namespace {

// The most that --older and --newer take; more is a slip.
constexpr std::chrono::hours kLongestAge{24 * 3660};
constexpr std::int64_t kTicksPerMillisecond = kTicksPerSecond / 1000;

Status Unknown(std::string_view option, std::string_view found, std::string_view wanted) {
  return Status::Invalid(std::string(option) + " " + CutText(found, kMaxShown) + ": wanted " +
                         std::string(wanted));
}

Status ReadAge(std::string_view option, const std::string& text, std::optional<std::int64_t>* out) {
  const auto age = ParseDuration(text, std::chrono::milliseconds(1), kLongestAge);
  if (!age.ok()) {
    return Unknown(option, text, age.status().message());
  }
  *out = NowTicks() - age->count() * kTicksPerMillisecond;
  return {};
}

Status ReadOption(std::string_view name, const std::string& text, LetterFilter* filter) {
  if (name == "state") {
    filter->state = ParseStoredState(text);
    return filter->state ? Status() : Unknown(name, text, "healing, dead or follower");
  }
  if (name == "class") {
    filter->letter_class = ParseStoredClass(text);
    return filter->letter_class ? Status() : Unknown(name, text, StoredClassNames());
  }
  if (name == "older" || name == "newer") {
    return ReadAge(name, text, name == "older" ? &filter->written_before : &filter->written_after);
  }
  if (name == "after") {
    CATCHUP_ASSIGN_OR_RETURN(filter->after, ReadLetterId(text));
    return {};
  }
  if (name == "limit") {
    filter->limit = ParseNumber<std::uint64_t>(text).value_or(0);
    return filter->limit != 0 ? Status() : Unknown(name, text, "a number from 1");
  }
  if (name != "stream" && name != "type") {
    return Unknown("option", name,
                   "state, class, stream, type, older, newer, after, limit or view");
  }
  (name == "stream" ? filter->stream : filter->type) = text;
  return {};
}

}  // namespace

Result<LetterFilter> ReadLetterFilter(const LetterOptions& options) {
  LetterFilter filter;
  for (const auto& [name, text] : options) {
    if (!text.empty()) {
      CATCHUP_RETURN_IF_ERROR(ReadOption(name, text, &filter));
    }
  }
  return filter;
}

Result<Position> ReadLetterId(std::string_view text) {
  auto position = ParsePosition(text);
  if (!position.ok() || text.find(':') == std::string_view::npos || !IsPlace(*position)) {
    return Unknown("letter", text, "COMMIT:PREPARE, two decimal numbers, as list shows it");
  }
  return position;
}

}  // namespace catchup
