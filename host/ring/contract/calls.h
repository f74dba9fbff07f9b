#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/ring/layout.h"

namespace catchup {

// "OK", "RETRY" …, or the number.
std::string CallStatusName(std::int32_t status);

// "handle", "create" …
std::string_view CallName(CallKind kind);

}  // namespace catchup
