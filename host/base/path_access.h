#pragma once

#include <filesystem>
#include <string>

#include "host/base/status.h"

namespace catchup {

// Whether this process, with its effective user, could make the directory `path` with its missing
// parents, or could make files in it if it is there. Only asks: nothing is made. The failure's text
// names what stands in the way. A full disk or a quota is none of it.
Status CheckUsableDirectory(const std::filesystem::path& path);

// Refuses a path that is a symbolic link to nothing, or has one among its parents: who makes a
// directory there only hears that a file exists.
Status RefuseLinkToNothing(const std::filesystem::path& path);

// The same as the first for reading and writing the regular file `path`, which may be missing.
Status CheckUsableFile(const std::filesystem::path& path);

// What the file system of `path`, or of its nearest parent that is there, has little left of, as
// "4096 bytes left in the file system of /var"; empty where there is enough to begin with, or where
// nobody can tell. Only asks; a quota is not found.
std::string DescribeShortRoom(const std::filesystem::path& path);

}  // namespace catchup
