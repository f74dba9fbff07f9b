#pragma once

#include <filesystem>
#include <string_view>

#include "host/base/status.h"

// The copy of a letters' file that takes its place when it was not closed in good order. Part of
// letter_file.h, whose folder and failures these are.
namespace catchup::letter_file {

// The name of the connection in messages.
inline constexpr std::string_view kConnectionName = "letters";

// Names in a group's folder: a file in the making; one that is whole and durable, and has not taken
// its place yet; SQLite's journal of a file.
std::filesystem::path Fresh(const std::filesystem::path& folder);
std::filesystem::path Renewed(const std::filesystem::path& folder);
std::filesystem::path Journal(const std::filesystem::path& file);

Result<bool> IsThere(const std::filesystem::path& path);
Status SyncFile(const std::filesystem::path& file);
Status RemoveFresh(const std::filesystem::path& folder);

// Makes `to` a copy of `from` as it was before a write that was cut short.
Status CopySettled(const std::filesystem::path& from, const std::filesystem::path& to);

// Finishes what a kill has cut short of a renewal; says whether there was anything.
Result<bool> FinishRenewal(const std::filesystem::path& folder);

// Whether the file was left open in this boot. What cannot be read says yes.
Result<bool> IsUnclean(const std::filesystem::path& folder);
Status Renew(const std::filesystem::path& folder);

Status MarkUnclean(const std::filesystem::path& folder);
// After the connection is closed, in good order and after no failure of the disk.
void MarkClean(const std::filesystem::path& folder);

}  // namespace catchup::letter_file
