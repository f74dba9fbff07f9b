#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/store/letter.h"

// How a letter lies in the tables of a group's letters.db. Part of the file format:
//
//   letters  the head, all that a start reads; small, so that 100,000 are read in no time
//   causes   why; written anew after each failed call
//   events   the payload; written once and read only to call the plugin or to show it
//
// all three by the same `id`. SQLite finds damage to its own structure and none in the values, so
// each row carries a sum of what it holds and of the letter's position: a flipped bit is found when
// the row is read, and so is a row in another one's place.
namespace catchup {

// The columns of `letters` behind `id`, in the order that the functions here bind and read.
inline constexpr std::string_view kHeadColumns =
    "commit_position, prepare_position, stream, type, event_id, revision, created, is_json, state, "
    "class, written, since, due, step, attempts, first_failed, last_failed, bytes, sum";
inline constexpr int kHeadCount = 19;

inline constexpr std::string_view kCauseColumns =
    "reason, calls, plugin, plugin_version, plugin_digest, token, trace_id, span_id, sum";
inline constexpr int kCauseCount = 9;

inline constexpr std::string_view kEventColumns = "data, metadata, sum";
inline constexpr int kEventCount = 3;

// The number as SQLite keeps it.
inline std::int64_t Signed(std::uint64_t value) { return static_cast<std::int64_t>(value); }

// "SELECT columns rest".
std::string SelectSql(std::string_view columns, std::string_view rest);

// Calls see(row) for every row that `sql` finds, in its order, as read(statement, &row) makes it.
// Ends at the first failure.
template <typename Row, typename Read>
Status EachRow(Connection* connection, const std::string& sql, const Read& read,
               const std::function<void(const Row&)>& see) {
  CATCHUP_ASSIGN_OR_RETURN(Statement statement, connection->Prepare(sql));
  Row row;
  for (;;) {
    CATCHUP_ASSIGN_OR_RETURN(const bool found, statement.Step());
    if (!found) {
      return {};
    }
    CATCHUP_RETURN_IF_ERROR(read(statement, &row));
    see(row);
  }
}

// What a row's blobs lie in until the statement has run.
using Scratch = std::deque<std::string>;

// Bind to the parameters from `first` on.
void BindHead(const LetterHead& head, int first, Statement* statement, Scratch* scratch);
void BindCause(Position position, const LetterCause& cause, int first, Statement* statement,
               Scratch* scratch);
void BindEvent(Position position, std::string_view data, std::string_view metadata, int first,
               Statement* statement, Scratch* scratch);

// Read from the columns from `first` on. kCorrupt: the row is not what was written; the text names
// the row.
Status ReadHead(const Statement& statement, int first, LetterHead* head);
Status ReadCause(const Statement& statement, int first, Position position, LetterCause* cause);
Status ReadEvent(const Statement& statement, int first, Letter* letter);

// The fencing token of the last runner spawned. kCorrupt: there is none.
Result<std::uint64_t> ReadToken(Connection* connection);

// One letter, whole, or none. Failures of SQLite are as it tells them. *prepared is made at the
// first call and kept for the next ones, since to prepare it takes longer than to read; it must go
// before the connection does.
Result<std::optional<Letter>> ReadLetter(Connection* connection, Position position,
                                         std::optional<Statement>* prepared);

// All letters, counted from the small table.
Result<LetterTotals> CountLetters(Connection* connection);

// `columns` with the name of their table before each.
std::string QualifiedColumns(std::string_view table, std::string_view columns);

void BindHold(const LetterHold& hold, int first, Statement* statement, Scratch* scratch);
inline constexpr std::string_view kHoldColumns = "type, by, since, reason, sum";
Status ReadHold(const Statement& statement, int first, LetterHold* hold);

// A row's check sum: the first half of a BLAKE2b, which is more than an accident gets past.
std::string RowSum(std::string_view bytes);
// That of the row that BindHead binds.
std::string HeadSum(const LetterHead& head);

}  // namespace catchup
