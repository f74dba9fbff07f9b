#pragma once

#include <filesystem>

#include "host/base/status.h"

namespace catchup {

// Whether this process, with its effective user, could make the directory `path` with its missing
// parents, or could make files in it if it is there. Only asks: nothing is made. The failure's text
// names what stands in the way. A full disk or a quota is not found.
Status CheckUsableDirectory(const std::filesystem::path& path);

// Refuses a path that is a symbolic link to nothing, or has one among its parents: who makes a
// directory there only hears that a file exists.
Status RefuseLinkToNothing(const std::filesystem::path& path);

// The same as the first for reading and writing the regular file `path`, which may be missing.
Status CheckUsableFile(const std::filesystem::path& path);

}  // namespace catchup
