#include "host/store/letter_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "host/base/durable_file.h"
#include "host/store/letter_renewal.h"
#include "host/store/letter_rows.h"

namespace catchup::letter_file {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchema =
    "BEGIN IMMEDIATE;"
    "PRAGMA application_id = 1130460236;"
    "PRAGMA user_version = 1;"
    "CREATE TABLE owner (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL,"
    " token INTEGER NOT NULL);"
    "CREATE TABLE letters (id INTEGER PRIMARY KEY, commit_position INTEGER NOT NULL,"
    " prepare_position INTEGER NOT NULL, stream TEXT NOT NULL, type TEXT NOT NULL,"
    " event_id BLOB NOT NULL, revision INTEGER NOT NULL, created INTEGER NOT NULL,"
    " is_json INTEGER NOT NULL, state INTEGER NOT NULL, class INTEGER NOT NULL,"
    " written INTEGER NOT NULL, since INTEGER NOT NULL, due INTEGER NOT NULL,"
    " step INTEGER NOT NULL, attempts INTEGER NOT NULL, first_failed INTEGER NOT NULL,"
    " last_failed INTEGER NOT NULL, bytes INTEGER NOT NULL, sum BLOB NOT NULL);"
    "CREATE UNIQUE INDEX letters_by_position ON letters (commit_position, prepare_position);"
    "CREATE INDEX letters_by_stream ON letters (stream, commit_position, prepare_position);"
    "CREATE TABLE causes (id INTEGER PRIMARY KEY, reason TEXT NOT NULL, calls BLOB NOT NULL,"
    " plugin TEXT NOT NULL, plugin_version TEXT NOT NULL, plugin_digest BLOB NOT NULL,"
    " token INTEGER NOT NULL, trace_id TEXT NOT NULL, span_id TEXT NOT NULL, sum BLOB NOT NULL);"
    "CREATE TABLE events (id INTEGER PRIMARY KEY, data BLOB NOT NULL, metadata BLOB NOT NULL,"
    " sum BLOB NOT NULL);"
    "CREATE TABLE holds (type TEXT PRIMARY KEY, by INTEGER NOT NULL, since INTEGER NOT NULL,"
    " reason TEXT NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE steps (number INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,"
    " commit_position INTEGER NOT NULL, prepare_position INTEGER NOT NULL, head BLOB NOT NULL,"
    " event BLOB NOT NULL, sum BLOB NOT NULL);"
    "CREATE TABLE sinks (name TEXT PRIMARY KEY, place INTEGER NOT NULL) WITHOUT ROWID;";

// What every connection wants. A value that was not asked for is never an index into memory.
constexpr const char* kReading =
    "PRAGMA cell_size_check = ON;"
    "PRAGMA mmap_size = 0;"
    "PRAGMA temp_store = MEMORY;"
    "PRAGMA trusted_schema = OFF;";

// One connection at a time; a journal that stays, so that a commit makes and removes no name. What
// a letter of the largest event leaves in it is cut back to what common ones need. The pages of a
// letter that goes are let go as they are: to have each overwritten would take as much room again
// in the journal, and what makes room must need none.
constexpr const char* kWriting =
    "PRAGMA locking_mode = EXCLUSIVE;"
    "PRAGMA journal_mode = PERSIST;"
    "PRAGMA journal_size_limit = 1048576;"
    "PRAGMA synchronous = EXTRA;"
    "PRAGMA secure_delete = FAST;"
    "BEGIN EXCLUSIVE;"
    "COMMIT";

Status CheckFormat(Connection* connection, const std::string& group) {
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t kind, connection->QueryInt("PRAGMA application_id"));
  if (kind != kApplicationId) {
    return Status::Incompatible("it is a database of something else, wanted dead letters");
  }
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t version, connection->QueryInt("PRAGMA user_version"));
  if (version != kVersion) {
    return Status::Incompatible(
        fmt::format("its format is {}, this version reads {}", version, kVersion));
  }
  CATCHUP_ASSIGN_OR_RETURN(Statement statement, connection->Prepare("SELECT name FROM owner"));
  CATCHUP_ASSIGN_OR_RETURN(const bool row, statement.Step());
  const std::string name(row ? statement.Bytes(0) : std::string_view());
  if (name != group) {
    return Status::Incompatible("it belongs to group \"" + name + "\", wanted that of group \"" +
                                group + "\"");
  }
  return ReadToken(connection).status();
}

