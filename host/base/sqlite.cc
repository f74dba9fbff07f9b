#include "host/base/sqlite.h"

#include <algorithm>
#include <cerrno>
#include <string>

#include "host/base/str_cat.h"

namespace catchup {
namespace {

// The system's word for why a call of the file or of its journal failed; 0 where there is none. The
// connection's own is that of the last failed statement, which a failed COMMIT does not set.
int SystemError(sqlite3* database) {
  int file_error = 0;
  sqlite3_file_control(database, "main", SQLITE_FCNTL_LAST_ERRNO, &file_error);
  sqlite3_file* journal = nullptr;
  int journal_error = 0;
  if (sqlite3_file_control(database, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal) == SQLITE_OK &&
      journal != nullptr && journal->pMethods != nullptr) {
    journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &journal_error);
  }
  // One of them may be an old one. A shortage was waited out then, so the other kind is the new
  // one.
  const auto passes = [](int error) {
    return Status::FromErrno("", error).code() != Status::Code::kInternal;
  };
  if (journal_error != 0 && (file_error == 0 || !passes(journal_error))) {
    return journal_error;
  }
  return file_error != 0 ? file_error : sqlite3_system_errno(database);
}

// Whether the disk, our share of it, or what a file takes to be opened is used up. A failed sync is
// another matter, whatever its cause: the kernel may hold pages as clean that the disk never got.
bool IsShortage(int code, int system_error) {
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
    return false;
  }
  const int kind = code & 0xff;
  return kind == SQLITE_FULL || kind == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM ||
         ((kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN) &&
          Status::FromErrno("", system_error).code() == Status::Code::kExhausted);
}

Status SqliteFailure(sqlite3* database, std::string_view what) {
  const int code = sqlite3_extended_errcode(database);
  std::string text = StrCat(what, ": ", sqlite3_errmsg(database), " (SQLite error ", code, ")");
  if (IsShortage(code, SystemError(database))) {
    return Status::Exhausted(std::move(text));
  }
  switch (code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      return Status::Unavailable(std::move(text));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Status::Corrupt(std::move(text));
    default:
      return Status::Internal(std::move(text));
  }
}

// By zeros; not at all where it is not open or empty. Without room for all of it, what others may
// need is not taken.
void Lengthen(sqlite3_file* file, std::uint64_t size) {
  constexpr sqlite3_int64 kPiece = 64 << 10;
  static constexpr char kZeros[kPiece] = {};
  sqlite3_int64 before = 0;
  if (file == nullptr || file->pMethods == nullptr ||
      file->pMethods->xFileSize(file, &before) != SQLITE_OK || before == 0) {
    return;
  }
  const auto end = static_cast<sqlite3_int64>(size);
  for (sqlite3_int64 at = before; at < end; at += kPiece) {
    const auto piece = static_cast<int>(std::min(kPiece, end - at));
    if (file->pMethods->xWrite(file, kZeros, piece, at) != SQLITE_OK) {
      (void)file->pMethods->xTruncate(file, before);
      return;
    }
  }
}

}  // namespace

void Statement::Bind(int index, std::int64_t value) {
  CATCHUP_CHECK(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK);
}

void Statement::BindText(int index, std::string_view value) {
  // A null pointer would bind NULL, and an empty view may hold one.
  const char* data = value.empty() ? "" : value.data();
  CATCHUP_CHECK(sqlite3_bind_text64(statement_.get(), index, data, value.size(), SQLITE_STATIC,
                                    SQLITE_UTF8) == SQLITE_OK);
}

void Statement::BindBlob(int index, std::string_view value) {
  const char* data = value.empty() ? "" : value.data();
  CATCHUP_CHECK(sqlite3_bind_blob64(statement_.get(), index, data, value.size(), SQLITE_STATIC) ==
                SQLITE_OK);
}

void Statement::BindNull(int index) {
  CATCHUP_CHECK(sqlite3_bind_null(statement_.get(), index) == SQLITE_OK);
}

