#include "host/store/letter_writer.h"

#include <fmt/core.h>

#include <utility>

#include "host/store/letter_mark.h"
#include "host/store/letter_rows.h"

namespace catchup {
namespace {

// The fence, in the statement that makes the change; `parameter` is the token of whoever asks.
std::string FenceAt(int parameter) {
  return fmt::format("(SELECT token FROM owner) = ?{}", parameter);
}

Status Fenced(std::uint64_t present, std::uint64_t fence) {
  return Status::Denied(fmt::format("fenced: token {}, wanted {}", fence, present));
}

std::string Places(int first, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text.append(i == 0 ? "?" : ", ?").append(std::to_string(first + i));
  }
  return text;
}

// "UPDATE letters SET (columns) = (?2, …) WHERE id = ?1".
std::string UpdateSql(std::string_view table, std::string_view columns, int count) {
  std::string sql = "UPDATE ";
  sql.append(table).append(" SET (").append(columns).append(") = (").append(Places(2, count));
  return sql.append(") WHERE id = ?1");
}

std::string InsertSql(std::string_view table, std::string_view columns, int count) {
  std::string sql = "INSERT INTO ";
  sql.append(table)
      .append(" (id, ")
      .append(columns)
      .append(") VALUES (")
      .append(Places(1, count + 1));
  return sql.append(")");
}

std::uint64_t& CountOf(StoredState state, LetterTotals* totals) {
  switch (state) {
    case StoredState::kHealing:
      return totals->healing;
    case StoredState::kDead:
      return totals->dead;
    case StoredState::kFollower:
      break;
  }
  return totals->followers;
}

}  // namespace

// A change that changed nothing may have met the fence.
Status LetterWriter::CheckFence(std::uint64_t fence) {
  CATCHUP_ASSIGN_OR_RETURN(const std::uint64_t present, ReadToken(connection_));
  return present == fence ? Status() : Fenced(present, fence);
}

// Preparing takes longer than most statements do.
Result<Statement*> LetterWriter::Use(const std::string& sql) {
  auto found = prepared_.find(sql);
  if (found == prepared_.end()) {
    CATCHUP_ASSIGN_OR_RETURN(Statement statement, connection_->Prepare(sql));
    found = prepared_.emplace(sql, std::move(statement)).first;
  }
  return &found->second;
}

Status LetterWriter::NoLetter(Position position) const {
  return Status::NotFound(NoLetterText(group_, position));
}

Result<std::int64_t> LetterWriter::IdOf(Position position) {
  static const std::string kSql =
      "SELECT id FROM letters WHERE commit_position = ?1 AND prepare_position = ?2";
  CATCHUP_ASSIGN_OR_RETURN(Statement* const find, Use(kSql));
  const ResetAtEnd reset(*find);
  find->Bind(1, Signed(position.commit));
  find->Bind(2, Signed(position.prepare));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, find->Step());
  return row ? Result<std::int64_t>(find->Int(0)) : NoLetter(position);
}

Result<Letter> LetterWriter::Require(Position position) {
  CATCHUP_ASSIGN_OR_RETURN(auto letter, ReadLetter(connection_, position, &read_));
  return letter ? Result<Letter>(*std::move(letter)) : NoLetter(position);
}

