#pragma once

#include <optional>
#include <string>

#include "host/base/position.h"
#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/store/checkpoint_record.h"

// Which file of letters this is and how many changes were committed in it, in a table of its
// letters.db, so that a checkpoint can tell it from any other and from an earlier state of itself.
// Part of the file format:
//
//   mark  one row: a number drawn when the file was made, the changes, a sum of both
//
// Parts of a transaction, like the statements of LetterWriter.
namespace catchup {

// Made where it is missing, when the file is opened to be written.
inline constexpr const char* kMarkTable =
    "CREATE TABLE IF NOT EXISTS mark (one INTEGER PRIMARY KEY CHECK (one = 1),"
    " file INTEGER NOT NULL, changes INTEGER NOT NULL, sum BLOB NOT NULL)";

// Without its letters. None: no mark was written yet. kCorrupt: it is not what was written.
Result<std::optional<LettersMark>> ReadMark(Connection* connection);

// What a checkpoint says of the letters beside it.
struct KnownLetters {
  std::optional<LettersMark> mark;
  std::optional<Position> checkpoint;  // Its own place, for people.
};

// What there is.
struct FoundLetters {
  bool is_there = false;
  std::optional<LettersMark> mark;
};

// Whether what was found is the file that `known` speaks of, or a later state of it. kInvalid, with
// the ways to go on: it is gone with letters in it, another one, or an earlier state of itself, as
// from a backup.
Status CheckKnown(const FoundLetters& found, const KnownLetters& known, const std::string& group);

// `write` is kWriteMark, prepared.
inline constexpr const char* kWriteMark = "INSERT OR REPLACE INTO mark VALUES (1, ?1, ?2, ?3)";
Status WriteMark(const LettersMark& mark, Statement* write);

}  // namespace catchup
