#include "host/store/checkpoint_file.h"

#include <sqlite3.h>

#include <cerrno>
#include <system_error>

#include "host/store/durable_file.h"

namespace catchup {
namespace {

// Tells our files from other SQLite files: "cupc".
constexpr int kApplicationId = 0x63757063;
constexpr int kFileFormat = 1;

constexpr std::array<const char*, 2> kSlotTables = {"slot_a", "slot_b"};
constexpr const char* kDesiredTable = "desired";

struct CloseDb {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
using Db = std::unique_ptr<sqlite3, CloseDb>;

struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

// Whether a later try may succeed. A failed sync never is, whatever its cause: the kernel may hold
// pages as clean that the disk never got.
bool IsNoSpace(int result, int system_error) {
  if (result == SQLITE_IOERR_FSYNC || result == SQLITE_IOERR_DIR_FSYNC) {
    return false;
  }
  return (result & 0xff) == SQLITE_FULL ||
         ((result & 0xff) == SQLITE_IOERR &&
          (system_error == ENOSPC || system_error == EDQUOT || system_error == EFBIG));
}

// What SQLite said last on `db`, as ours.
Status Failure(sqlite3* db, int result, std::string_view what, const std::filesystem::path& file) {
  const int system_error = db == nullptr ? 0 : sqlite3_system_errno(db);
  std::string text = file.string() + ": " + std::string(what) + ": " + sqlite3_errstr(result);
  const int kind = result & 0xff;
  if (system_error != 0 && (kind == SQLITE_IOERR || kind == SQLITE_CANTOPEN)) {
    text += " (" + std::generic_category().message(system_error) + ")";
  }
  if (IsNoSpace(result, system_error)) {
    return Status::Exhausted(std::move(text));
  }
  switch (kind) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Status::InUse(file.string() + ": another process has it open");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Status::Corrupt(std::move(text));
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      return Status::Denied(std::move(text));
    default:
      break;
  }
  if (result == SQLITE_IOERR_SHORT_READ) {
    return Status::Corrupt(std::move(text));
  }
  return Status::Internal(std::move(text));
}

Result<Db> Connect(const std::filesystem::path& file, int flags) {
  sqlite3* raw = nullptr;
  const int result = sqlite3_open_v2(file.c_str(), &raw, flags | SQLITE_OPEN_EXRESCODE, nullptr);
  Db db(raw);
  if (result != SQLITE_OK) {
    return Failure(raw, result, "open", file);
  }
  return db;
}

Status Execute(sqlite3* db, const char* sql, std::string_view what,
               const std::filesystem::path& file) {
  const int result = sqlite3_exec(db, sql, nullptr, nullptr, nullptr);
  return result == SQLITE_OK ? Status() : Failure(db, result, what, file);
}

Result<int> ReadNumber(sqlite3* db, const char* sql, const std::filesystem::path& file) {
  sqlite3_stmt* raw = nullptr;
  int result = sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
  const Statement statement(raw);
  if (result == SQLITE_OK) {
    result = sqlite3_step(raw);
  }
  if (result != SQLITE_ROW) {
    return Failure(db, result, "read", file);
  }
  return sqlite3_column_int(raw, 0);
}

// The row's blob; absent when it is damaged or missing. Fails when the disk does.
Status ReadRow(sqlite3* db, const std::string& table, const std::filesystem::path& file,
               std::optional<std::string>* out) {
  sqlite3_stmt* raw = nullptr;
  const std::string sql = "SELECT body FROM " + table + " WHERE id = 1";
  int result = sqlite3_prepare_v2(db, sql.c_str(), -1, &raw, nullptr);
  const Statement statement(raw);
  if (result == SQLITE_OK) {
    result = sqlite3_step(raw);
  }
  if (result == SQLITE_ROW) {
    if (sqlite3_column_type(raw, 0) == SQLITE_BLOB) {
      const void* blob = sqlite3_column_blob(raw, 0);
      const int size = sqlite3_column_bytes(raw, 0);
      if (blob != nullptr && size > 0) {
        out->emplace(static_cast<const char*>(blob), static_cast<std::size_t>(size));
      }
    }
    return {};
  }
  const Status status = Failure(db, result, "read", file);
  const bool damaged =
      result == SQLITE_DONE || result == SQLITE_ERROR || status.code() == Status::Code::kCorrupt;
  return damaged ? Status() : status;
}

// The settings of every connection: one process, rollback journal kept at its size so that a full
// disk cannot stop an update, and the strictest order of syncs.
constexpr const char* kSettings =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA mmap_size = 0;"
    "PRAGMA cell_size_check = ON;"
    "PRAGMA trusted_schema = OFF;"
    "PRAGMA synchronous = EXTRA;";

Status LockExclusively(sqlite3* db, const std::filesystem::path& file) {
  CATCHUP_RETURN_IF_ERROR(Execute(db, kSettings, "set up", file));
  // The lock is taken by the first transaction and then kept. This also plays back a hot journal.
  return Execute(db, "BEGIN EXCLUSIVE; COMMIT", "lock", file);
}

Status CheckIdentity(sqlite3* db, const std::filesystem::path& file) {
  const auto id = ReadNumber(db, "PRAGMA application_id", file);
  if (!id.ok()) {
    return id.status();
  }
  if (*id != kApplicationId) {
    return Status::Incompatible(file.string() +
                                ": an SQLite file of something else, wanted a checkpoint store");
  }
  const auto format = ReadNumber(db, "PRAGMA user_version", file);
  if (!format.ok()) {
    return format.status();
  }
  if (*format != kFileFormat) {
    return Status::Incompatible(file.string() + ": format " + std::to_string(*format) +
                                ", this version reads " + std::to_string(kFileFormat));
  }
  return {};
}

Status InsertRow(sqlite3* db, const std::string& table, const std::string& body,
                 const std::filesystem::path& file) {
  const std::string create =
      "CREATE TABLE " + table + " (id INTEGER PRIMARY KEY, body BLOB NOT NULL)";
  CATCHUP_RETURN_IF_ERROR(Execute(db, create.c_str(), "create", file));
  sqlite3_stmt* raw = nullptr;
  const std::string sql = "INSERT INTO " + table + " VALUES (1, ?1)";
  int result = sqlite3_prepare_v2(db, sql.c_str(), -1, &raw, nullptr);
  const Statement statement(raw);
  if (result == SQLITE_OK) {
    result = sqlite3_bind_blob64(raw, 1, body.data(), body.size(), SQLITE_STATIC);
  }
  if (result == SQLITE_OK) {
    result = sqlite3_step(raw);
  }
  return result == SQLITE_DONE ? Status() : Failure(db, result, "write", file);
}

// SQLite takes an empty file for a new database, which would make it one of something else.
Status CheckNotEmpty(const std::filesystem::path& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(file, error);
  if (error) {
    return Status::FromErrno("look at " + file.string(), error.value());
  }
  return size == 0 ? Status::Corrupt(file.string() + ": 0 bytes, wanted a checkpoint store")
                   : Status();
}

Status ReadRows(sqlite3* db, const std::filesystem::path& file, CheckpointFile::Image* image) {
  CATCHUP_RETURN_IF_ERROR(CheckIdentity(db, file));
  for (std::size_t i = 0; i < kSlotTables.size(); ++i) {
    CATCHUP_RETURN_IF_ERROR(ReadRow(db, kSlotTables[i], file, &image->slots[i]));
  }
  return ReadRow(db, kDesiredTable, file, &image->desired);
}

// As "file:…", with what would end the path there escaped.
std::string UriOf(const std::filesystem::path& file) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : file.string()) {
    if (c == '%' || c == '?' || c == '#') {
      const auto byte = static_cast<unsigned char>(c);
      uri += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      uri += c;
    }
  }
  return uri;
}

}  // namespace

