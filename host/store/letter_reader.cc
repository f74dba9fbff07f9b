#include "host/store/letter_reader.h"

#include <utility>

#include "host/store/letter_decisions.h"
#include "host/store/letter_file.h"
#include "host/store/letter_rows.h"

namespace catchup {
namespace {

// An absent condition binds NULL, for which the statement asks first.
template <typename T>
void BindOptional(int index, const std::optional<T>& value, Statement* statement) {
  if (!value) {
    statement->BindNull(index);
  } else if constexpr (std::is_same_v<T, std::string>) {
    statement->BindText(index, *value);
  } else {
    statement->Bind(index, static_cast<std::int64_t>(*value));
  }
}

// A letter whose cause is gone has a row all the same: what is read of it tells of the damage.
constexpr std::string_view kWhere =
    "FROM letters LEFT JOIN causes USING (id) WHERE (?1 IS NULL OR letters.state = ?1) AND "
    "(?2 IS NULL OR letters.class = ?2) AND (?3 IS NULL OR letters.stream = ?3) AND "
    "(?4 IS NULL OR letters.type = ?4) AND (?5 IS NULL OR letters.written < ?5) AND "
    "(?6 IS NULL OR letters.written > ?6) AND "
    "(letters.commit_position, letters.prepare_position) > (?7, ?8) AND "
    "(?10 IS NULL OR (letters.commit_position, letters.prepare_position) <= (?10, ?11)) "
    "ORDER BY letters.commit_position, letters.prepare_position LIMIT ?9";

// As ?1 and ?2: every letter lies behind none.
void BindPlace(std::optional<Position> place, Statement* statement) {
  statement->Bind(1, place ? Signed(place->commit) : -1);
  statement->Bind(2, place ? Signed(place->prepare) : -1);
}

}  // namespace

Result<LetterReader> LetterReader::Open(const std::filesystem::path& folder,
                                        const std::string& group) {
  CATCHUP_ASSIGN_OR_RETURN(auto connection, letter_file::OpenToRead(folder, group));
  LetterReader reader(nullptr, folder);
  if (connection) {
    reader.own_ = std::make_unique<Connection>(*std::move(connection));
    reader.connection_ = reader.own_.get();
  }
  return reader;
}

// A row that is not what it was is our finding; all else is SQLite's.
Status LetterReader::Failure(const Status& status) const {
  if (status.code() == Status::Code::kCorrupt &&
      connection_->fault() == Connection::Fault::kOther) {
    return letter_file::AddWayOut(status.Within(letter_file::In(folder_).string()), folder_);
  }
  return letter_file::AddWayOut(letter_file::Explain(*connection_, status, folder_), folder_);
}

Result<LetterTotals> LetterReader::Count() {
  if (connection_ == nullptr) {
    return LetterTotals();
  }
  auto totals = CountLetters(connection_);
  return totals.ok() ? std::move(totals) : Failure(totals.status());
}

Result<std::uint64_t> LetterReader::CountBehind(std::optional<Position> after) {
  if (connection_ == nullptr) {
    return std::uint64_t{0};
  }
  auto statement = connection_->Prepare(
      "SELECT count(*) FROM letters WHERE (commit_position, prepare_position) > (?1, ?2)");
  if (!statement.ok()) {
    return Failure(statement.status());
  }
  BindPlace(after, &*statement);
  const auto row = statement->Step();
  return row.ok() ? Result<std::uint64_t>(static_cast<std::uint64_t>(statement->Int(0)))
                  : Failure(row.status());
}

Result<FoundLetters> LetterReader::Mark() {
  if (connection_ == nullptr) {
    return FoundLetters();
  }
  // A version that wrote none made no such table.
  auto tables = connection_->QueryInt("SELECT count(*) FROM sqlite_schema WHERE name = 'mark'");
  if (!tables.ok()) {
    return Failure(tables.status());
  }
  auto mark = *tables == 0 ? Result<std::optional<LettersMark>>(std::optional<LettersMark>())
                           : ReadMark(connection_);
  return mark.ok() ? Result<FoundLetters>(FoundLetters{true, *mark}) : Failure(mark.status());
}

Status LetterReader::Told(const Status& status) const {
  return status.ok() ? status : Failure(status);
}

Status LetterReader::Scan(const SeeHead& see) {
  if (connection_ == nullptr) {
    return {};
  }
  return Told(EachRow<LetterHead>(
      connection_,
      SelectSql(kHeadColumns, "FROM letters ORDER BY commit_position, prepare_position"),
      [](const Statement& row, LetterHead* head) { return ReadHead(row, 0, head); }, see));
}

Status LetterReader::ScanHolds(const SeeHold& see) {
  if (connection_ == nullptr) {
    return {};
  }
  return Told(EachRow<LetterHold>(
      connection_, SelectSql(kHoldColumns, "FROM holds ORDER BY type"),
      [](const Statement& row, LetterHold* hold) { return ReadHold(row, 0, hold); }, see));
}

Status LetterReader::ScanParks(const SeePark& see) {
  return connection_ == nullptr ? Status() : Told(catchup::ScanParks(connection_, see));
}

Status LetterReader::ScanDrops(const SeeDrop& see) {
  return connection_ == nullptr ? Status() : Told(catchup::ScanDrops(connection_, see));
}

Result<std::optional<LetterDrop>> LetterReader::FindDrop(Position position) {
  if (connection_ == nullptr) {
    return std::optional<LetterDrop>();
  }
  auto found = catchup::FindDrop(position, connection_);
  return found.ok() ? std::move(found) : Failure(found.status());
}

Result<std::optional<Position>> LetterReader::PlaceBehind(std::optional<Position> after,
                                                          std::uint64_t rows) {
  if (connection_ == nullptr) {
    return std::optional<Position>();
  }
  auto statement = connection_->Prepare(
      "SELECT commit_position, prepare_position FROM letters WHERE "
      "(commit_position, prepare_position) > (?1, ?2) ORDER BY commit_position, prepare_position "
      "LIMIT 1 OFFSET ?3");
  if (!statement.ok()) {
    return Failure(statement.status());
  }
  BindPlace(after, &*statement);
  statement->Bind(3, Signed(rows) - 1);
  const auto row = statement->Step();
  if (!row.ok()) {
    return Failure(row.status());
  }
  return *row ? std::optional(Position{static_cast<std::uint64_t>(statement->Int(0)),
                                       static_cast<std::uint64_t>(statement->Int(1))})
              : std::nullopt;
}

Status LetterReader::List(const LetterFilter& filter, const SeeLetter& see) {
  if (connection_ == nullptr) {
    return {};
  }
  auto statement = connection_->Prepare(SelectSql(
      QualifiedColumns("letters", kHeadColumns) + ", " + QualifiedColumns("causes", kCauseColumns),
      kWhere));
  if (!statement.ok()) {
    return Failure(statement.status());
  }
  BindOptional(1, filter.state, &*statement);
  BindOptional(2, filter.letter_class, &*statement);
  BindOptional(3, filter.stream, &*statement);
  BindOptional(4, filter.type, &*statement);
  BindOptional(5, filter.written_before, &*statement);
  BindOptional(6, filter.written_after, &*statement);
  // No letter lies before 0:0.
  statement->Bind(7, filter.after ? Signed(filter.after->commit) : -1);
  statement->Bind(8, filter.after ? Signed(filter.after->prepare) : -1);
  statement->Bind(9, filter.limit ? Signed(*filter.limit) : -1);
  BindOptional(10, filter.until ? std::optional(filter.until->commit) : std::nullopt, &*statement);
  BindOptional(11, filter.until ? std::optional(filter.until->prepare) : std::nullopt, &*statement);
  LetterHead head;
  LetterCause cause;
  for (;;) {
    const auto row = statement->Step();
    if (!row.ok()) {
      return Failure(row.status());
    }
    if (!*row) {
      return {};
    }
    Status read = ReadHead(*statement, 0, &head);
    if (read.ok()) {
      read = ReadCause(*statement, kHeadCount, head.position, &cause);
    }
    if (!read.ok()) {
      return Failure(read);
    }
    CATCHUP_RETURN_IF_ERROR(see(head, cause));
  }
}

Result<std::optional<Letter>> LetterReader::Read(Position position) {
  if (connection_ == nullptr || !IsPlace(position)) {
    return std::optional<Letter>();
  }
  auto letter = ReadLetter(connection_, position, &read_);
  return letter.ok() ? std::move(letter) : Failure(letter.status());
}

Result<std::optional<LetterHead>> LetterReader::FirstOf(std::string_view stream) {
  if (connection_ == nullptr) {
    return std::optional<LetterHead>();
  }
  auto statement =
      connection_->Prepare(SelectSql(kHeadColumns,
                                     "FROM letters WHERE stream = ?1 ORDER BY commit_position, "
                                     "prepare_position LIMIT 1"));
  if (!statement.ok()) {
    return Failure(statement.status());
  }
  statement->BindText(1, stream);
  return OneOf(*std::move(statement));
}

Result<std::optional<LetterHead>> LetterReader::NextOf(std::string_view stream, Position after) {
  if (connection_ == nullptr) {
    return std::optional<LetterHead>();
  }
  auto statement = connection_->Prepare(
      SelectSql(kHeadColumns,
                "FROM letters WHERE stream = ?1 AND (commit_position, prepare_position) > (?2, ?3) "
                "ORDER BY commit_position, prepare_position LIMIT 1"));
  if (!statement.ok()) {
    return Failure(statement.status());
  }
  statement->BindText(1, stream);
  statement->Bind(2, Signed(after.commit));
  statement->Bind(3, Signed(after.prepare));
  return OneOf(*std::move(statement));
}

Result<std::optional<LetterHead>> LetterReader::OneOf(Statement statement) {
  const auto row = statement.Step();
  if (!row.ok()) {
    return Failure(row.status());
  }
  if (!*row) {
    return std::optional<LetterHead>();
  }
  LetterHead head;
  const Status read = ReadHead(statement, 0, &head);
  return read.ok() ? Result<std::optional<LetterHead>>(std::move(head)) : Failure(read);
}

}  // namespace catchup
