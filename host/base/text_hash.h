#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace catchup {

// The hash of maps keyed by std::string that are asked by std::string_view, without making a
// string.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};

}  // namespace catchup
