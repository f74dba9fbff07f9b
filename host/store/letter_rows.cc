#include "host/store/letter_rows.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "host/store/bytes.h"

namespace catchup {
namespace {

constexpr std::size_t kRowSumBytes = 16;

// Each text with its length before it, so that none can pass for a part of its neighbour.
void PutText(std::string_view text, std::string* bytes) {
  PutNumber(static_cast<std::uint64_t>(text.size()), bytes);
  bytes->append(text);
}

void PutPosition(Position position, std::string* bytes) {
  PutNumber(position.commit, bytes);
  PutNumber(position.prepare, bytes);
}

std::string_view View(const Digest32& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

std::string_view View(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

}  // namespace

std::string HeadSum(const LetterHead& head) {
  std::string bytes;
  PutPosition(head.position, &bytes);
  PutText(head.stream, &bytes);
  PutText(head.type, &bytes);
  bytes += View(head.event_id);
  PutNumber(head.revision, &bytes);
  PutNumber(head.created_ticks, &bytes);
  PutNumber(static_cast<std::uint8_t>(head.is_json), &bytes);
  PutNumber(static_cast<std::uint8_t>(head.state), &bytes);
  PutNumber(static_cast<std::uint8_t>(head.letter_class), &bytes);
  for (const std::int64_t ticks : {head.written_ticks, head.since_ticks, head.due_ticks,
                                   head.first_failed_ticks, head.last_failed_ticks}) {
    PutNumber(ticks, &bytes);
  }
  PutNumber(head.step, &bytes);
  PutNumber(head.attempts, &bytes);
  PutNumber(head.bytes, &bytes);
  return RowSum(bytes);
}

namespace {

std::string CauseSum(Position position, const LetterCause& cause, std::string_view calls) {
  std::string bytes;
  PutPosition(position, &bytes);
  for (const std::string_view text :
       {std::string_view(cause.reason), calls, std::string_view(cause.plugin),
        std::string_view(cause.plugin_version), View(cause.plugin_digest),
        std::string_view(cause.trace_id), std::string_view(cause.span_id)}) {
    PutText(text, &bytes);
  }
  PutNumber(cause.token, &bytes);
  return RowSum(bytes);
}

std::string EventSum(Position position, std::string_view data, std::string_view metadata) {
  // It is made of the payload's own sums, so that the payload is not copied.
  std::string bytes;
  PutPosition(position, &bytes);
  for (const std::string_view part : {data, metadata}) {
    PutNumber(static_cast<std::uint64_t>(part.size()), &bytes);
    bytes += RowSum(part);
  }
  return RowSum(bytes);
}

std::string HoldSum(const LetterHold& hold) {
  std::string bytes;
  PutText(hold.type, &bytes);
  PutNumber(static_cast<std::uint8_t>(hold.by), &bytes);
  PutNumber(hold.since_ticks, &bytes);
  PutText(hold.reason, &bytes);
  return RowSum(bytes);
}

// i64 time, u8 class, u16 length, text; oldest first.
std::string EncodeCalls(const std::vector<LetterCall>& calls) {
  std::string bytes;
  for (const LetterCall& call : calls) {
    PutNumber(call.time_ticks, &bytes);
    PutNumber(static_cast<std::uint8_t>(call.letter_class), &bytes);
    PutNumber(static_cast<std::uint16_t>(call.text.size()), &bytes);
    bytes += call.text;
  }
  return bytes;
}

// What does not fit ends the list: the row's sum tells.
std::vector<LetterCall> DecodeCalls(std::string_view bytes) {
  constexpr std::size_t kFixed = 8 + 1 + 2;
  std::vector<LetterCall> calls;
  while (bytes.size() >= kFixed) {
    LetterCall call;
    call.time_ticks = GetNumber<std::int64_t>(bytes, 0);
    call.letter_class = static_cast<StoredClass>(GetNumber<std::uint8_t>(bytes, 8));
    const std::size_t size = GetNumber<std::uint16_t>(bytes, 9);
    call.text = std::string(bytes.substr(kFixed, size));
    bytes.remove_prefix(std::min(bytes.size(), kFixed + size));
    calls.push_back(std::move(call));
  }
  return calls;
}

// A value that lives until the statement has run.
std::string_view Keep(std::string value, Scratch* scratch) {
  scratch->push_back(std::move(value));
  return scratch->back();
}

template <typename T>
void ReadBytes(std::string_view from, T* to) {
  if (from.size() == to->size()) {
    std::memcpy(to->data(), from.data(), from.size());
  }
}

Status Damaged(std::string_view table, Position position) {
  return Status::Corrupt("the row of letter " + FormatPosition(position) + " in table " +
                         std::string(table) + " is not what was written there");
}

}  // namespace

std::string RowSum(std::string_view bytes) {
  const Digest32 sum = Sum(bytes);
  return std::string(View(sum).substr(0, kRowSumBytes));
}

std::string SelectSql(std::string_view columns, std::string_view rest) {
  std::string sql = "SELECT ";
  sql.append(columns).append(" ").append(rest);
  return sql;
}

void BindHead(const LetterHead& head, int first, Statement* statement, Scratch* scratch) {
  const auto number = [&](auto value) {
    statement->Bind(first++, static_cast<std::int64_t>(value));
  };
  number(head.position.commit);
  number(head.position.prepare);
  statement->BindText(first++, head.stream);
  statement->BindText(first++, head.type);
  statement->BindBlob(first++, View(head.event_id));
  number(head.revision);
  number(head.created_ticks);
  number(head.is_json ? 1 : 0);
  number(head.state);
  number(head.letter_class);
  number(head.written_ticks);
  number(head.since_ticks);
  number(head.due_ticks);
  number(head.step);
  number(head.attempts);
  number(head.first_failed_ticks);
  number(head.last_failed_ticks);
  number(head.bytes);
  statement->BindBlob(first++, Keep(HeadSum(head), scratch));
}

Status ReadHead(const Statement& statement, int first, LetterHead* head) {
  const auto number = [&] { return statement.Int(first++); };
  head->position.commit = static_cast<std::uint64_t>(number());
  head->position.prepare = static_cast<std::uint64_t>(number());
  head->stream = statement.Bytes(first++);
  head->type = statement.Bytes(first++);
  head->event_id = Uuid{};
  ReadBytes(statement.Bytes(first++), &head->event_id.bytes);
  head->revision = static_cast<std::uint64_t>(number());
  head->created_ticks = number();
  head->is_json = number() != 0;
  head->state = static_cast<StoredState>(number());
  head->letter_class = static_cast<StoredClass>(number());
  head->written_ticks = number();
  head->since_ticks = number();
  head->due_ticks = number();
  head->step = static_cast<std::uint32_t>(number());
  head->attempts = static_cast<std::uint32_t>(number());
  head->first_failed_ticks = number();
  head->last_failed_ticks = number();
  head->bytes = static_cast<std::uint64_t>(number());
  if (statement.Bytes(first) != HeadSum(*head)) {
    return Damaged("letters", head->position);
  }
  return {};
}

void BindCause(Position position, const LetterCause& cause, int first, Statement* statement,
               Scratch* scratch) {
  const std::string_view calls = Keep(EncodeCalls(cause.calls), scratch);
  statement->BindText(first++, cause.reason);
  statement->BindBlob(first++, calls);
  statement->BindText(first++, cause.plugin);
  statement->BindText(first++, cause.plugin_version);
  statement->BindBlob(first++, View(cause.plugin_digest));
  statement->Bind(first++, static_cast<std::int64_t>(cause.token));
  statement->BindText(first++, cause.trace_id);
  statement->BindText(first++, cause.span_id);
  statement->BindBlob(first++, Keep(CauseSum(position, cause, calls), scratch));
}

Status ReadCause(const Statement& statement, int first, Position position, LetterCause* cause) {
  cause->reason = statement.Bytes(first);
  const std::string_view calls = statement.Bytes(first + 1);
  cause->calls = DecodeCalls(calls);
  cause->plugin = statement.Bytes(first + 2);
  cause->plugin_version = statement.Bytes(first + 3);
  cause->plugin_digest = Digest32{};
  ReadBytes(statement.Bytes(first + 4), &cause->plugin_digest);
  cause->token = static_cast<std::uint64_t>(statement.Int(first + 5));
  cause->trace_id = statement.Bytes(first + 6);
  cause->span_id = statement.Bytes(first + 7);
  if (statement.Bytes(first + 8) != CauseSum(position, *cause, calls)) {
    return Damaged("causes", position);
  }
  return {};
}

void BindEvent(Position position, std::string_view data, std::string_view metadata, int first,
               Statement* statement, Scratch* scratch) {
  statement->BindBlob(first, data);
  statement->BindBlob(first + 1, metadata);
  statement->BindBlob(first + 2, Keep(EventSum(position, data, metadata), scratch));
}

Status ReadEvent(const Statement& statement, int first, Letter* letter) {
  letter->data = statement.Bytes(first);
  letter->metadata = statement.Bytes(first + 1);
  if (statement.Bytes(first + 2) !=
      EventSum(letter->head.position, letter->data, letter->metadata)) {
    return Damaged("events", letter->head.position);
  }
  return {};
}

std::string QualifiedColumns(std::string_view table, std::string_view columns) {
  std::string text;
  while (!columns.empty()) {
    const auto comma = columns.find(", ");
    text.append(text.empty() ? "" : ", ")
        .append(table)
        .append(".")
        .append(columns.substr(0, comma));
    columns.remove_prefix(comma == std::string_view::npos ? columns.size() : comma + 2);
  }
  return text;
}

namespace {

// Whether there really is none: damage to an index, or to the number that joins the tables, hides a
// letter without SQLite's noticing. By the table alone, which the plus signs bring about.
Status CheckMissing(Connection* connection, Position position) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement statement,
      connection->Prepare("SELECT 1 FROM letters WHERE +commit_position = ?1 AND "
                          "+prepare_position = ?2"));
  statement.Bind(1, static_cast<std::int64_t>(position.commit));
  statement.Bind(2, static_cast<std::int64_t>(position.prepare));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, statement.Step());
  return row ? Damaged("letters", position) : Status();
}

}  // namespace