// Whether the failure is SQLite's or ours.
bool IsOurs(const Status& status) { return status.code() == Status::Code::kIncompatible; }

// SQLite takes an empty file for a new database.
Status RefuseEmpty(const fs::path& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && info.st_size == 0) {
    return Status::Corrupt("it is empty, wanted dead letters");
  }
  return {};
}

Result<Connection> Open(const fs::path& file, const std::string& group, Connection::Mode mode) {
  const bool writes = mode == Connection::Mode::kWrite;
  CATCHUP_RETURN_IF_ERROR(RefuseEmpty(file).Within(file.string()));
  // SQLite does not say why it cannot open one, and what it may not write it opens to be read, for
  // as long as the connection lives. Without opening it here: to close it again would drop the
  // locks that this process may have on it.
  if (::faccessat(AT_FDCWD, file.c_str(), writes ? R_OK | W_OK : R_OK, AT_EACCESS) != 0) {
    return Status::FromErrno("open " + file.string(), errno);
  }
  CATCHUP_ASSIGN_OR_RETURN(Connection connection, Connection::Open(file, mode, kConnectionName));
  Status status = connection.Execute(kReading);
  // Before anything is written to what may be somebody else's.
  if (status.ok()) {
    status = CheckFormat(&connection, group);
  }
  if (status.ok() && writes) {
    status = connection.Execute(kWriting);
  }
  if (status.ok()) {
    return connection;
  }
  return IsOurs(status) ? status.Within(file.string())
                        : Explain(connection, status, file.parent_path());
}

Result<std::optional<Connection>> TryOpenToWrite(const fs::path& folder, const std::string& group) {
  CATCHUP_ASSIGN_OR_RETURN(const bool renewed, FinishRenewal(folder));
  CATCHUP_ASSIGN_OR_RETURN(const bool exists, Exists(folder));
  if (!exists) {
    return std::optional<Connection>();
  }
  CATCHUP_RETURN_IF_ERROR(RemoveFresh(folder));
  CATCHUP_ASSIGN_OR_RETURN(const bool unclean, IsUnclean(folder));
  if (unclean && !renewed) {
    CATCHUP_RETURN_IF_ERROR(RefuseEmpty(In(folder)).Within(In(folder).string()));
    CATCHUP_RETURN_IF_ERROR(Renew(folder));
  }
  CATCHUP_RETURN_IF_ERROR(MarkUnclean(folder));
  CATCHUP_ASSIGN_OR_RETURN(Connection connection,
                           Open(In(folder), group, Connection::Mode::kWrite));
  return std::optional<Connection>(std::move(connection));
}

// A copy that nobody else sees, and that goes with the connection.
Result<Connection> OpenCopy(const fs::path& folder, const std::string& group) {
  std::error_code failed;
  const fs::path temporary = fs::temp_directory_path(failed);
  std::string pattern =
      ((failed ? fs::path("/tmp") : temporary) / "catchup-letters-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) {
    return Status::FromErrno("make " + pattern, errno);
  }
  const fs::path copy = In(pattern);
  Status status = CopySettled(In(folder), copy);
  auto connection = status.ok() ? Open(copy, group, Connection::Mode::kReadOnly)
                                : Result<Connection>(std::move(status));
  fs::remove_all(pattern, failed);
  return connection;
}

}  // namespace

fs::path In(const fs::path& folder) { return folder / "letters.db"; }

