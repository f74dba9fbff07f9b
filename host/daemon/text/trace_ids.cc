#include "host/daemon/text/trace_ids.h"

#include <algorithm>
#include <array>
#include <catchup/json_text.hpp>
#include <optional>
#include <utility>

namespace catchup {
namespace {

constexpr std::size_t kTraceDigits = 32;
constexpr std::size_t kSpanDigits = 16;

// In the order in which they are believed.
enum Name : std::size_t { kParent, kTrace, kSpan, kDashedTrace, kDashedSpan, kNames };
constexpr std::array<std::string_view, kNames> kNameTexts = {"traceparent", "$traceId", "$spanId",
                                                             "trace-id", "span-id"};
using Values = std::array<std::optional<std::string>, kNames>;

// Lower case; empty unless it is an id of so many digits.
std::string Id(std::string_view text, std::size_t digits) {
  std::string id(text);
  std::transform(id.begin(), id.end(), id.begin(), [](char c) {
    return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool fits = id.size() == digits && id.find_first_not_of("0123456789abcdef") == id.npos &&
                    id.find_first_not_of('0') != id.npos;
  return fits ? id : std::string();
}

TraceIds Both(std::string_view trace, std::string_view span) {
  TraceIds ids{Id(trace, kTraceDigits), Id(span, kSpanDigits)};
  return ids.trace.empty() || ids.span.empty() ? TraceIds() : ids;
}

// "00-TRACE-SPAN-01"; a later version may have more behind the flags.
TraceIds OfParent(std::string_view text) {
  constexpr std::size_t kTraceAt = 3;
  constexpr std::size_t kSpanAt = kTraceAt + kTraceDigits + 1;
  constexpr std::size_t kFlagsAt = kSpanAt + kSpanDigits + 1;
  constexpr std::size_t kSize = kFlagsAt + 2;
  const auto hex = [](std::string_view part) {
    return part.find_first_not_of("0123456789abcdef") == part.npos;
  };
  const std::string_view version = text.substr(0, 2);
  const bool shaped = text.size() >= kSize && text[2] == '-' && text[kSpanAt - 1] == '-' &&
                      text[kFlagsAt - 1] == '-' && hex(version) && version != "ff" &&
                      hex(text.substr(kFlagsAt, 2)) && hex(text.substr(kTraceAt, kTraceDigits)) &&
                      hex(text.substr(kSpanAt, kSpanDigits)) &&
                      (text.size() == kSize || (version != "00" && text[kSize] == '-'));
  return shaped ? Both(text.substr(kTraceAt, kTraceDigits), text.substr(kSpanAt, kSpanDigits))
                : TraceIds();
}

// The members that are texts; false where it is no JSON object.
bool Read(std::string_view metadata, Values* values) {
  JsonCursor cursor(metadata);
  cursor.SkipSpace();
  if (!cursor.Take('{', "an object")) {
    return false;
  }
  cursor.SkipSpace();
  std::string name;
  std::string text;
  for (bool more = !cursor.next_is('}'); more;) {
    if (!cursor.ReadString(&name)) {
      return false;
    }
    cursor.SkipSpace();
    if (!cursor.Take(':', "a colon")) {
      return false;
    }
    cursor.SkipSpace();
    const auto* known = std::find(kNameTexts.begin(), kNameTexts.end(), name);
    if (known != kNameTexts.end() && cursor.next_is('"')) {
      if (!cursor.ReadString(&text)) {
        return false;
      }
      (*values)[static_cast<std::size_t>(known - kNameTexts.begin())] = text;
    } else if (!cursor.SkipValue()) {
      return false;
    }
    cursor.SkipSpace();
    more = cursor.next_is(',');
    if (more) {
      (void)cursor.Take(',', "a comma");
      cursor.SkipSpace();
    }
  }
  return cursor.Take('}', "the end of the object");
}

}  // namespace

TraceIds TraceIdsOf(std::string_view metadata) {
  Values values;
  if (metadata.size() > kMaxTracedMetadata || !Read(metadata, &values)) {
    return {};
  }
  TraceIds ids = OfParent(values[kParent].value_or(""));
  for (const auto& [trace, span] :
       {std::pair(kTrace, kSpan), std::pair(kDashedTrace, kDashedSpan)}) {
    if (ids.trace.empty()) {
      ids = Both(values[trace].value_or(""), values[span].value_or(""));
    }
  }
  ids.invalid =
      ids.trace.empty() && std::any_of(values.begin(), values.end(),
                                       [](const auto& value) { return value.has_value(); });
  return ids;
}

}  // namespace catchup
