#pragma once

#include <filesystem>

#include "host/base/status.h"

namespace catchup {

// Whether this process, with its effective user, could make the directory `path` with its missing
// parents, or could make files in it if it is there. Only asks: nothing is made. The failure's text
// names what stands in the way. A full disk or a quota is not found.
Status CheckUsableDirectory(const std::filesystem::path& path);

// The same for reading and writing the regular file `path`, which may be missing.
Status CheckUsableFile(const std::filesystem::path& path);

}  // namespace catchup
