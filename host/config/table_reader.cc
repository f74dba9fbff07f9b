#include "host/config/table_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <tuple>

#include "host/base/check.h"
#include "host/base/nearest.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

// Largest first, so that a value is described by the largest unit that divides it.
constexpr std::array<Unit, 4> kDurationUnits = {
    {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 4> kSizeUnits = {
    {{"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}}};

template <std::size_t N>
std::string Describe(std::uint64_t value, const std::array<Unit, N>& units) {
  for (const Unit& unit : units) {
    if (value != 0 && value % unit.factor == 0) {
      return fmt::format("{}{}", value / unit.factor, unit.name);
    }
  }
  return fmt::format("{}{}", value, units.back().name);
}

// Digits and one of the units, nothing between them; false also when the product is too large.
template <std::size_t N>
bool ParseWithUnit(std::string_view text, const std::array<Unit, N>& units, std::uint64_t* out) {
  std::uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest == text.data()) {
    return false;
  }
  const std::string_view name(rest, static_cast<std::size_t>(end - rest));
  for (const Unit& unit : units) {
    if (name == unit.name) {
      if (number > std::numeric_limits<std::uint64_t>::max() / unit.factor) {
        return false;
      }
      *out = number * unit.factor;
      return true;
    }
  }
  return false;
}

struct Alias {
  std::string_view name;  // In lower case.
  std::uint64_t factor;
};

// How people write units in other places.
constexpr std::array kDurationAliases = {Alias{"ms", 1},
                                         Alias{"msec", 1},
                                         Alias{"millis", 1},
                                         Alias{"milliseconds", 1},
                                         Alias{"s", 1'000},
                                         Alias{"sec", 1'000},
                                         Alias{"secs", 1'000},
                                         Alias{"second", 1'000},
                                         Alias{"seconds", 1'000},
                                         Alias{"m", 60'000},
                                         Alias{"min", 60'000},
                                         Alias{"mins", 60'000},
                                         Alias{"minute", 60'000},
                                         Alias{"minutes", 60'000},
                                         Alias{"h", 3'600'000},
                                         Alias{"hr", 3'600'000},
                                         Alias{"hrs", 3'600'000},
                                         Alias{"hour", 3'600'000},
                                         Alias{"hours", 3'600'000},
                                         Alias{"d", 86'400'000},
                                         Alias{"day", 86'400'000},
                                         Alias{"days", 86'400'000}};
constexpr std::array kSizeAliases = {
    Alias{"b", 1},          Alias{"byte", 1},        Alias{"bytes", 1},
    Alias{"k", 1u << 10},   Alias{"kb", 1u << 10},   Alias{"ki", 1u << 10},
    Alias{"kib", 1u << 10}, Alias{"m", 1u << 20},    Alias{"mb", 1u << 20},
    Alias{"mi", 1u << 20},  Alias{"mib", 1u << 20},  Alias{"g", 1u << 30},
    Alias{"gb", 1u << 30},  Alias{"gi", 1u << 30},   Alias{"gib", 1u << 30},
    Alias{"t", 1ull << 40}, Alias{"tb", 1ull << 40}, Alias{"tib", 1ull << 40}};

// The value of "1.5 min" and the like, in the smallest unit; nothing where it is none, or not
// whole.
template <std::size_t N>
std::optional<std::uint64_t> Guess(std::string_view text, const std::array<Alias, N>& aliases) {
  constexpr double kMostExact = 9e15;  // Above it a double has no fractions left to look at.
  double number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number, std::chars_format::fixed);
  if (error != std::errc() || number < 0) {
    return std::nullopt;
  }
  std::string unit;
  for (const char c : std::string_view(rest, static_cast<std::size_t>(end - rest))) {
    if (c != ' ') {
      unit += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  for (const Alias& alias : aliases) {
    const double value = number * static_cast<double>(alias.factor);
    if (unit == alias.name && value < kMostExact && value == std::floor(value)) {
      return static_cast<std::uint64_t>(value);
    }
  }
  return std::nullopt;
}

// What was meant by a text that was refused for its form alone.
template <std::size_t N>
std::string Meant(std::optional<std::uint64_t> value, std::uint64_t least, std::uint64_t most,
                  std::string_view text, const std::array<Unit, N>& units) {
  if (!value.has_value() || *value < least || *value > most) {
    return "";
  }
  const std::string meant = Describe(*value, units);
  return meant == text ? "" : fmt::format(", as \"{}\"", meant);
}

std::string Quote(std::string_view text) {
  TomlValue value;
  value.value = std::string(text);
  return DescribeToml(value);
}

}  // namespace

bool ConfigProblems::Problem::operator<(const Problem& other) const {
  return std::tie(location.line, location.column, text) <
         std::tie(other.location.line, other.location.column, other.text);
}

void ConfigProblems::Add(SourceLocation location, std::string text) {
  problems_.insert({location, std::move(text)});
}

void ConfigProblems::Add(const ConfigProblems& others) {
  problems_.insert(others.problems_.begin(), others.problems_.end());
}

std::vector<SourceLocation> ConfigProblems::Places() const {
  std::vector<SourceLocation> places;
  for (const Problem& problem : problems_) {
    places.push_back(problem.location);
  }
  return places;
}

std::vector<std::string> ConfigProblems::Format(std::string_view file) const {
  std::vector<std::string> lines;
  for (const Problem& problem : problems_) {
    lines.push_back(fmt::format("{}:{}:{}: {}", file, problem.location.line,
                                problem.location.column, problem.text));
  }
  return lines;
}

TableReader::TableReader(const TomlValue& table, std::string prefix, ConfigProblems* problems)
    : table_(table), prefix_(std::move(prefix)), problems_(problems) {}

const TomlMember* TableReader::Take(std::string_view key) {
  known_.emplace_back(key);
  return table_.Find(key);
}

bool TableReader::Bool(std::string_view key, bool* out) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  const bool* flag = member->value.As<bool>();
  if (flag == nullptr) {
    Wrong(key, member->value, "true or false");
    return false;
  }
  *out = *flag;
  return true;
}

bool TableReader::Integer(std::string_view key, std::uint64_t least, std::uint64_t most,
                          std::uint64_t* out) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  const std::int64_t* number = member->value.As<std::int64_t>();
  if (number == nullptr || *number < 0 || static_cast<std::uint64_t>(*number) < least ||
      static_cast<std::uint64_t>(*number) > most) {
    Wrong(key, member->value,
          fmt::format("an integer from {} to {}", FormatCount(least), FormatCount(most)));
    return false;
  }
  *out = static_cast<std::uint64_t>(*number);
  return true;
}

bool TableReader::Integer(std::string_view key, std::uint32_t least, std::uint32_t most,
                          std::uint32_t* out) {
  std::uint64_t number = 0;
  if (!Integer(key, std::uint64_t{least}, std::uint64_t{most}, &number)) {
    return false;
  }
  *out = static_cast<std::uint32_t>(number);
  return true;
}

bool TableReader::Duration(std::string_view key, std::chrono::milliseconds least,
                           std::chrono::milliseconds most, std::chrono::milliseconds* out) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  const std::string* text = member->value.As<std::string>();
  const auto found = ParseDuration(text == nullptr ? std::string_view() : *text, least, most);
  if (!found.ok()) {
    Wrong(key, member->value, found.status().message());
    return false;
  }
  *out = *found;
  return true;
}

bool TableReader::Size(std::string_view key, std::uint64_t least, std::uint64_t most,
                       std::uint64_t* out) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  const std::string* text = member->value.As<std::string>();
  const auto found = ParseSize(text == nullptr ? std::string_view() : *text, least, most);
  if (!found.ok()) {
    Wrong(key, member->value, found.status().message());
    return false;
  }
  *out = *found;
  return true;
}

bool TableReader::Text(std::string_view key, std::string_view wanted, std::string* out) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  const std::string* text = member->value.As<std::string>();
  if (text == nullptr || text->empty()) {
    Wrong(key, member->value, wanted);
    return false;
  }
  *out = *text;
  return true;
}

bool TableReader::TextList(std::string_view key, std::string_view wanted,
                           std::vector<std::string>* out) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  const auto* list = member->value.As<TomlValue::List>();
  if (list == nullptr) {
    Wrong(key, member->value, wanted);
    return false;
  }
  bool valid = true;
  std::vector<std::string> texts;
  for (const TomlValue& item : *list) {
    if (const std::string* text = item.As<std::string>()) {
      texts.push_back(*text);
    } else {
      Wrong(fmt::format("{}[{}]", key, &item - list->data()), item, "text");
      valid = false;
    }
  }
  if (valid) {
    *out = std::move(texts);
  }
  return valid;
}

bool TableReader::Choice(std::string_view key, const std::vector<std::string_view>& names,
                         std::size_t* index) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return false;
  }
  if (const std::string* text = member->value.As<std::string>()) {
    const auto found = std::find(names.begin(), names.end(), *text);
    if (found != names.end()) {
      *index = static_cast<std::size_t>(found - names.begin());
      return true;
    }
  }
  std::string wanted;
  for (std::size_t i = 0; i < names.size(); ++i) {
    wanted += i == 0 ? "" : i + 1 == names.size() ? " or " : ", ";
    wanted += fmt::format("\"{}\"", names[i]);
  }
  Wrong(key, member->value, wanted);
  return false;
}

const TomlValue* TableReader::Table(std::string_view key) {
  const TomlMember* member = Take(key);
  if (member == nullptr) {
    return nullptr;
  }
  if (member->value.As<TomlValue::Table>() == nullptr) {
    Wrong(key, member->value, "a table");
    return nullptr;
  }
  return &member->value;
}

void TableReader::Wrong(std::string_view key, const TomlValue& value, std::string_view wanted) {
  problems_->Add(value.location,
                 fmt::format("{}{} = {}: wanted {}", prefix_, key, DescribeToml(value), wanted));
}

void TableReader::Unsupported(std::string_view key, std::string_view supported) {
  const TomlMember* member = table_.Find(key);
  CATCHUP_CHECK(member != nullptr);
  problems_->Add(member->value.location, fmt::format("{}{} = {}: this version supports {}", prefix_,
                                                     key, DescribeToml(member->value), supported));
}

void TableReader::Missing(std::string_view key, std::string_view wanted) {
  problems_->Add(table_.location,
                 fmt::format("missing key \"{}{}\": wanted {}", prefix_, key, wanted));
}

void TableReader::Finish() {
  for (const TomlMember& member : *table_.As<TomlValue::Table>()) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) {
      continue;
    }
    const auto nearest = NearestName(member.key, known_);
    const std::string advice =
        nearest.has_value() ? fmt::format("the nearest known key is \"{}{}\"", prefix_, *nearest)
                            : "wanted " + ListKnown();
    problems_->Add(member.location,
                   fmt::format("unknown key {}: {}", Quote(prefix_ + member.key), advice));
  }
}

// All of them: the longest table has a few dozen.
std::string TableReader::ListKnown() const {
  std::string list = known_.size() > 1 ? "one of " : "";
  for (std::size_t i = 0; i < known_.size(); ++i) {
    list += fmt::format("{}{}{}\"", i == 0 ? "\"" : ", \"", prefix_, known_[i]);
  }
  return list;
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text,
                                                std::chrono::milliseconds least,
                                                std::chrono::milliseconds most) {
  const auto from = static_cast<std::uint64_t>(least.count());
  const auto to = static_cast<std::uint64_t>(most.count());
  std::uint64_t number = 0;
  if (!ParseWithUnit(text, kDurationUnits, &number) || number < from || number > to) {
    return Status::Invalid(
        fmt::format("a duration from \"{}\" to \"{}\", an integer and ms, s, m or h{}",
                    DescribeDuration(least), DescribeDuration(most),
                    Meant(Guess(text, kDurationAliases), from, to, text, kDurationUnits)));
  }
  return std::chrono::milliseconds(number);
}

Result<std::uint64_t> ParseSize(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  if (!ParseWithUnit(text, kSizeUnits, &number) || number < least || number > most) {
    return Status::Invalid(fmt::format(
        "a size from \"{}\" to \"{}\", an integer and B, KiB, MiB or GiB{}", DescribeSize(least),
        DescribeSize(most), Meant(Guess(text, kSizeAliases), least, most, text, kSizeUnits)));
  }
  return number;
}

std::string DescribeSize(std::uint64_t bytes) { return Describe(bytes, kSizeUnits); }

}  // namespace catchup
