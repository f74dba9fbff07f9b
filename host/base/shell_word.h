#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace catchup {

// `text` as one word of a shell command, quoted where it must be. For messages that end with the
// command that mends what they tell.
std::string ShellWord(std::string_view text);

// The command that lets the present user read `path`: of the first part of it that refuses him, be
// it a directory above it. Empty when none of them does.
std::string CommandToRead(const std::filesystem::path& path);

}  // namespace catchup
