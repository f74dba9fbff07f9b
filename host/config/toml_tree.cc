#include "host/config/toml_tree.h"

#include <fmt/core.h>
#include <pthread.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <sstream>

#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include "host/base/text.h"

namespace catchup {
namespace {

// The library recurses once for each level of a dotted key, and a level takes two bytes of text. A
// stack of its own, sized by the text, keeps a hostile file from ending the process; memory is
// taken only where it is touched.
constexpr std::size_t kBaseStack = 4u << 20;
constexpr std::size_t kStackPerByte = 2u << 10;

// So many fit the stack of any thread: where no other is to be had, a file that a person wrote is
// read all the same.
constexpr std::size_t kLevelsOfAnyStack = 256;

constexpr std::size_t kMaxDescription = 63;

SourceLocation Locate(const toml::source_region& region) {
  return {region.begin.line, region.begin.column};
}

bool IsBefore(const SourceLocation& a, const SourceLocation& b) {
  return a.line != b.line ? a.line < b.line : a.column < b.column;
}

void AppendTime(const toml::time& time, std::string* out) {
  char text[32];
  std::snprintf(text, sizeof text, "%02d:%02d:%02d", time.hour, time.minute, time.second);
  *out += text;
  if (time.nanosecond != 0) {
    std::snprintf(text, sizeof text, ".%09u", static_cast<unsigned>(time.nanosecond));
    std::string_view fraction(text);
    fraction = fraction.substr(0, fraction.find_last_not_of('0') + 1);
    *out += fraction;
  }
}

void AppendDate(const toml::date& date, std::string* out) {
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02d-%02d", date.year, date.month, date.day);
  *out += text;
}

std::string DateText(const toml::node& node) {
  std::string text;
  if (const auto* date = node.as_date()) {
    AppendDate(date->get(), &text);
  } else if (const auto* time = node.as_time()) {
    AppendTime(time->get(), &text);
  } else if (const auto* both = node.as_date_time()) {
    AppendDate(both->get().date, &text);
    text += 'T';
    AppendTime(both->get().time, &text);
    if (both->get().offset) {
      const int minutes = both->get().offset->minutes;
      if (minutes == 0) {
        text += 'Z';
      } else {
        char offset[16];
        const int distance = minutes < 0 ? -minutes : minutes;
        std::snprintf(offset, sizeof offset, "%c%02d:%02d", minutes < 0 ? '-' : '+', distance / 60,
                      distance % 60);
        text += offset;
      }
    }
  }
  return text;
}

// Copies `node` into *out; false, with the place, when it is nested too deep.
bool Convert(const toml::node& node, int depth, TomlValue* out, SourceLocation* too_deep) {
  out->location = Locate(node.source());
  if (depth > kMaxTomlDepth) {
    *too_deep = out->location;
    return false;
  }
  if (const auto* table = node.as_table()) {
    TomlValue::Table members;
    for (const auto& [key, value] : *table) {
      TomlMember& member = members.emplace_back();
      member.key = key.str();
      member.location = Locate(key.source());
      if (!Convert(value, depth + 1, &member.value, too_deep)) {
        return false;
      }
    }
    std::stable_sort(members.begin(), members.end(), [](const TomlMember& a, const TomlMember& b) {
      return IsBefore(a.location, b.location);
    });
    out->value = std::move(members);
  } else if (const auto* array = node.as_array()) {
    TomlValue::List items;
    for (const auto& item : *array) {
      if (!Convert(item, depth + 1, &items.emplace_back(), too_deep)) {
        return false;
      }
    }
    out->value = std::move(items);
  } else if (const auto* text = node.as_string()) {
    out->value = text->get();
  } else if (const auto* integer = node.as_integer()) {
    out->value = integer->get();
  } else if (const auto* real = node.as_floating_point()) {
    out->value = real->get();
  } else if (const auto* flag = node.as_boolean()) {
    out->value = flag->get();
  } else {
    out->value = TomlValue::Date{DateText(node)};
  }
  return true;
}

// The library's text with our beginning, on one line.
std::string SyntaxText(std::string_view description) {
  constexpr std::string_view kPrefix = "Error while parsing ";
  std::string text = "syntax error";
  if (description.substr(0, kPrefix.size()) == kPrefix) {
    text += " in ";
    description.remove_prefix(kPrefix.size());
  } else {
    text += ": ";
  }
  // The library spells a quoted key wrongly that is there already; the place says which it is.
  if (const auto key = description.find(" '\""); description.find("redefine") < key) {
    description = description.substr(0, key);
  }
  for (const char c : description) {
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return text;
}

std::variant<TomlValue, TomlError> ParseHere(std::string_view text) {
  try {
    const toml::table root = toml::parse(text);
    TomlValue value;
    SourceLocation too_deep;
    if (!Convert(root, 0, &value, &too_deep)) {
      return TomlError{
          too_deep,
          fmt::format("nested deeper than {} levels, wanted at most that many", kMaxTomlDepth)};
    }
    return value;
  } catch (const toml::parse_error& error) {
    return TomlError{Locate(error.source()), SyntaxText(error.description())};
  } catch (const std::bad_alloc&) {
    return TomlError{{1, 1}, "out of memory while reading, wanted a smaller file"};
  }
}

struct ParseJob {
  std::string_view text;
  std::variant<TomlValue, TomlError> result;
};

// An upper bound of the levels that the text has.
std::size_t MostLevels(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return c == '.' || c == '[' || c == '{'; }));
}

void* RunParseJob(void* argument) {
  auto* job = static_cast<ParseJob*>(argument);
  job->result = ParseHere(job->text);
  return nullptr;
}

}  // namespace

const TomlMember* TomlValue::Find(std::string_view key) const {
  if (const Table* table = As<Table>()) {
    for (const TomlMember& member : *table) {
      if (member.key == key) {
        return &member;
      }
    }
  }
  return nullptr;
}

std::variant<TomlValue, TomlError> ParseToml(std::string_view text) {
  ParseJob job{text, {}};
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_t thread{};
  int error = pthread_attr_setstacksize(&attributes, kBaseStack + text.size() * kStackPerByte);
  if (error == 0) {
    error = pthread_create(&thread, &attributes, RunParseJob, &job);
  }
  pthread_attr_destroy(&attributes);
  if (error != 0 && MostLevels(text) <= kLevelsOfAnyStack) {
    return ParseHere(text);
  }
  if (error != 0) {
    return TomlError{{1, 1},
                     Status::FromErrno("cannot start a thread to read it", error).message()};
  }
  pthread_join(thread, nullptr);
  return std::move(job.result);
}

std::string DescribeToml(const TomlValue& value) {
  std::string text;
  if (const auto* flag = value.As<bool>()) {
    text = *flag ? "true" : "false";
  } else if (const auto* integer = value.As<std::int64_t>()) {
    text = std::to_string(*integer);
  } else if (const auto* real = value.As<double>()) {
    char digits[40];
    const auto [end, error] = std::to_chars(digits, digits + sizeof digits, *real);
    text.assign(digits, error == std::errc() ? end : digits);
    if (text.find_first_not_of("-0123456789") == std::string::npos) {
      text += ".0";  // Else it would look like the integer it is not.
    }
  } else if (const auto* string = value.As<std::string>()) {
    text = Quoted(WithoutUserInfo(*string), kMaxDescription);
  } else if (const auto* date = value.As<TomlValue::Date>()) {
    text = date->text;
  } else if (const auto* list = value.As<TomlValue::List>()) {
    text = list->empty() ? "[]" : "a list";
  } else {
    text = "a table";
  }
  return text;
}

}  // namespace catchup