Result<std::uint64_t> ReadToken(Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement statement,
      connection->Prepare(
          "SELECT token FROM owner WHERE typeof(token) = 'integer' AND token >= 0"));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) {
    return Status::Corrupt("its table owner holds no fencing token, wanted a number");
  }
  return static_cast<std::uint64_t>(statement.Int(0));
}

Result<std::optional<Letter>> ReadLetter(Connection* connection, Position position,
                                         std::optional<Statement>* prepared) {
  static const std::string kSql =
      "SELECT " + QualifiedColumns("letters", kHeadColumns) + ", " +
      QualifiedColumns("causes", kCauseColumns) + ", " + QualifiedColumns("events", kEventColumns) +
      " FROM letters JOIN causes USING (id) JOIN events USING (id) WHERE "
      "letters.commit_position = ?1 AND letters.prepare_position = ?2";
  if (!prepared->has_value()) {
    CATCHUP_ASSIGN_OR_RETURN(*prepared, connection->Prepare(kSql));
  }
  Statement& statement = **prepared;
  const ResetAtEnd reset(statement);
  statement.Bind(1, static_cast<std::int64_t>(position.commit));
  statement.Bind(2, static_cast<std::int64_t>(position.prepare));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, statement.Step());
  if (!row) {
    CATCHUP_RETURN_IF_ERROR(CheckMissing(connection, position));
    return std::optional<Letter>();
  }
  Letter letter;
  CATCHUP_RETURN_IF_ERROR(ReadHead(statement, 0, &letter.head));
  CATCHUP_RETURN_IF_ERROR(ReadCause(statement, kHeadCount, position, &letter.cause));
  CATCHUP_RETURN_IF_ERROR(ReadEvent(statement, kHeadCount + kCauseCount, &letter));
  return std::optional<Letter>(std::move(letter));
}