Result<bool> LetterWriter::Insert(std::uint64_t fence, const Letter& letter,
                                  LetterTotals* counted) {
  static const std::string kHead = "INSERT INTO letters (" + std::string(kHeadColumns) +
                                   ") SELECT " + Places(2, kHeadCount) + " WHERE " + FenceAt(1) +
                                   " ON CONFLICT (commit_position, prepare_position) DO NOTHING";
  static const std::string kCause = InsertSql("causes", kCauseColumns, kCauseCount);
  static const std::string kEvent = InsertSql("events", kEventColumns, kEventCount);
  const Position position = letter.head.position;
  Scratch scratch;
  CATCHUP_ASSIGN_OR_RETURN(Statement* const head, Use(kHead));
  head->Bind(1, Signed(fence));
  BindHead(letter.head, 2, head, &scratch);
  CATCHUP_RETURN_IF_ERROR(head->Run());
  if (head->Changed() == 0) {
    CATCHUP_RETURN_IF_ERROR(CheckFence(fence));
    return false;
  }
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t id, IdOf(position));
  CATCHUP_ASSIGN_OR_RETURN(Statement* const cause, Use(kCause));
  cause->Bind(1, id);
  BindCause(position, letter.cause, 2, cause, &scratch);
  CATCHUP_RETURN_IF_ERROR(cause->Run());
  CATCHUP_ASSIGN_OR_RETURN(Statement* const event, Use(kEvent));
  event->Bind(1, id);
  BindEvent(position, letter.data, letter.metadata, 2, event, &scratch);
  CATCHUP_RETURN_IF_ERROR(event->Run());
  ++CountOf(letter.head.state, counted);
  counted->bytes += letter.head.bytes;
  return true;
}

Status LetterWriter::UpdateHead(std::uint64_t fence, const LetterHead& before,
                                const LetterHead& head, LetterTotals* counted) {
  static const std::string kSql =
      UpdateSql("letters", kHeadColumns, kHeadCount) + " AND " + FenceAt(kHeadCount + 2);
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t id, IdOf(head.position));
  Scratch scratch;
  CATCHUP_ASSIGN_OR_RETURN(Statement* const update, Use(kSql));
  update->Bind(1, id);
  BindHead(head, 2, update, &scratch);
  update->Bind(kHeadCount + 2, Signed(fence));
  CATCHUP_RETURN_IF_ERROR(update->Run());
  if (update->Changed() == 0) {
    return CheckFence(fence);
  }
  --CountOf(before.state, counted);
  ++CountOf(head.state, counted);
  counted->bytes += head.bytes - before.bytes;
  return {};
}

Status LetterWriter::MakeDue(std::uint64_t fence, Position position, std::int64_t due_ticks) {
  static const std::string kFind = "SELECT id, " + std::string(kHeadColumns) +
                                   " FROM letters WHERE commit_position = ?1 AND "
                                   "prepare_position = ?2";
  // It leaves the columns alone that indexes are made of, as there may be very many letters.
  static const std::string kUpdate =
      "UPDATE letters SET due = ?2, step = 0, sum = ?3 WHERE id = ?1 AND " + FenceAt(4);
  CATCHUP_ASSIGN_OR_RETURN(Statement* const find, Use(kFind));
  const ResetAtEnd reset(*find);
  find->Bind(1, Signed(position.commit));
  find->Bind(2, Signed(position.prepare));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, find->Step());
  LetterHead head;
  if (row) {
    CATCHUP_RETURN_IF_ERROR(ReadHead(*find, 1, &head));
  }
  if (!row || head.state != StoredState::kHealing) {
    return {};
  }
  head.due_ticks = due_ticks;
  head.step = 0;
  const std::string sum = HeadSum(head);
  CATCHUP_ASSIGN_OR_RETURN(Statement* const update, Use(kUpdate));
  update->Bind(1, find->Int(0));
  update->Bind(2, due_ticks);
  update->BindBlob(3, sum);
  update->Bind(4, Signed(fence));
  CATCHUP_RETURN_IF_ERROR(update->Run());
  return update->Changed() == 0 ? CheckFence(fence) : Status();
}

Status LetterWriter::UpdateCause(Position position, const LetterCause& cause) {
  static const std::string kSql = UpdateSql("causes", kCauseColumns, kCauseCount);
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t id, IdOf(position));
  Scratch scratch;
  CATCHUP_ASSIGN_OR_RETURN(Statement* const update, Use(kSql));
  update->Bind(1, id);
  BindCause(position, cause, 2, update, &scratch);
  return update->Run();
}

