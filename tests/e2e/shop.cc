#include "tests/e2e/shop.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/e2e/harness.h"

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

// A plugin may be writing: a reader waits.
constexpr int kBusyMs = 5'000;

}  // namespace

std::ostream& operator<<(std::ostream& out, const Totals& totals) {
  return out << totals.orders << " orders of " << totals.cents << " cents";
}

std::map<std::string, Totals> Shop::Customers() const {
  std::map<std::string, Totals> customers;
  for (const Order& order : orders) {
    Totals& totals = customers[order.customer];
    totals.orders += order.cancelled ? 0 : 1;
    totals.cents += order.cancelled ? 0 : order.cents;
  }
  return customers;
}

Shop MakeShop(std::mt19937_64* random, std::size_t events) {
  const auto pick = [random](std::uint64_t below) { return (*random)() % below; };
  Shop shop;
  std::map<std::string, std::uint64_t> revisions;
  const auto add = [&](const std::string& stream, const std::string& type, std::string data) {
    shop.lines.push_back(EventLine(stream, type, data));
    shop.names.push_back(stream + "@" + std::to_string(revisions[stream]++) + " " + type);
    ++shop.types[type];
  };
  while (shop.lines.size() < events) {
    const std::string customer = "c" + std::to_string(pick(100));
    const bool visits = pick(10) == 0;
    for (std::uint64_t left = 20 + pick(200); left > 0; --left) {
      const std::uint64_t number = pick(shop.orders.size() + 1);
      if (visits) {
        add("visits-" + customer, "visitor-came", "{\"page\":" + std::to_string(left) + "}");
      } else if (pick(5) == 0 && number < shop.orders.size() && !shop.orders[number].cancelled) {
        shop.orders[number].cancelled = true;
        add("orders-" + customer, "order-cancelled",
            "{\"orderId\":\"" + std::to_string(number) + "\"}");
      } else {
        const std::int64_t cents = static_cast<std::int64_t>(pick(100'000));
        add("orders-" + customer, "order-placed",
            "{\"orderId\":\"" + std::to_string(shop.orders.size()) + "\",\"customerId\":\"" +
                customer + "\",\"amountCents\":" + std::to_string(cents) + "}");
        shop.orders.push_back({customer, cents, false});
      }
    }
  }
  return shop;
}

Database::Database(const fs::path& file) {
  if (sqlite3_open_v2(file.c_str(), &db_, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) {
    sqlite3_close(db_);
    db_ = nullptr;
  } else {
    sqlite3_busy_timeout(db_, kBusyMs);
  }
}

Database::~Database() { sqlite3_close(db_); }

std::vector<std::vector<std::string>> Database::Query(const char* sql) const {
  std::vector<std::vector<std::string>> rows;
  sqlite3_stmt* statement = nullptr;
  if (db_ == nullptr || sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) != SQLITE_OK) {
    return rows;
  }
  while (sqlite3_step(statement) == SQLITE_ROW) {
    std::vector<std::string> row;
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const void* text = sqlite3_column_text(statement, i);
      row.emplace_back(text == nullptr ? "" : static_cast<const char*>(text));
    }
    rows.push_back(std::move(row));
  }
  sqlite3_finalize(statement);
  return rows;
}

std::map<std::string, Totals> ReadTotals(const fs::path& file) {
  std::map<std::string, Totals> customers;
  for (const auto& row :
       Database(file).Query("SELECT customer_id, orders, cents FROM order_totals")) {
    customers[row[0]] = {std::stoll(row[1]), std::stoll(row[2])};
  }
  return customers;
}

std::vector<WrittenLine> ReadWritten(const fs::path& file) {
  std::vector<WrittenLine> lines;
  std::uintmax_t offset = 0;
  for (const std::string& line : ReadLines(file)) {
    const JsonObject event = ParseJsonObject(line);
    lines.push_back({event.at("stream") + "@" + event.at("revision") + " " + event.at("type"),
                     std::stoull(event.at("commit")), offset});
    offset += line.size() + 1;
  }
  return lines;
}

std::vector<Repetition> CheckOrder(const std::vector<WrittenLine>& lines, const Shop& shop) {
  std::vector<Repetition> repetitions;
  std::size_t next = 0;      // Of the log's events: the first not written yet.
  std::uint64_t newest = 0;  // Its predecessor's position.
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const bool goes_back = i > 0 && lines[i].commit <= lines[i - 1].commit;
    if (goes_back) {
      repetitions.push_back({lines[i].offset, 0});
    }
    if (next > 0 && lines[i].commit <= newest) {
      ++repetitions.back().events;
      continue;
    }
    if (next >= shop.names.size() || lines[i].name != shop.names[next]) {
      ADD_FAILURE() << "line " << i + 1 << ": found " << lines[i].name << ", wanted "
                    << (next < shop.names.size() ? shop.names[next] : "the end");
      return repetitions;
    }
    newest = lines[i].commit;
    ++next;
  }
  EXPECT_EQ(next, shop.names.size()) << "events are missing at the end";
  return repetitions;
}

}  // namespace catchup::e2e
