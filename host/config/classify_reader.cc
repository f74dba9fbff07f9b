#include "host/config/classify_reader.h"

#include <fmt/core.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "host/base/text_rules.h"

namespace catchup {
namespace {

// Each is tried against every failure's text.
constexpr std::size_t kMaxRules = 256;

void ReadRules(TableReader* reader, std::string_view key,
               std::optional<std::vector<std::string>>* out) {
  std::vector<std::string> rules;
  if (!reader->TextList(key, "a list of texts", &rules)) {
    return;
  }
  const TomlValue& list = reader->table().Find(key)->value;
  if (rules.size() > kMaxRules) {
    reader->Wrong(key, list, fmt::format("at most {} rules", kMaxRules));
    return;
  }
  bool good = true;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    std::size_t bad = 0;
    if (const auto compiled = TextRules::Compile({rules[i]}, &bad); !compiled.ok()) {
      reader->Wrong(fmt::format("{}[{}]", key, i), list.As<TomlValue::List>()->at(i),
                    "a part of an error text, or re: and a regular expression of RE2; this is " +
                        compiled.status().message());
      good = false;
    }
  }
  if (good) {
    *out = std::move(rules);
  }
}

}  // namespace

void ReadClassify(const TomlValue& table, ConfigProblems* problems, ClassifyConfig* out) {
  TableReader reader(table, "classify.", problems);
  ReadRules(&reader, "domain", &out->domain);
  ReadRules(&reader, "infrastructure", &out->infrastructure);
  reader.Finish();
}

}  // namespace catchup
