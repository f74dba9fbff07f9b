#include "host/source/embedded/log/sqlite.h"

#include <fmt/core.h>

#include <cerrno>
#include <string>

namespace catchup::embedded {
namespace {

// Whether the disk, our share of it, or what a file takes to be opened is used up. A failed sync is
// another matter, whatever its cause: the kernel may hold pages as clean that the disk never got.
bool IsShortage(int code, int system_error) {
  if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC) {
    return false;
  }
  const int kind = code & 0xff;
  return kind == SQLITE_FULL ||
         ((kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN) &&
          Status::FromErrno("", system_error).code() == Status::Code::kExhausted);
}

Status SqliteFailure(sqlite3* database, std::string_view what) {
  const int code = sqlite3_extended_errcode(database);
  std::string text = fmt::format("{}: {} (SQLite error {})", what, sqlite3_errmsg(database), code);
  if (IsShortage(code, sqlite3_system_errno(database))) {
    return Status::Exhausted(std::move(text));
  }
  switch (code & 0xff) {
    case SQLITE_IOERR:
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
      return Status::Unavailable(std::move(text));
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Status::Corrupt(std::move(text));
    default:
      return Status::Internal(std::move(text));
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
  return SqliteFailure(sqlite3_db_handle(statement_.get()), "event log");
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

Result<Connection> Connection::Open(const std::filesystem::path& file, Mode mode) {
  sqlite3* database = nullptr;
  // Readers open for writing too: a read-only handle cannot make the shared index of the
  // write-ahead log. PRAGMA query_only below keeps them from writing.
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                    (mode == Mode::kCreate ? SQLITE_OPEN_CREATE : 0);
  const int code = sqlite3_open_v2(file.c_str(), &database, flags, nullptr);
  Connection connection(database);
  if (database == nullptr) {
    return Status::Exhausted(fmt::format("open {}: out of memory", file.string()));
  }
  if (code != SQLITE_OK) {
    return connection.Failure("open " + file.string());
  }
  if (mode == Mode::kReadOnly) {
    CATCHUP_RETURN_IF_ERROR(connection.Execute("PRAGMA query_only = 1"));
  }
  return connection;
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
  return statement;
}

Result<std::int64_t> Connection::QueryInt(std::string_view sql) {
  CATCHUP_ASSIGN_OR_RETURN(Statement statement, Prepare(sql));
  CATCHUP_ASSIGN_OR_RETURN(bool row, statement.Step());
  if (!row) {
    return Status::Corrupt("event log: no answer to " + std::string(sql));
  }
  return statement.Int(0);
}

Status Connection::Failure(std::string_view what) const {
  return SqliteFailure(database_.get(), what);
}

}  // namespace catchup::embedded
