#ifndef ORDER_TOTALS_DATABASE_H_
#define ORDER_TOTALS_DATABASE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace order_totals {

// One connection to an SQLite file, for one thread.
//
// Errors of this file are thrown: catchup::TransientError where waiting can help (the file is
// locked, the disk is full, an I/O error), catchup::FatalError where only a person can (not a
// database, damaged), and std::runtime_error for what should not happen. A text names the file and
// what SQLite said.
class Database {
 public:
  // Opens the file, making it if need be. A commit outlives the process; database.cc says what a
  // power failure may undo, and why that is right here.
  explicit Database(const std::string& path);

  // Throws TransientError if the file that is open has its name no more: somebody removed, moved or
  // replaced it, and whatever is written now nobody would find.
  void RequireInPlace() const;

  // Runs statements that give no rows.
  void Execute(const char* sql);

  // Throws what `code`, a result of SQLite that is not success, stands for.
  [[noreturn]] void Throw(int code) const;

  // How many rows the last INSERT, UPDATE or DELETE changed.
  std::int64_t changes() const { return sqlite3_changes64(handle_.get()); }
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };

  std::string path_;
  std::unique_ptr<sqlite3, Closer> handle_;
};

// A statement, prepared once and used many times. The database must outlive it.
//
// Use: Start(), Bind… in order, Step() until it is false. Bound text is borrowed and must live
// until the last Step; a column's text dies with the next call.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);

  Statement& Start();
  Statement& Bind(std::string_view text);
  Statement& Bind(std::int64_t number);
  Statement& BindNull();

  // True if there is a row to read. After false the statement holds no lock.
  bool Step();

  // Ends a statement before its last row.
  void Reset();

  bool is_null(int column) const;
  std::int64_t number(int column) const;
  std::string_view text(int column) const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };

  Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalizer> handle_;
  int bound_ = 0;
};

// A transaction that takes the write lock at once, and is rolled back unless it is committed. A
// commit counts only if the file was in its place before and after.
class Transaction {
 public:
  explicit Transaction(Database& database);
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  ~Transaction();

  void Commit();

 private:
  Database& database_;
};

}  // namespace order_totals

#endif  // ORDER_TOTALS_DATABASE_H_
