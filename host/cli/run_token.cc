#include "host/cli/run_token.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "host/base/time_text.h"
#include "host/base/uuid.h"

namespace catchup {
namespace {

constexpr std::string_view kForm =
    "dddddddd"
    "T"
    "dddddd"
    "Z-"
    "xxxxxxxxxxxxxxxx";

bool HasForm(std::string_view text) {
  return text.size() == kForm.size() &&
         std::equal(text.begin(), text.end(), kForm.begin(), [](char c, char form) {
           const bool digit = c >= '0' && c <= '9';
           return form == 'd' ? digit : form == 'x' ? digit || (c >= 'a' && c <= 'f') : c == form;
         });
}

unsigned Number(std::string_view digits) {
  unsigned number = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return number;
}

}  // namespace

RunToken NewRunToken() {
  namespace chrono = std::chrono;
  const std::int64_t seconds = NowTicks() / kTicksPerSecond;
  const chrono::sys_seconds now{chrono::seconds(seconds)};
  const auto day = chrono::floor<chrono::days>(now);
  const chrono::year_month_day date{day};
  const chrono::hh_mm_ss time{now - day};
  char text[64];
  std::snprintf(text, sizeof text, "%04d%02u%02uT%02d%02d%02dZ-%016llx",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()),
                static_cast<unsigned long long>(RandomUuid().least_significant()));
  return {text, seconds * kTicksPerSecond};
}

std::optional<RunToken> ParseRunToken(std::string_view text) {
  namespace chrono = std::chrono;
  if (!HasForm(text)) {
    return std::nullopt;
  }
  const chrono::year_month_day date{chrono::year(static_cast<int>(Number(text.substr(0, 4)))),
                                    chrono::month(Number(text.substr(4, 2))),
                                    chrono::day(Number(text.substr(6, 2)))};
  const unsigned hours = Number(text.substr(9, 2));
  const unsigned minutes = Number(text.substr(11, 2));
  const unsigned seconds = Number(text.substr(13, 2));
  if (!date.ok() || hours > 23 || minutes > 59 || seconds > 59) {
    return std::nullopt;
  }
  const chrono::sys_seconds time = chrono::sys_days(date) + chrono::hours(hours) +
                                   chrono::minutes(minutes) + chrono::seconds(seconds);
  return RunToken{std::string(text), time.time_since_epoch().count() * kTicksPerSecond};
}

}  // namespace catchup