Result<LetterTotals> CountLetters(Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement statement,
      connection->Prepare("SELECT state, count(*), sum(bytes) FROM letters GROUP BY state"));
  LetterTotals totals;
  for (;;) {
    CATCHUP_ASSIGN_OR_RETURN(const bool row, statement.Step());
    if (!row) {
      return totals;
    }
    const auto count = static_cast<std::uint64_t>(statement.Int(1));
    totals.bytes += static_cast<std::uint64_t>(statement.Int(2));
    switch (static_cast<StoredState>(statement.Int(0))) {
      case StoredState::kHealing:
        totals.healing += count;
        break;
      case StoredState::kDead:
        totals.dead += count;
        break;
      case StoredState::kFollower:
        totals.followers += count;
        break;
    }
  }
}

void BindHold(const LetterHold& hold, int first, Statement* statement, Scratch* scratch) {
  statement->BindText(first, hold.type);
  statement->Bind(first + 1, static_cast<std::int64_t>(hold.by));
  statement->Bind(first + 2, hold.since_ticks);
  statement->BindText(first + 3, hold.reason);
  statement->BindBlob(first + 4, Keep(HoldSum(hold), scratch));
}

Status ReadHold(const Statement& statement, int first, LetterHold* hold) {
  hold->type = statement.Bytes(first);
  hold->by = static_cast<LetterHold::By>(statement.Int(first + 1));
  hold->since_ticks = statement.Int(first + 2);
  hold->reason = statement.Bytes(first + 3);
  if (statement.Bytes(first + 4) != HoldSum(*hold)) {
    return Status::Corrupt("a row in table holds is not what was written there");
  }
  return {};
}

}  // namespace catchup
