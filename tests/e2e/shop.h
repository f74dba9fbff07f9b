#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <ostream>
#include <random>
#include <string>
#include <vector>

struct sqlite3;

// A log of orders, and what the plugins must make of it whatever was killed meanwhile.
namespace catchup::e2e {

struct Totals {
  std::int64_t orders = 0;
  std::int64_t cents = 0;
  bool operator==(const Totals&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Totals& totals);

struct Shop {
  struct Order {
    std::string customer;
    std::int64_t cents = 0;
    bool cancelled = false;
  };

  std::vector<std::string> lines;
  std::vector<std::string> names;  // "STREAM@REVISION TYPE", in the order of the log.
  std::map<std::string, std::uint64_t> types;
  std::vector<Order> orders;

  // What order_totals must come to.
  std::map<std::string, Totals> Customers() const;
};

// At least `events`: runs of events of one stream, as an append call holds them; each order is
// cancelled at most once.
Shop MakeShop(std::mt19937_64* random, std::size_t events);

// A plugin's database, read beside it.
class Database {
 public:
  explicit Database(const std::filesystem::path& file);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Each row's columns as text; nothing when the database or a table is not there yet.
  std::vector<std::vector<std::string>> Query(const char* sql) const;

 private:
  sqlite3* db_ = nullptr;
};

// What order_totals holds for each customer.
std::map<std::string, Totals> ReadTotals(const std::filesystem::path& file);

// One line of jsonl's file, as far as order and repetition need it.
struct WrittenLine {
  std::string name;  // "STREAM@REVISION TYPE"
  std::uint64_t commit = 0;
  std::uintmax_t offset = 0;
};

std::vector<WrittenLine> ReadWritten(const std::filesystem::path& file);

// Where events come again, and how many.
struct Repetition {
  std::uintmax_t offset = 0;
  std::size_t events = 0;
};
// Fails the test unless every event is there once and in order, but for repetitions.
std::vector<Repetition> CheckOrder(const std::vector<WrittenLine>& lines, const Shop& shop);

}  // namespace catchup::e2e
