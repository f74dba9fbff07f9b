#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

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
  // How many rows the last Run() inserted, changed or deleted.
  std::int64_t Changed() const;

 private:
  friend class Connection;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string_view name_;  // The connection's.
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
// is full, which passes; kUnavailable for an I/O error, a locked file or one that may not be used;
// kCorrupt; kInternal.
class Connection {
 public:
  enum class Mode {
    kCreate,    // Reads and writes; the file is made if it is missing.
    kWrite,     // Reads and writes a file that is there.
    kQuery,     // Writes no row. A handle that may write, as the shared index of a write-ahead log
                // wants it.
    kReadOnly,  // Never changes anything on the disk.
  };

  // `name` stands before failures of statements, as "event log"; it must outlive the connection.
  static Result<Connection> Open(const std::filesystem::path& file, Mode mode,
                                 std::string_view name);

  // What the last failure was, for callers who must tell more than a code does. To be asked before
  // the next call.
  enum class Fault : std::uint8_t {
    kShortage,    // Of room, share, descriptors or memory. Nothing was changed.
    kLocked,      // Another connection holds the file.
    kDenied,      // The file or its folder may not be read or written.
    kUnfinished,  // Another process died in a write, and this connection may not mend it.
    kDamage,      // The content is not what SQLite wrote, or the file is of another kind.
    kDisk,        // Reading, writing or syncing failed, a failed sync whatever its cause.
    kOther,
  };
  Fault fault() const;

  // Statements that give no rows, or whose rows do not matter.
  Status Execute(const char* sql);
  Result<Statement> Prepare(std::string_view sql);
  Result<std::int64_t> QueryInt(std::string_view sql);

  // Whether the file is no longer there under its name. What is written to it then is lost.
  bool moved() const;

  // Makes the file longer by zeros, to `size` bytes. SQLite takes room for the pages that it adds
  // from there, and so a commit that adds some changes nothing of the file but its content: to give
  // a file more room costs a sync of the file system's own records. Outside of a transaction, by
  // who has the file to itself. What cannot be done is left undone: it saves time and nothing else.
  void LengthenTo(std::uint64_t size);
  // The same of its journal, once there is one that stays between transactions: what needs no more
  // than that finds room on a full disk.
  void LengthenJournalTo(std::uint64_t size);
  std::uint64_t FileSize() const;

  // Between BEGIN and its end. A failure may have ended the transaction by itself.
  bool in_transaction() const { return sqlite3_get_autocommit(database_.get()) == 0; }

 private:
  struct Close {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };

  Connection(sqlite3* database, std::string_view name) : database_(database), name_(name) {}
  Status Failure(std::string_view what) const;

  std::unique_ptr<sqlite3, Close> database_;
  std::string_view name_;
};

}  // namespace catchup
