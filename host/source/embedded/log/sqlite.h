#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "host/base/status.h"

namespace catchup::embedded {

// One prepared statement of one connection, which must outlive it. Same thread rule as its
// connection. Bound text is not copied: it must live until Reset().
class Statement {
 public:
  Statement() = default;

  void Bind(int index, std::int64_t value);
  void BindText(int index, std::string_view value);
  void BindBlob(int index, std::string_view value);
  void BindNull(int index);

  // True when there is a row, false at the end.
  Result<bool> Step();
  // Runs a statement that gives no rows, and resets it.
  Status Run();
  // Ends the statement's read of the file; it can then be bound and stepped again.
  void Reset();

  bool IsNull(int column) const;
  std::int64_t Int(int column) const;
  // Bytes of a text or blob column, valid until the next Step() or Reset().
  std::string_view Bytes(int column) const;

 private:
  friend class Connection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets a statement when the scope ends, so that no early return leaves a read transaction open:
// an open one would keep the write-ahead log from ever being folded back into the file.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.Reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

// One connection to a database file. For one thread at a time. Failures: kExhausted when the disk
// is full, which passes; kUnavailable for an I/O error or a locked file; kCorrupt; kInternal.
class Connection {
 public:
  enum class Mode { kCreate, kReadOnly };

  static Result<Connection> Open(const std::filesystem::path& file, Mode mode);

  // Statements that give no rows, or whose rows do not matter.
  Status Execute(const char* sql);
  Result<Statement> Prepare(std::string_view sql);
  Result<std::int64_t> QueryInt(std::string_view sql);

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };

  explicit Connection(sqlite3* database) : database_(database) {}
  Status Failure(std::string_view what) const;

  std::unique_ptr<sqlite3, Close> database_;
};

}  // namespace catchup::embedded