Result<bool> Exists(const fs::path& folder) {
  struct stat info {};
  if (::lstat(In(folder).c_str(), &info) != 0) {
    return errno == ENOENT ? Result<bool>(false)
                           : Status::FromErrno("look at " + In(folder).string(), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Corrupt(In(folder).string() + ": it is no regular file, wanted dead letters");
  }
  return true;
}

Status Make(const fs::path& folder, const std::string& group, std::uint64_t token) {
  const fs::path fresh = Fresh(folder);
  CATCHUP_RETURN_IF_ERROR(RemoveFresh(folder));
  {
    CATCHUP_ASSIGN_OR_RETURN(Connection connection,
                             Connection::Open(fresh, Connection::Mode::kCreate, kConnectionName));
    Status status = connection.Execute("PRAGMA journal_mode = OFF");
    if (status.ok()) {
      status = connection.Execute(kSchema);
    }
    auto insert = status.ok() ? connection.Prepare("INSERT INTO owner VALUES (1, ?1, ?2)")
                              : Result<Statement>(status);
    status = insert.status();
    if (status.ok()) {
      insert->BindText(1, group);
      insert->Bind(2, static_cast<std::int64_t>(token));
      status = insert->Run();
    }
    if (status.ok()) {
      status = connection.Execute("COMMIT");
    }
    if (!status.ok()) {
      return Explain(connection, status, folder);
    }
  }
  if (::chmod(fresh.c_str(), 0600) != 0) {
    return Status::FromErrno("give rights to " + fresh.string(), errno);
  }
  CATCHUP_RETURN_IF_ERROR(SyncFile(fresh));
  return RenameDurably(fresh, In(folder));
}

Result<std::optional<Connection>> OpenToWrite(const fs::path& folder, const std::string& group) {
  auto opened = TryOpenToWrite(folder, group);
  return opened.ok() ? std::move(opened) : AddWayOut(opened.status(), folder);
}

Result<std::optional<Connection>> OpenToRead(const fs::path& folder, const std::string& group) {
  auto exists = Exists(folder);
  if (!exists.ok()) {
    return AddWayOut(exists.status(), folder);
  }
  if (!*exists) {
    return std::optional<Connection>();
  }
  // Whole where it is there, while its journal may be gone before it has taken its place.
  const auto renewed = IsThere(Renewed(folder));
  const fs::path file = renewed.ok() && *renewed ? Renewed(folder) : In(folder);
  auto connection = Open(file, group, Connection::Mode::kReadOnly);
  if (!connection.ok() && connection.status().code() == Status::Code::kCancelled) {
    connection = OpenCopy(folder, group);
  }
  return connection.ok() ? Result<std::optional<Connection>>(std::optional(*std::move(connection)))
                         : AddWayOut(connection.status(), folder);
}

Status Explain(const Connection& connection, const Status& failure, const fs::path& folder) {
  const std::string text = In(folder).string() + ": " + failure.message();
  switch (connection.fault()) {
    case Connection::Fault::kShortage:
      return Status::Exhausted(text);
    case Connection::Fault::kLocked:
      return Status::InUse(In(folder).string() +
                           ": another process has it open, as a host that runs");
    case Connection::Fault::kDenied:
      return Status::Unavailable(text);
    case Connection::Fault::kUnfinished:
      return Status::Cancelled(text);
    case Connection::Fault::kDamage:
      return Status::Corrupt(text);
    case Connection::Fault::kDisk:
    case Connection::Fault::kOther:
      break;
  }
  // A row of ours that is not what it was has no failure of SQLite's beside it.
  return failure.code() == Status::Code::kCorrupt ? Status::Corrupt(text) : Status::Internal(text);
}

Status AddWayOut(const Status& failure, const fs::path& folder) {
  switch (failure.code()) {
    case Status::Code::kCorrupt:
    case Status::Code::kIncompatible:
      return {failure.code(),
              failure.message() + "; restore the file from a backup, or stop the host and move " +
                  In(folder).string() +
                  " away: the next start says how the group goes on without the letters in it"};
    case Status::Code::kDenied:
      return Status::Unavailable(failure.message());
    default:
      return failure;
  }
}

}  // namespace catchup::letter_file
