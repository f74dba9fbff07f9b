#include "database.h"

#include <catchup/plugin.hpp>
#include <stdexcept>

namespace order_totals {
namespace {

// Somebody may read the totals while we write; a longer wait is the host's to decide.
constexpr int kBusyTimeoutMs = 1000;

}  // namespace

Database::Database(const std::string& path) : path_(path) {
  sqlite3* handle = nullptr;
  // No mutex: an instance has one thread.
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) Throw(code);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  // A write-ahead log lets others read meanwhile. At NORMAL a commit outlives the process, however
  // it dies, but the last ones may not outlive a power failure. That costs nothing here: effects
  // and position go back together, and the host goes on from the position it finds. It would be
  // wrong for a store whose position lies elsewhere. Readers are welcome; a second writer is not
  // meant.
  Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
  // In pages of 4 KiB: a commit may touch a page for each of its orders, and writing such a page
  // into the file once for many commits is most of what makes this fast. 16 MiB on disk.
  Execute("PRAGMA wal_autocheckpoint = 4096");
  // The pages in use of some million orders. 32 MiB of memory.
  Execute("PRAGMA cache_size = -32768");
}

void Database::RequireInPlace() const {
  int moved = 0;
  const int code = sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_HAS_MOVED, &moved);
  if (code != SQLITE_OK) Throw(code);
  if (moved == 0) return;
  throw catchup::TransientError(
      path_ +
      ": the file was removed or replaced while it was in use; put it back, or "
      "restart the host to go on with what has its name, from the position in it");
}

void Database::Execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) Throw(code);
}

void Database::Throw(int code) const {
  std::string text = path_ + ": ";
  text += handle_ ? sqlite3_errmsg(handle_.get()) : sqlite3_errstr(code);
  text += " (SQLite " + std::to_string(code) + ")";
  switch (code & 0xFF) {  // The low byte is the kind, the rest the detail.
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
    case SQLITE_FULL:
    case SQLITE_INTERRUPT:
    case SQLITE_IOERR:
    case SQLITE_LOCKED:
    case SQLITE_NOMEM:
    case SQLITE_PROTOCOL:
    case SQLITE_READONLY:
      throw catchup::TransientError(text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw catchup::FatalError(text);
    default:
      throw std::runtime_error(text);
  }
}

Statement::Statement(Database& database, std::string_view sql) : database_(&database) {
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) database.Throw(code);
}

Statement& Statement::Start() {
  Reset();
  bound_ = 0;
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  const int code = sqlite3_bind_text64(handle_.get(), ++bound_, text.data(), text.size(),
                                       SQLITE_STATIC, SQLITE_UTF8);
  if (code != SQLITE_OK) database_->Throw(code);
  return *this;
}

Statement& Statement::Bind(std::int64_t number) {
  const int code = sqlite3_bind_int64(handle_.get(), ++bound_, number);
  if (code != SQLITE_OK) database_->Throw(code);
  return *this;
}

Statement& Statement::BindNull() {
  const int code = sqlite3_bind_null(handle_.get(), ++bound_);
  if (code != SQLITE_OK) database_->Throw(code);
  return *this;
}

bool Statement::Step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) {
    // The reset of a failed statement repeats its error, which is thrown here.
    Reset();
    database_->Throw(code);
  }
  Reset();
  return false;
}

void Statement::Reset() { sqlite3_reset(handle_.get()); }

bool Statement::is_null(int column) const {
  return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL;
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(handle_.get(), column);
}

std::string_view Statement::text(int column) const {
  const unsigned char* const data = sqlite3_column_text(handle_.get(), column);
  if (data == nullptr) return {};
  return {reinterpret_cast<const char*>(data),
          static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

Transaction::Transaction(Database& database) : database_(database) {
  database.RequireInPlace();
  database.Execute("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  // SQLite may have rolled back by itself already, as it does on a full disk.
  if (sqlite3_get_autocommit(database_.handle()) == 0) {
    sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
}

void Transaction::Commit() {
  database_.Execute("COMMIT");
  database_.RequireInPlace();
}

}  // namespace order_totals
