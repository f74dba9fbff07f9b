#pragma once

#include <filesystem>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

// Returns once the entries of `directory` (names made, renamed, removed) are on the disk.
Status SyncDirectory(const std::filesystem::path& directory);

// Makes `from` take the name `to` and waits for the disk. Both lie in one directory.
Status RenameDurably(const std::filesystem::path& from, const std::filesystem::path& to);

// Puts `content` into `file` in one step: a reader sees the old content or the new one. Mode 0600.
Status WriteFileDurably(const std::filesystem::path& file, std::string_view content);

// Removes a file; its absence is no failure.
Status RemoveIfThere(const std::filesystem::path& file);

// Creates one directory with mode 0700; one that is there already is no failure.
Status MakeDirectory(const std::filesystem::path& directory);

}  // namespace catchup
