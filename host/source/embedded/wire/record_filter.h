#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"

namespace re2 {
class RE2;
}

namespace catchup::embedded {

// Which records of `$all` a reader wants, by the stored name of their stream or type. Immutable, so
// any thread may ask; copies share the compiled pattern.
class RecordFilter {
 public:
  enum class Field { kNothing, kStream, kType };

  // Matches everything that `$all` shows.
  RecordFilter() = default;

  // A non-empty `regex` wins over the prefixes; without either, nothing matches. The pattern is
  // searched anywhere in the text, case-sensitively, in RE2's dialect, which has no look-around and
  // no back references: kInvalid for a pattern that it cannot compile.
  static Result<RecordFilter> Create(Field field, const std::string& regex,
                                     std::vector<std::string> prefixes);

  bool Matches(std::string_view stream, std::string_view type) const {
    if (stream.starts_with('$') && IsHidden(stream)) {
      return false;
    }
    if (field_ == Field::kNothing) {
      return true;
    }
    const std::string_view text = field_ == Field::kStream ? stream : type;
    if (regex_ != nullptr) {
      return MatchesRegex(text);
    }
    for (const std::string& prefix : prefixes_) {
      if (text.starts_with(prefix)) {
        return true;
      }
    }
    return false;
  }

 private:
  // Streams of a node's own that `$all` never shows.
  static bool IsHidden(std::string_view stream);
  bool MatchesRegex(std::string_view text) const;

  Field field_ = Field::kNothing;
  std::shared_ptr<const re2::RE2> regex_;
  std::vector<std::string> prefixes_;
};

}  // namespace catchup::embedded
