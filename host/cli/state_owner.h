#pragma once

#include <filesystem>
#include <string>

#include "host/base/status.h"

namespace catchup {

// Whether what this process writes below a state directory can be read by its host, which is of the
// user that owns it. kDenied tells how to run `catchup COMMAND ...` as that user.
Status CheckStateOwner(const std::filesystem::path& directory, const std::string& command);

}  // namespace catchup
