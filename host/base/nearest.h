#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace catchup {

// The one of `names` that was meant by `text`, a slip of the hand or a part of it; none is near
// where it must be another word. For names as short as keys: only the first 64 bytes count.
std::optional<std::string> NearestName(std::string_view text,
                                       const std::vector<std::string>& names);

}  // namespace catchup
