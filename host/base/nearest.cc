#include "host/base/nearest.h"

#include <algorithm>
#include <numeric>

namespace catchup {
namespace {

constexpr std::size_t kMaxCompared = 64;

// Levenshtein's distance, for texts as short as keys.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

// How far a text is from a known one. A part of a name counts as near: people write "timeout" where
// "handler_timeout" is meant, and "dir" for "directory".
std::size_t NameDistance(std::string_view text, std::string_view known) {
  constexpr std::size_t kLeastPart = 4;
  constexpr std::size_t kLeastBeginning = 3;
  const std::size_t at = known.find(text);
  if ((text.size() >= kLeastPart && at != std::string_view::npos) ||
      (text.size() >= kLeastBeginning && at == 0)) {
    return 1;
  }
  return Distance(text, known);
}

// Whether so many edits still make a slip of the hand and not another word.
bool IsNear(std::string_view text, std::size_t distance) { return 2 * distance <= text.size(); }

}  // namespace

std::optional<std::string> NearestName(std::string_view text,
                                       const std::vector<std::string>& names) {
  text = text.substr(0, kMaxCompared);
  const auto nearest = std::min_element(
      names.begin(), names.end(),
      [&](const auto& a, const auto& b) { return NameDistance(text, a) < NameDistance(text, b); });
  if (nearest == names.end() || !IsNear(text, NameDistance(text, *nearest))) {
    return std::nullopt;
  }
  return *nearest;
}

}  // namespace catchup
