#include "host/config/classify_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <span>

namespace catchup {
namespace {

// Parts of an error text that say of which class it is, whatever their case.
constexpr std::array<std::string_view, 5> kDomain = {"validation", "invalid", "constraint",
                                                     "domain", "business"};
constexpr std::array<std::string_view, 22> kInfrastructure = {
    "timeout",       "connection",  "network",     "database",        "redis",
    "timed out",     "unavailable", "unreachable", "refused",         "broken pipe",
    "certificate",   "resolve",     "dns",         "name resolution", "name not found",
    "deadlock",      "lock",        "serializ",    "read-only",       "disk",
    "no space left", "too many"};

// More of a wrong list tells nothing.
constexpr std::size_t kMaxShown = 8;

std::string Show(const std::vector<std::string>& rules, std::size_t most) {
  std::string text = "[";
  for (std::size_t i = 0; i < std::min(rules.size(), most); ++i) {
    TomlValue rule;
    rule.value = rules[i];
    text += (i == 0 ? "" : ", ") + DescribeToml(rule);
  }
  return text + (rules.size() > most ? ", …]" : "]");
}

void ReadRules(TableReader* reader, std::string_view key,
               std::span<const std::string_view> builtin) {
  std::vector<std::string> rules;
  if (!reader->TextList(key, "a list of texts", &rules)) {
    return;
  }
  std::vector<std::string> wanted(builtin.begin(), builtin.end());
  const std::string wanted_text = Show(wanted, wanted.size());
  const std::string found_text = Show(rules, kMaxShown);
  std::sort(wanted.begin(), wanted.end());
  std::sort(rules.begin(), rules.end());
  if (rules != wanted) {
    reader->problems()->Add(
        reader->table().Find(key)->value.location,
        fmt::format("{}{} = {}: this version supports the built-in rules only, {}",
                    reader->prefix(), key, found_text, wanted_text));
  }
}

}  // namespace

void ReadClassify(const TomlValue& table, ConfigProblems* problems) {
  TableReader reader(table, "classify.", problems);
  ReadRules(&reader, "domain", kDomain);
  ReadRules(&reader, "infrastructure", kInfrastructure);
  reader.Finish();
}

}  // namespace catchup
