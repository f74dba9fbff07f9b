#include "host/base/text_rules.h"

#include <re2/re2.h>

#include <algorithm>

namespace catchup {
namespace {

// A pattern that needs more is no rule for an error text; RE2 refuses it.
constexpr std::int64_t kMaxPatternMemory = 1 << 20;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string LowerText(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), Lower);
  return lower;
}

}  // namespace

Result<TextRules> TextRules::Compile(const std::vector<std::string>& rules, std::size_t* bad) {
  TextRules compiled;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    *bad = i;
    const std::string_view rule = rules[i];
    if (!rule.starts_with(kPatternPrefix)) {
      if (rule.empty()) {
        return Status::Invalid("an empty one, which matches every text");
      }
      compiled.parts_.push_back(LowerText(rule));
      continue;
    }
    const std::string_view pattern = rule.substr(kPatternPrefix.size());
    if (pattern.empty()) {
      return Status::Invalid("an empty one, which matches every text");
    }
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(kMaxPatternMemory);
    auto expression =
        std::make_shared<const re2::RE2>(re2::StringPiece(pattern.data(), pattern.size()), options);
    if (!expression->ok()) {
      return Status::Invalid("none: " + expression->error());
    }
    compiled.patterns_.push_back(std::move(expression));
  }
  return compiled;
}

TextRules TextRules::Of(std::span<const std::string_view> parts) {
  TextRules rules;
  for (const std::string_view part : parts) {
    rules.parts_.push_back(LowerText(part));
  }
  return rules;
}

bool TextRules::Matches(std::string_view text) const {
  if (!parts_.empty()) {
    const std::string lower = LowerText(text);
    for (const std::string& part : parts_) {
      if (lower.find(part) != std::string::npos) {
        return true;
      }
    }
  }
  return std::any_of(patterns_.begin(), patterns_.end(), [text](const auto& pattern) {
    return re2::RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), *pattern);
  });
}

}  // namespace catchup
