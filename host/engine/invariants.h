#pragma once

#include <string_view>

#include "host/engine/engine_parts.h"

namespace catchup {

// What always holds of a group's parts between two inputs. Returns what is wrong; empty when
// nothing is. For tests: it walks through everything.
std::string_view CheckInvariants(const EngineParts& parts);

}  // namespace catchup
