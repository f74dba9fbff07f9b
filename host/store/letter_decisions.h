#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "host/base/position.h"
#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/store/letter.h"

// What operators have decided about a group's letters and what is kept of it, as tables of its
// letters.db. Part of the file format:
//
//   parks  events that are to become letters when their turn comes; gone with the letter's writing
//   drops  letters that were removed by command, and why: the last kMaxDrops
//
// Parts of a transaction, like the statements of LetterWriter. Each row carries a sum of itself.
namespace catchup {

// Made where they are missing, when the file is opened to be written.
inline constexpr const char* kDecisionTables =
    "CREATE TABLE IF NOT EXISTS parks (commit_position INTEGER NOT NULL,"
    " prepare_position INTEGER NOT NULL, since INTEGER NOT NULL, by TEXT NOT NULL,"
    " reason TEXT NOT NULL, sum BLOB NOT NULL, PRIMARY KEY (commit_position, prepare_position))"
    " WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS drops (number INTEGER PRIMARY KEY, commit_position INTEGER NOT "
    "NULL,"
    " prepare_position INTEGER NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL,"
    " event_id BLOB NOT NULL, revision INTEGER NOT NULL, class INTEGER NOT NULL,"
    " dropped INTEGER NOT NULL, by TEXT NOT NULL, reason TEXT NOT NULL, sum BLOB NOT NULL)";

// Drops that are kept: the newest. Each is also a line of the log.
inline constexpr std::int64_t kMaxDrops = 1'000;

// Replaces one of the same position. kDenied: fenced.
Status SetPark(std::uint64_t fence, const LetterPark& park, Connection* connection);
Status RemovePark(Position position, Connection* connection);
Status ScanParks(Connection* connection, const std::function<void(const LetterPark&)>& see);

Status AddDrop(const LetterDrop& drop, Connection* connection);
// The newest of this position.
Result<std::optional<LetterDrop>> FindDrop(Position position, Connection* connection);
// The newest first.
Status ScanDrops(Connection* connection, const std::function<void(const LetterDrop&)>& see);

}  // namespace catchup
