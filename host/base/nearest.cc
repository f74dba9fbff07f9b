#include "host/base/nearest.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace catchup {
namespace {

constexpr std::size_t kMaxCompared = 64;

// Levenshtein's distance, for texts as short as keys; two neighbours that have changed places are
// one edit.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  std::vector<std::size_t> above = row;
  std::vector<std::size_t> second_above = row;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(second_above, above);
    std::swap(above, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], second_above[j - 2] + 1);
      }
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
