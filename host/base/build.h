#pragma once

#include <string_view>

namespace catchup {

// Which build of the product this program comes from. Host and runner of one installation have the
// same.

// "1.2.3".
std::string_view BuildVersion();

// The first twelve digits of the commit it was built from; "unknown" outside a clone.
std::string_view BuildCommit();

// Both, with a space between them.
std::string_view BuildId();

}  // namespace catchup
