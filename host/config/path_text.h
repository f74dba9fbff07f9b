#pragma once

#include <string>
#include <string_view>

namespace catchup {

// What keeps `text` from being taken as a path, as "wanted …", or empty. People write paths in the
// style of shells, URLs and other systems; taken to the letter those would make odd folders.
std::string PathFault(std::string_view text);

// Whether a shell would replace something in `text`: "$NAME", "${NAME}", "$(command)".
bool HasShellVariable(std::string_view text);

}  // namespace catchup
