#include "host/store/letter_decisions.h"

#include <fmt/core.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "host/store/bytes.h"
#include "host/store/letter_rows.h"

namespace catchup {
namespace {

constexpr std::string_view kParkColumns =
    "commit_position, prepare_position, since, by, reason, sum";
constexpr std::string_view kDropColumns =
    "commit_position, prepare_position, stream, type, event_id, revision, class, dropped, by, "
    "reason, sum";

std::string_view View(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

void Put(std::string_view text, std::string* bytes) {
  PutNumber(static_cast<std::uint64_t>(text.size()), bytes);
  bytes->append(text);
}

std::string SumOf(const LetterPark& park) {
  std::string bytes;
  PutNumber(park.position.commit, &bytes);
  PutNumber(park.position.prepare, &bytes);
  PutNumber(park.since_ticks, &bytes);
  Put(park.by, &bytes);
  Put(park.reason, &bytes);
  return RowSum(bytes);
}

std::string SumOf(const LetterDrop& drop) {
  std::string bytes;
  PutNumber(drop.position.commit, &bytes);
  PutNumber(drop.position.prepare, &bytes);
  Put(drop.stream, &bytes);
  Put(drop.type, &bytes);
  bytes += View(drop.event_id);
  PutNumber(drop.revision, &bytes);
  PutNumber(static_cast<std::uint8_t>(drop.letter_class), &bytes);
  PutNumber(drop.dropped_ticks, &bytes);
  Put(drop.by, &bytes);
  Put(drop.reason, &bytes);
  return RowSum(bytes);
}

Position PositionAt(const Statement& row) {
  return {static_cast<std::uint64_t>(row.Int(0)), static_cast<std::uint64_t>(row.Int(1))};
}

Status Damaged(std::string_view table) {
  return Status::Corrupt("a row in table " + std::string(table) + " is not what was written there");
}

Status ReadPark(const Statement& row, LetterPark* park) {
  park->position = PositionAt(row);
  park->since_ticks = row.Int(2);
  park->by = row.Bytes(3);
  park->reason = row.Bytes(4);
  return row.Bytes(5) == SumOf(*park) ? Status() : Damaged("parks");
}

Status ReadDrop(const Statement& row, LetterDrop* drop) {
  drop->position = PositionAt(row);
  drop->stream = row.Bytes(2);
  drop->type = row.Bytes(3);
  drop->event_id = {};
  if (const std::string_view id = row.Bytes(4); id.size() == drop->event_id.bytes.size()) {
    std::memcpy(drop->event_id.bytes.data(), id.data(), id.size());
  }
  drop->revision = static_cast<std::uint64_t>(row.Int(5));
  drop->letter_class = static_cast<StoredClass>(row.Int(6));
  drop->dropped_ticks = row.Int(7);
  drop->by = row.Bytes(8);
  drop->reason = row.Bytes(9);
  return row.Bytes(10) == SumOf(*drop) ? Status() : Damaged("drops");
}

// A file that no host has opened to write since this version has none.
Result<bool> HasTable(std::string_view name, Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(Statement find,
                           connection->Prepare("SELECT 1 FROM sqlite_schema WHERE name = ?1"));
  find.BindText(1, name);
  return find.Step();
}

template <typename Row>
Status Scan(std::string_view table, const std::string& sql, Status (*read)(const Statement&, Row*),
            Connection* connection, const std::function<void(const Row&)>& see) {
  CATCHUP_ASSIGN_OR_RETURN(const bool there, HasTable(table, connection));
  return there ? EachRow<Row>(connection, sql, read, see) : Status();
}

}  // namespace

Status SetPark(std::uint64_t fence, const LetterPark& park, Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement insert,
      connection->Prepare("INSERT OR REPLACE INTO parks (" + std::string(kParkColumns) +
                          ") SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT token FROM owner) = ?7"));
  const std::string sum = SumOf(park);
  insert.Bind(1, Signed(park.position.commit));
  insert.Bind(2, Signed(park.position.prepare));
  insert.Bind(3, park.since_ticks);
  insert.BindText(4, park.by);
  insert.BindText(5, park.reason);
  insert.BindBlob(6, sum);
  insert.Bind(7, Signed(fence));
  CATCHUP_RETURN_IF_ERROR(insert.Run());
  return insert.Changed() > 0
             ? Status()
             : Status::Denied(fmt::format("fenced: token {} is not the present one", fence));
}

Status RemovePark(Position position, Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement remove,
      connection->Prepare("DELETE FROM parks WHERE commit_position = ?1 AND prepare_position = "
                          "?2"));
  remove.Bind(1, Signed(position.commit));
  remove.Bind(2, Signed(position.prepare));
  return remove.Run();
}

Status ScanParks(Connection* connection, const std::function<void(const LetterPark&)>& see) {
  return Scan<LetterPark>(
      "parks", SelectSql(kParkColumns, "FROM parks ORDER BY commit_position, prepare_position"),
      ReadPark, connection, see);
}

Status AddDrop(const LetterDrop& drop, Connection* connection) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement insert,
      connection->Prepare("INSERT INTO drops (" + std::string(kDropColumns) +
                          ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"));
  const std::string sum = SumOf(drop);
  insert.Bind(1, Signed(drop.position.commit));
  insert.Bind(2, Signed(drop.position.prepare));
  insert.BindText(3, drop.stream);
  insert.BindText(4, drop.type);
  insert.BindBlob(5, View(drop.event_id));
  insert.Bind(6, Signed(drop.revision));
  insert.Bind(7, static_cast<std::int64_t>(drop.letter_class));
  insert.Bind(8, drop.dropped_ticks);
  insert.BindText(9, drop.by);
  insert.BindText(10, drop.reason);
  insert.BindBlob(11, sum);
  CATCHUP_RETURN_IF_ERROR(insert.Run());
  CATCHUP_ASSIGN_OR_RETURN(
      Statement trim,
      connection->Prepare(
          "DELETE FROM drops WHERE number <= (SELECT max(number) FROM drops) - ?1"));
  trim.Bind(1, kMaxDrops);
  return trim.Run();
}

Result<std::optional<LetterDrop>> FindDrop(Position position, Connection* connection) {
  std::optional<LetterDrop> found;
  CATCHUP_RETURN_IF_ERROR(ScanDrops(connection, [&](const LetterDrop& drop) {
    if (!found && drop.position == position) {
      found = drop;
    }
  }));
  return found;
}

Status ScanDrops(Connection* connection, const std::function<void(const LetterDrop&)>& see) {
  return Scan<LetterDrop>("drops", SelectSql(kDropColumns, "FROM drops ORDER BY number DESC"),
                          ReadDrop, connection, see);
}

}  // namespace catchup
