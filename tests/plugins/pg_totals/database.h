#pragma once

#include <libpq-fe.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

namespace pg_totals {

struct ResultCloser {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, ResultCloser>;

// A connection that is made when it is needed, and made anew in the first call after it was lost,
// as a plugin does whose author thought of restarts and of nothing else.
//
// Whatever goes wrong is thrown as a std::runtime_error of libpq's own text, so that only that text
// tells the host what has happened; or of `disguise`, unless that is empty.
//
// One thread.
class Database {
 public:
  Database(std::string conninfo, std::string disguise)
      : conninfo_(std::move(conninfo)), disguise_(std::move(disguise)) {}

  // Runs one statement with `$1 …` for `values`. Throws unless it succeeds.
  Answer Run(const char* sql, const std::vector<std::string>& values = {});
  void Close() { connection_.reset(); }

 private:
  struct Closer {
    void operator()(PGconn* connection) const { PQfinish(connection); }
  };

  PGconn* Connected();
  [[noreturn]] void Throw(const std::string& text) const;

  const std::string conninfo_;
  const std::string disguise_;
  std::unique_ptr<PGconn, Closer> connection_;
};

// A transaction, rolled back unless it is committed.
class Transaction {
 public:
  explicit Transaction(Database* database) : database_(*database) { database_.Run("BEGIN"); }
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void Commit();

 private:
  Database& database_;
  bool over_ = false;
};

}  // namespace pg_totals
