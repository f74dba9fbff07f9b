#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"

namespace re2 {
class RE2;
}

namespace catchup {

// Rules that a text is tried against: a rule is a part of it, whatever its case, or `re:` and a
// regular expression of RE2, which is not anchored and minds case unless it says `(?i)`.
//
// Apart from catchup_base, because the runner links no library of this kind. Immutable: any thread.
class TextRules {
 public:
  // Matches nothing.
  TextRules() = default;

  // Compiles each rule once. kInvalid names what is wrong with the first bad one, whose index goes
  // to *bad: an empty rule, which would match every text, or a pattern that RE2 does not take.
  static Result<TextRules> Compile(const std::vector<std::string>& rules, std::size_t* bad);

  // From rules that are known to be good: those built in.
  static TextRules Of(std::span<const std::string_view> parts);

  bool Matches(std::string_view text) const;

 private:
  std::vector<std::string> parts_;  // In lower case.
  std::vector<std::shared_ptr<const re2::RE2>> patterns_;
};

// What a regular expression begins with.
inline constexpr std::string_view kPatternPrefix = "re:";

}  // namespace catchup
