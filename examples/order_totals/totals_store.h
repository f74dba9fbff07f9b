#ifndef ORDER_TOTALS_TOTALS_STORE_H_
#define ORDER_TOTALS_TOTALS_STORE_H_

#include <catchup/plugin.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "database.h"
#include "order_events.h"

namespace order_totals {

// The read model and the position it is at, in one SQLite file.
//
//   order_totals       what people read: one row a customer
//   orders             one row an order, so that a cancellation knows what to subtract
//   catchup_positions  one row a group: its position, and the fencing token of the last runner
//
// Order events are decided by the order's id:
//   placed again, same customer and amount     nothing happens, cancelled or not
//   placed again, other customer or amount     catchup::DomainError
//   cancelled again, or without being placed   nothing happens
// so an event that comes twice has the effect of one.
//
// Begin/Commit are the caller's: each function runs inside the caller's Transaction.
class TotalsStore {
 public:
  // Opens the file at `path` and makes the tables. Throws as Database does.
  explicit TotalsStore(const std::string& path);

  Database& database() { return database_; }

  // ---- Effects. They reach order_totals with the next WriteTotals. ----

  void Place(const OrderPlaced& order);
  // False if there is no such order that could be cancelled.
  bool Cancel(const OrderCancelled& order);
  // One write a customer, however many of the transaction's orders were theirs.
  void WriteTotals();
  // For a transaction that will not be committed.
  void DropTotals() { changes_.clear(); }

  // ---- The position of `group`. All throw catchup::FatalError when a higher token is stored. ----

  // Stores `token` and returns the position beside it.
  std::optional<catchup_position> Load(std::string_view group, std::uint64_t token);

  // Moves from `previous` to `position`. False if an earlier try, perhaps of more events, has come
  // as far already: then its effects are there too. Throws catchup::FatalError if the stored
  // position is a third one.
  bool Move(std::string_view group, std::optional<catchup_position> previous,
            catchup_position position, std::uint64_t token);

  // Stores `position`, or none, whatever was there.
  void Set(std::string_view group, std::optional<catchup_position> position, std::uint64_t token);

 private:
  struct Row {
    std::uint64_t token = 0;
    std::optional<catchup_position> position;
  };
  struct Change {
    std::int64_t orders = 0;
    std::int64_t cents = 0;
  };

  std::optional<Row> ReadRow(std::string_view group);
  void RequireSameOrder(const OrderPlaced& order);

  Database database_;
  Statement insert_order_;
  Statement read_order_;
  Statement cancel_order_;
  Statement add_totals_;
  Statement read_position_;
  Statement move_position_;
  Statement set_position_;
  std::map<std::string, Change, std::less<>> changes_;  // By customer, of this transaction.
};

}  // namespace order_totals

#endif  // ORDER_TOTALS_TOTALS_STORE_H_