Status LetterWriter::Delete(std::uint64_t fence, const LetterHead& head, LetterTotals* counted) {
  static const std::string kHead = "DELETE FROM letters WHERE id = ?1 AND " + FenceAt(2);
  static const std::string kCause = "DELETE FROM causes WHERE id = ?1";
  static const std::string kEvent = "DELETE FROM events WHERE id = ?1";
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t id, IdOf(head.position));
  CATCHUP_ASSIGN_OR_RETURN(Statement* const remove, Use(kHead));
  remove->Bind(1, id);
  remove->Bind(2, Signed(fence));
  CATCHUP_RETURN_IF_ERROR(remove->Run());
  if (remove->Changed() == 0) {
    return CheckFence(fence);
  }
  for (const std::string* rest : {&kCause, &kEvent}) {
    CATCHUP_ASSIGN_OR_RETURN(Statement* const also, Use(*rest));
    also->Bind(1, id);
    CATCHUP_RETURN_IF_ERROR(also->Run());
  }
  --CountOf(head.state, counted);
  counted->bytes -= head.bytes;
  return {};
}

Status LetterWriter::DeleteBeyond(std::uint64_t fence, std::optional<Position> position,
                                  LetterTotals* counted) {
  static const std::string kBeyond = "(commit_position, prepare_position) > (?1, ?2)";
  static const std::string kIds = " WHERE id IN (SELECT id FROM letters WHERE " + kBeyond + ")";
  const auto run = [&](const std::string& sql, bool fenced) -> Result<std::int64_t> {
    CATCHUP_ASSIGN_OR_RETURN(Statement* const statement, Use(sql));
    // No letter lies before 0:0.
    statement->Bind(1, position ? Signed(position->commit) : -1);
    statement->Bind(2, position ? Signed(position->prepare) : -1);
    if (fenced) {
      statement->Bind(3, Signed(fence));
    }
    CATCHUP_RETURN_IF_ERROR(statement->Run());
    return statement->Changed();
  };
  CATCHUP_RETURN_IF_ERROR(run("DELETE FROM events" + kIds, false).status());
  CATCHUP_RETURN_IF_ERROR(run("DELETE FROM causes" + kIds, false).status());
  CATCHUP_ASSIGN_OR_RETURN(
      const std::int64_t removed,
      run("DELETE FROM letters WHERE " + kBeyond + " AND " + FenceAt(3), true));
  if (removed == 0) {
    return CheckFence(fence);
  }
  CATCHUP_ASSIGN_OR_RETURN(*counted, CountLetters(connection_));
  return {};
}

Status LetterWriter::SetHold(std::uint64_t fence, const LetterHold& hold) {
  static const std::string kSql = "INSERT OR REPLACE INTO holds (" + std::string(kHoldColumns) +
                                  ") SELECT ?2, ?3, ?4, ?5, ?6 WHERE " + FenceAt(1);
  Scratch scratch;
  CATCHUP_ASSIGN_OR_RETURN(Statement* const insert, Use(kSql));
  insert->Bind(1, Signed(fence));
  BindHold(hold, 2, insert, &scratch);
  CATCHUP_RETURN_IF_ERROR(insert->Run());
  return insert->Changed() > 0 ? Status() : CheckFence(fence);
}

Status LetterWriter::EndHold(std::uint64_t fence, const std::string& type) {
  static const std::string kSql = "DELETE FROM holds WHERE type = ?1 AND " + FenceAt(2);
  CATCHUP_ASSIGN_OR_RETURN(Statement* const remove, Use(kSql));
  remove->BindText(1, type);
  remove->Bind(2, Signed(fence));
  CATCHUP_RETURN_IF_ERROR(remove->Run());
  return remove->Changed() > 0 ? Status() : CheckFence(fence);
}

Status LetterWriter::SetMark(const LettersMark& mark) {
  static const std::string kSql = kWriteMark;
  CATCHUP_ASSIGN_OR_RETURN(Statement* const write, Use(kSql));
  return WriteMark(mark, write);
}

Status LetterWriter::RaiseToken(std::uint64_t token) {
  static const std::string kSql = "UPDATE owner SET token = ?1 WHERE token <= ?1";
  CATCHUP_ASSIGN_OR_RETURN(Statement* const update, Use(kSql));
  update->Bind(1, Signed(token));
  CATCHUP_RETURN_IF_ERROR(update->Run());
  return update->Changed() > 0 ? Status() : CheckFence(token);
}

}  // namespace catchup