Result<CheckpointFile::Image> CheckpointFile::Read(const std::filesystem::path& file) {
  CATCHUP_RETURN_IF_ERROR(CheckNotEmpty(file));
  auto db = Connect(file, SQLITE_OPEN_READWRITE);
  if (!db.ok()) {
    return db.status();
  }
  CATCHUP_RETURN_IF_ERROR(LockExclusively(db->get(), file));
  Image image;
  CATCHUP_RETURN_IF_ERROR(ReadRows(db->get(), file, &image));
  return image;
}

Result<CheckpointFile::Image> CheckpointFile::Peek(const std::filesystem::path& file) {
  CATCHUP_RETURN_IF_ERROR(CheckNotEmpty(file));
  // "immutable" keeps SQLite from taking locks and from playing back a journal.
  auto db = Connect(UriOf(file) + "?immutable=1", SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
  if (!db.ok()) {
    return db.status();
  }
  Image image;
  CATCHUP_RETURN_IF_ERROR(Execute(
      db->get(), "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF", "set up", file));
  CATCHUP_RETURN_IF_ERROR(ReadRows(db->get(), file, &image));
  return image;
}

Status CheckpointFile::Write(const std::filesystem::path& file, const Image& image) {
  CATCHUP_RETURN_IF_ERROR(RemoveIfThere(file));
  {
    auto db = Connect(file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    if (!db.ok()) {
      return db.status();
    }
    // A kill leaves a file that nobody has the name of yet, so there is nothing to roll back.
    const std::string header =
        "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE; PRAGMA journal_mode = OFF;"
        "PRAGMA application_id = " +
        std::to_string(kApplicationId) + "; PRAGMA user_version = " + std::to_string(kFileFormat) +
        "; BEGIN EXCLUSIVE";
    CATCHUP_RETURN_IF_ERROR(Execute(db->get(), header.c_str(), "create", file));
    for (std::size_t i = 0; i < kSlotTables.size(); ++i) {
      CATCHUP_RETURN_IF_ERROR(InsertRow(db->get(), kSlotTables[i], image.slots[i].value(), file));
    }
    CATCHUP_RETURN_IF_ERROR(InsertRow(db->get(), kDesiredTable, image.desired.value(), file));
    CATCHUP_RETURN_IF_ERROR(Execute(db->get(), "COMMIT", "commit", file));
  }
  return SyncFile(file);
}

Result<std::unique_ptr<CheckpointFile>> CheckpointFile::Open(const std::filesystem::path& file) {
  auto db = Connect(file, SQLITE_OPEN_READWRITE);
  if (!db.ok()) {
    return db.status();
  }
  CATCHUP_RETURN_IF_ERROR(LockExclusively(db->get(), file));
  CATCHUP_RETURN_IF_ERROR(
      Execute(db->get(), "PRAGMA journal_mode = PERSIST", "set up the journal", file));
  std::unique_ptr<CheckpointFile> opened(new CheckpointFile(file, db->release()));
  CATCHUP_RETURN_IF_ERROR(opened->Prepare());
  return opened;
}

CheckpointFile::~CheckpointFile() {
  for (sqlite3_stmt* statement : update_slot_) {
    sqlite3_finalize(statement);
  }
  sqlite3_finalize(update_desired_);
  sqlite3_close_v2(db_);
}

Status CheckpointFile::Prepare() {
  const auto prepare = [&](const char* table, sqlite3_stmt** statement) {
    const std::string sql = std::string("UPDATE ") + table + " SET body = ?1 WHERE id = 1";
    const int result =
        sqlite3_prepare_v3(db_, sql.c_str(), -1, SQLITE_PREPARE_PERSISTENT, statement, nullptr);
    return result == SQLITE_OK ? Status() : Failure(db_, result, "prepare", file_);
  };
  for (std::size_t i = 0; i < kSlotTables.size(); ++i) {
    CATCHUP_RETURN_IF_ERROR(prepare(kSlotTables[i], &update_slot_[i]));
  }
  return prepare(kDesiredTable, &update_desired_);
}

Status CheckpointFile::UpdateSlot(int slot, std::string_view body) {
  return Update(update_slot_[static_cast<std::size_t>(slot)], body);
}

Status CheckpointFile::UpdateDesired(std::string_view body) {
  return Update(update_desired_, body);
}

Status CheckpointFile::Update(sqlite3_stmt* statement, std::string_view body) {
  int result = sqlite3_bind_blob64(statement, 1, body.data(), body.size(), SQLITE_STATIC);
  if (result == SQLITE_OK) {
    result = sqlite3_step(statement);
  }
  // One statement outside BEGIN is one transaction, committed by the step that ends it.
  Status status;
  if (result != SQLITE_DONE) {
    status = Failure(db_, result, "write", file_);
  } else if (sqlite3_changes(db_) != 1) {
    status = Status::Corrupt(file_.string() + ": a row has gone while the file was open");
  }
  sqlite3_reset(statement);
  sqlite3_clear_bindings(statement);
  return status;
}

}  // namespace catchup
