#include "host/base/time_text.h"

#include <cmath>
#include <cstdio>
#include <ctime>

#include "host/base/str_cat.h"

namespace catchup {

std::string FormatTicks(std::int64_t ticks) {
  std::int64_t seconds = ticks / kTicksPerSecond;
  std::int64_t fraction = ticks % kTicksPerSecond;
  if (fraction < 0) {
    fraction += kTicksPerSecond;
    --seconds;
  }
  const std::time_t time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char text[64];
  const int length =
      std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%07lldZ",
                    parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                    parts.tm_min, parts.tm_sec, static_cast<long long>(fraction));
  return {text, static_cast<std::size_t>(length)};
}

std::optional<std::int64_t> ParseTicks(std::string_view text) {
  std::tm parts{};
  long long fraction = 0;
  int end = 0;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%7lldZ%n", &parts.tm_year, &parts.tm_mon,
                  &parts.tm_mday, &parts.tm_hour, &parts.tm_min, &parts.tm_sec, &fraction,
                  &end) != 7) {
    return std::nullopt;
  }
  parts.tm_year -= 1900;
  --parts.tm_mon;
  const std::int64_t ticks = timegm(&parts) * kTicksPerSecond + fraction;
  // Whatever else passes for numbers does not come out the same again.
  return FormatTicks(ticks) == text ? std::optional(ticks) : std::nullopt;
}

std::int64_t NowTicks() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::int64_t>(now.tv_sec) * kTicksPerSecond + now.tv_nsec / kNanosPerTick;
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  char text[64];
  // The limits lie where the smaller unit would round up to one of the larger.
  if (seconds < 0.9995) {
    std::snprintf(text, sizeof text, "%.0fms", seconds * 1000);
  } else if (seconds < 59.95) {
    std::snprintf(text, sizeof text, "%.1fs", seconds);
  } else if (seconds < 3599.5) {
    const int whole = static_cast<int>(std::lround(seconds));
    std::snprintf(text, sizeof text, "%dm%02ds", whole / 60, whole % 60);
  } else {
    const auto minutes = static_cast<long long>((seconds + 0.5) / 60);
    std::snprintf(text, sizeof text, "%lldh%02lldm", minutes / 60, minutes % 60);
  }
  return text;
}

std::string DescribeDuration(std::chrono::milliseconds duration) {
  using std::chrono::hours;
  using std::chrono::minutes;
  using std::chrono::seconds;
  const auto in = [duration](auto unit, const char* name) { return StrCat(duration / unit, name); };
  if (duration.count() == 0 || duration % seconds(1) != duration.zero()) {
    return in(std::chrono::milliseconds(1), "ms");
  }
  if (duration % minutes(1) != duration.zero()) {
    return in(seconds(1), "s");
  }
  return duration % hours(1) != duration.zero() ? in(minutes(1), "m") : in(hours(1), "h");
}

std::string FormatCount(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3;) {
    at -= 3;
    text.insert(at, 1, ',');
  }
  return text;
}

}  // namespace catchup
