#include "totals_store.h"

namespace order_totals {
namespace {

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS order_totals("
    "  customer_id TEXT PRIMARY KEY, orders INTEGER, cents INTEGER) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS orders("
    "  order_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, cents INTEGER NOT NULL,"
    "  cancelled INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS catchup_positions("
    "  group_name TEXT PRIMARY KEY, token INTEGER NOT NULL,"
    "  commit_position INTEGER, prepare_position INTEGER) WITHOUT ROWID;";

Database OpenWithSchema(const std::string& path) {
  Database database(path);
  database.Execute(kSchema);
  return database;
}

// SQLite's integers are signed. Positions are only compared for being equal, so their bits will do;
// tokens are compared by size and count spawned processes, far below 2^63.
std::int64_t ToStored(std::uint64_t number) { return static_cast<std::int64_t>(number); }
std::uint64_t FromStored(std::int64_t number) { return static_cast<std::uint64_t>(number); }

void BindPosition(Statement& statement, std::optional<catchup_position> position) {
  if (position) {
    statement.Bind(ToStored(position->commit)).Bind(ToStored(position->prepare));
  } else {
    statement.BindNull().BindNull();
  }
}

bool Same(std::optional<catchup_position> a, std::optional<catchup_position> b) {
  if (!a || !b) return !a && !b;
  return a->commit == b->commit && a->prepare == b->prepare;
}

bool Reaches(std::optional<catchup_position> stored, catchup_position position) {
  return stored &&
         std::tie(stored->commit, stored->prepare) >= std::tie(position.commit, position.prepare);
}

std::string ToString(std::optional<catchup_position> position) {
  if (!position) return "none";
  return std::to_string(position->commit) + ":" + std::to_string(position->prepare);
}

void RequireToken(std::uint64_t seen, std::uint64_t ours) {
  if (seen <= ours) return;
  throw catchup::FatalError("fenced: token " + std::to_string(seen) + " seen, ours " +
                            std::to_string(ours));
}

}  // namespace

TotalsStore::TotalsStore(const std::string& path)
    : database_(OpenWithSchema(path)),
      insert_order_(database_,
                    "INSERT INTO orders(order_id, customer_id, cents) VALUES(?, ?, ?) "
                    "ON CONFLICT(order_id) DO NOTHING"),
      read_order_(database_, "SELECT customer_id, cents FROM orders WHERE order_id = ?"),
      cancel_order_(database_,
                    "UPDATE orders SET cancelled = 1 WHERE order_id = ? AND cancelled = 0 "
                    "RETURNING customer_id, cents"),
      add_totals_(database_,
                  "INSERT INTO order_totals(customer_id, orders, cents) VALUES(?, ?, ?) "
                  "ON CONFLICT(customer_id) DO UPDATE SET orders = orders + excluded.orders, "
                  "cents = cents + excluded.cents"),
      read_position_(database_,
                     "SELECT token, commit_position, prepare_position FROM catchup_positions "
                     "WHERE group_name = ?"),
      move_position_(database_,
                     "UPDATE catchup_positions SET token = ?1, commit_position = ?2, "
                     "prepare_position = ?3 WHERE group_name = ?4 AND token <= ?1 "
                     "AND commit_position IS ?5 AND prepare_position IS ?6"),
      set_position_(database_,
                    "INSERT INTO catchup_positions(group_name, token, commit_position, "
                    "prepare_position) VALUES(?, ?, ?, ?) ON CONFLICT(group_name) DO UPDATE SET "
                    "token = excluded.token, commit_position = excluded.commit_position, "
                    "prepare_position = excluded.prepare_position") {}

void TotalsStore::Place(const OrderPlaced& order) {
  insert_order_.Start().Bind(order.order_id).Bind(order.customer_id).Bind(order.cents).Step();
  if (database_.changes() == 0) return RequireSameOrder(order);
  Change& change = changes_[order.customer_id];
  change.orders += 1;
  change.cents += order.cents;
}

void TotalsStore::RequireSameOrder(const OrderPlaced& order) {
  const bool found = read_order_.Start().Bind(order.order_id).Step();
  const bool same =
      found && read_order_.text(0) == order.customer_id && read_order_.number(1) == order.cents;
  read_order_.Reset();
  if (!same) {
    throw catchup::DomainError(
        "order-placed: found an order of this id with another customer or amount, wanted a new id");
  }
}

bool TotalsStore::Cancel(const OrderCancelled& order) {
  if (!cancel_order_.Start().Bind(order.order_id).Step()) return false;
  Change& change = changes_[std::string(cancel_order_.text(0))];
  change.orders -= 1;
  change.cents -= cancel_order_.number(1);
  cancel_order_.Step();
  return true;
}

void TotalsStore::WriteTotals() {
  for (const auto& [customer, change] : changes_) {
    add_totals_.Start().Bind(customer).Bind(change.orders).Bind(change.cents).Step();
  }
  changes_.clear();
}

std::optional<TotalsStore::Row> TotalsStore::ReadRow(std::string_view group) {
  if (!read_position_.Start().Bind(group).Step()) return std::nullopt;
  Row row;
  row.token = FromStored(read_position_.number(0));
  if (!read_position_.is_null(1)) {
    row.position = catchup_position{FromStored(read_position_.number(1)),
                                    FromStored(read_position_.number(2))};
  }
  read_position_.Reset();
  return row;
}

std::optional<catchup_position> TotalsStore::Load(std::string_view group, std::uint64_t token) {
  const std::optional<Row> row = ReadRow(group);
  const auto position = row ? row->position : std::nullopt;
  Set(group, position, token);
  return position;
}

bool TotalsStore::Move(std::string_view group, std::optional<catchup_position> previous,
                       catchup_position position, std::uint64_t token) {
  move_position_.Start().Bind(ToStored(token));
  BindPosition(move_position_, position);
  move_position_.Bind(group);
  BindPosition(move_position_, previous);
  move_position_.Step();
  if (database_.changes() == 1) return true;

  const std::optional<Row> row = ReadRow(group);
  if (!row) {
    throw catchup::FatalError("found no position of group " + std::string(group) +
                              ", wanted the one that load_position stores");
  }
  RequireToken(row->token, token);
  if (Reaches(row->position, position) && !Same(previous, position)) return false;
  throw catchup::FatalError("found the stored position " + ToString(row->position) + ", wanted " +
                            ToString(previous) + " before moving to " + ToString(position));
}

void TotalsStore::Set(std::string_view group, std::optional<catchup_position> position,
                      std::uint64_t token) {
  if (const std::optional<Row> row = ReadRow(group)) RequireToken(row->token, token);
  set_position_.Start().Bind(group).Bind(ToStored(token));
  BindPosition(set_position_, position);
  set_position_.Step();
}

}  // namespace order_totals
