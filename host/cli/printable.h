#pragma once

#include <string>
#include <string_view>

namespace catchup {

// `text` of a plugin or an event as part of one line for people: control characters and backslashes
// are escaped as in JSON, and what is not UTF-8 becomes U+FFFD. So nothing in it can begin another
// line or drive the terminal.
std::string Printable(std::string_view text);

// `text` with `shown` in place of every `path`: a user knows the file that was given, not the copy
// of it that was loaded. `path` is not empty.
std::string ShowPath(std::string text, std::string_view path, std::string_view shown);

}  // namespace catchup