Result<bool> Statement::Step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) {
    return true;
  }
  if (code == SQLITE_DONE) {
    return false;
  }
  return SqliteFailure(sqlite3_db_handle(statement_.get()), name_);
}

Status Statement::Run() {
  const ResetAtEnd reset(*this);
  return Step().status();
}

void Statement::Reset() { sqlite3_reset(statement_.get()); }

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

std::int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string_view Statement::Bytes(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
  return data == nullptr ? std::string_view() : std::string_view(data, size);
}

std::int64_t Statement::Changed() const {
  return sqlite3_changes64(sqlite3_db_handle(statement_.get()));
}

Result<Connection> Connection::Open(const std::filesystem::path& file, Mode mode,
                                    std::string_view name) {
  sqlite3* database = nullptr;
  const int flags = SQLITE_OPEN_NOMUTEX |
                    (mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
                    (mode == Mode::kCreate ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(file.c_str(), &database, flags, nullptr);
  Connection connection(database, name);
  if (database == nullptr) {
    return Status::Exhausted(StrCat("open ", file.string(), ": out of memory"));
  }
  if (code != SQLITE_OK) {
    return connection.Failure("open " + file.string());
  }
  if (mode == Mode::kQuery) {
    CATCHUP_RETURN_IF_ERROR(connection.Execute("PRAGMA query_only = 1"));
  }
  return connection;
}

Connection::Fault Connection::fault() const {
  const int code = sqlite3_extended_errcode(database_.get());
  const int system_error = SystemError(database_.get());
  if (IsShortage(code, system_error)) {
    return Fault::kShortage;
  }
  if (code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_RECOVERY) {
    return Fault::kUnfinished;
  }
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Fault::kLocked;
    case SQLITE_READONLY:
      // A file that was moved away is another matter: no right given to it brings it back.
      return code == SQLITE_READONLY_DBMOVED ? Fault::kDisk : Fault::kDenied;
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
      return Fault::kDenied;
    case SQLITE_IOERR:
      return code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC &&
                     Status::FromErrno("", system_error).code() == Status::Code::kDenied
                 ? Fault::kDenied
                 : Fault::kDisk;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Fault::kDamage;
    default:
      return Fault::kOther;
  }
}

bool Connection::moved() const {
  int moved = 0;
  sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  return moved != 0;
}

std::uint64_t Connection::FileSize() const {
  sqlite3_file* file = nullptr;
  sqlite3_int64 size = 0;
  if (sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file) !=
          SQLITE_OK ||
      file == nullptr || file->pMethods == nullptr ||
      file->pMethods->xFileSize(file, &size) != SQLITE_OK) {
    return 0;
  }
  return static_cast<std::uint64_t>(size);
}

// Writes through the handle of SQLite: to close another one would drop the locks that this process
// has on the file.
void Connection::LengthenTo(std::uint64_t size) {
  sqlite3_file* file = nullptr;
  sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_FILE_POINTER, &file);
  Lengthen(file, size);
}

void Connection::LengthenJournalTo(std::uint64_t size) {
  sqlite3_file* journal = nullptr;
  sqlite3_file_control(database_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
  Lengthen(journal, size);
}

Status Connection::Execute(const char* sql) {
  if (sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) {
    return Failure(sql);
  }
  return {};
}

Result<Statement> Connection::Prepare(std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  const int code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  if (code != SQLITE_OK) {
    return Failure(sql);
  }
  Statement statement;
  statement.statement_.reset(raw);
  statement.name_ = name_;
  return statement;
}

Result<std::int64_t> Connection::QueryInt(std::string_view sql) {
  CATCHUP_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  CATCHUP_ASSIGN_OR_RETURN(bool row, statement.Step());
  if (!row) {
    return Status::Corrupt(std::string(name_) + ": no answer to " + std::string(sql));
  }
  return statement.Int(0);
}

Status Connection::Failure(std::string_view what) const {
  return SqliteFailure(database_.get(), what);
}

}  // namespace catchup
