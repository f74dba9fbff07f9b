#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "host/base/sqlite.h"
#include "host/base/status.h"

// The file below a letter store, groups/NAME/letters.db: how it is made, opened and renewed.
//
// Format, version 1: SQLite with application id "CatL", user version 1, the tables of
// letter_rows.h and
//
//   owner  one row: the group, and the fencing token of the last runner spawned
//   holds  types whose events are parked without a call
//   steps, sinks   see letter_steps.h
//   parks, drops   see letter_decisions.h
//   mark           see letter_mark.h
//
// It is made with a group's first letter: a group that never had trouble has no file, and its start
// looks for one name and does no more.
//
// Beside it while a host has it open lies `letters.db-unclean`, which says in which boot of the
// system. After a failed sync the kernel may hold pages as clean that the disk never got, and
// nothing tells a later process. So a file that was not closed in good order is read into a new
// one, which is synced and renamed, before a row of it is trusted; once the system has been started
// again there is no such page, and nothing to do.
namespace catchup::letter_file {

inline constexpr std::int64_t kApplicationId = 0x4361744c;  // "CatL"
inline constexpr std::int64_t kVersion = 1;

std::filesystem::path In(const std::filesystem::path& folder);

// Whether there is one. kCorrupt: something of that name that is no file.
Result<bool> Exists(const std::filesystem::path& folder);

// Makes an empty one durably, in one step for whoever looks.
Status Make(const std::filesystem::path& folder, const std::string& group, std::uint64_t token);

// Opens it for its only writer, which has it locked as long as the connection lives. None: there is
// no file. Blocking, for as long as a copy of the file takes when it was not closed in good order.
Result<std::optional<Connection>> OpenToWrite(const std::filesystem::path& folder,
                                              const std::string& group);

// Opens it to be read and never changes it. What a host that was killed has left half written is
// seen as it was before, by way of a copy in the system's folder for temporary files. None: there
// is no file. kInUse: a host has it open.
Result<std::optional<Connection>> OpenToRead(const std::filesystem::path& folder,
                                             const std::string& group);

// The failure of `connection` as a letter store tells it: kExhausted, kUnavailable and kInUse for
// what may pass, kCorrupt for damage, kInternal for a disk that has failed.
Status Explain(const Connection& connection, const Status& failure,
               const std::filesystem::path& folder);
// With the way out where the file is damaged or of another kind.
Status AddWayOut(const Status& failure, const std::filesystem::path& folder);

}  // namespace catchup::letter_file
