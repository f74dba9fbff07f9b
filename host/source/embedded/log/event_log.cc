#include "host/source/embedded/log/event_log.h"

#include <fmt/core.h>

#include <string>
#include <utility>

#include "host/base/time_text.h"

namespace catchup::embedded {
namespace {

// Rows of this product are mostly small: a page of 16 KiB takes some forty of them in one read.
constexpr const char* kPageSize = "PRAGMA page_size = 16384";

// The write-ahead log is folded into the file every 64 MB, so that the pause is rare and the file
// beside the log stays small.
constexpr const char* kCheckpointEvery = "PRAGMA wal_autocheckpoint = 4096";

}  // namespace

Result<std::unique_ptr<EventLog>> EventLog::Open(const std::filesystem::path& file,
                                                 std::size_t ids_in_memory) {
  std::unique_ptr<EventLog> log(new EventLog());
  if (Status status = log->Prepare(file, ids_in_memory); !status.ok()) {
    return status.Within(file.string());
  }
  return log;
}

Status EventLog::Prepare(const std::filesystem::path& file, std::size_t ids_in_memory) {
  CATCHUP_ASSIGN_OR_RETURN(connection_,
                           Connection::Open(file, Connection::Mode::kCreate, "event log"));
  CATCHUP_ASSIGN_OR_RETURN(std::int64_t tables,
                           connection_->QueryInt("SELECT count(*) FROM sqlite_schema"));
  if (tables == 0) {
    CATCHUP_RETURN_IF_ERROR(CreateFormat());
  }
  CATCHUP_RETURN_IF_ERROR(CheckFormat());
  CATCHUP_RETURN_IF_ERROR(connection_->Execute("PRAGMA journal_mode = WAL"));
  CATCHUP_RETURN_IF_ERROR(connection_->Execute("PRAGMA synchronous = FULL"));
  CATCHUP_RETURN_IF_ERROR(connection_->Execute(kCheckpointEvery));
  CATCHUP_RETURN_IF_ERROR(FoldLeftovers());
  CATCHUP_RETURN_IF_ERROR(AddColumn());

  CATCHUP_ASSIGN_OR_RETURN(reader_, LogReader::Over(*connection_));
  CATCHUP_RETURN_IF_ERROR(PrepareStatements());
  CATCHUP_ASSIGN_OR_RETURN(tail_, reader_->ReadTail());
  return PrepareIds(ids_in_memory);
}

Status EventLog::CheckFormat() {
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t kind, connection_->QueryInt("PRAGMA application_id"));
  if (kind != kApplicationId) {
    return Status::Incompatible("a SQLite file, but not an event log of catchup");
  }
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t version,
                           connection_->QueryInt("PRAGMA user_version"));
  if (version != kFormatVersion) {
    return Status::Incompatible(
        fmt::format("event log format {}, this version reads {}", version, kFormatVersion));
  }
  return {};
}

Status EventLog::PrepareStatements() {
  CATCHUP_ASSIGN_OR_RETURN(
      insert_,
      connection_->Prepare(
          "INSERT INTO records (position, revision, created, is_json, id, stream, type, metadata, "
          "data, continues) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"));
  CATCHUP_ASSIGN_OR_RETURN(
      merge_truncation_,
      connection_->Prepare("SELECT json_set(text, '$.\"$tb\"', ?2) FROM (SELECT CAST(data AS TEXT) "
                           "AS text FROM records "
                           "WHERE stream = ?1 AND revision >= 0 ORDER BY revision DESC LIMIT 1) "
                           "WHERE json_valid(text) AND json_type(text) = 'object'"));
  return {};
}

Status EventLog::CreateFormat() {
  CATCHUP_RETURN_IF_ERROR(connection_->Execute(kPageSize));
  CATCHUP_RETURN_IF_ERROR(connection_->Execute("PRAGMA journal_mode = WAL"));
  // One transaction: a creator that is killed leaves an empty file, which is created again.
  return connection_->Execute(
      "BEGIN IMMEDIATE;"
      "PRAGMA application_id = 1130460259;"
      "PRAGMA user_version = 1;"
      "CREATE TABLE records (position INTEGER PRIMARY KEY, revision INTEGER, created INTEGER, "
      "is_json INTEGER, id BLOB, stream TEXT, type TEXT, metadata BLOB, data BLOB, "
      "continues INTEGER);"
      "CREATE UNIQUE INDEX records_by_stream ON records (stream, revision) "
      "WHERE revision IS NOT NULL;"
      "COMMIT");
}

// What an earlier process left in the write-ahead log goes into the file before anything builds on
// it: that process may have ended with a failed sync, after which pages that the disk never got
// look as good as any.
Status EventLog::FoldLeftovers() {
  const Status status = connection_->Execute("PRAGMA wal_checkpoint(TRUNCATE)");
  return status.code() == Status::Code::kExhausted ? Status() : status;
}

Status EventLog::AddColumn() {
  CATCHUP_ASSIGN_OR_RETURN(
      const std::int64_t columns,
      connection_->QueryInt(
          "SELECT count(*) FROM pragma_table_info('records') WHERE name = 'continues'"));
  return columns != 0 ? Status()
                      : connection_->Execute("ALTER TABLE records ADD COLUMN continues INTEGER");
}

Status EventLog::PrepareIds(std::size_t ids_in_memory) {
  ids_.emplace(*connection_, ids_in_memory);
  Status status = Begin();
  if (status.ok()) {
    status = Commit();
  }
  if (!status.ok()) {
    Rollback();
  }
  // A full disk can still be read; the next write tries again.
  return status.code() == Status::Code::kExhausted ? Status() : status;
}

Status EventLog::Begin() {
  tail_at_begin_ = tail_;
  CATCHUP_RETURN_IF_ERROR(stopped_);
  CATCHUP_RETURN_IF_ERROR(connection_->Execute("BEGIN IMMEDIATE"));
  return ids_->Prepare();
}

Status EventLog::Commit() {
  Status status = connection_->Execute("COMMIT");
  if (status.ok()) {
    ids_->Keep();
  } else if (status.code() != Status::Code::kExhausted) {
    stopped_ = Status::Unavailable(
        "event log: nothing is written until it is opened again, because a commit failed: " +
        status.message());
  }
  return status;
}

void EventLog::Rollback() {
  // Fails only when SQLite has rolled back by itself, which is what is wanted.
  (void)connection_->Execute("ROLLBACK");
  tail_ = tail_at_begin_;
  written_.clear();
  ids_->Drop();
}

std::vector<std::shared_ptr<const Record>> EventLog::TakeWritten() {
  return std::exchange(written_, {});
}

Result<WriteOutcome> EventLog::Append(std::string_view stream, ExpectedRevision expected,
                                      std::vector<NewEvent> events) {
  CATCHUP_ASSIGN_OR_RETURN(StreamState state, reader_->Stream(stream));
  CATCHUP_ASSIGN_OR_RETURN(std::optional<WriteOutcome> decided,
                           Decide(stream, state, expected, events));
  if (decided.has_value()) {
    return *decided;
  }
  const std::int64_t first = state.last_revision + 1;
  std::int64_t revision = state.last_revision;
  if (events.empty()) {
    CATCHUP_RETURN_IF_ERROR(WriteEmptyRecord(stream));
  }
  // Metadata replaced on a soft-deleted stream would lay bare what the delete hid.
  bool reopens_base = false;
  std::string_view base = stream;
  if (stream.starts_with(kMetadataPrefix)) {
    base.remove_prefix(kMetadataPrefix.size());
    CATCHUP_ASSIGN_OR_RETURN(StreamState base_state, reader_->Stream(base));
    reopens_base = base_state.soft_deleted();
  }
  for (NewEvent& event : events) {
    const bool continues = ++revision > first;
    CATCHUP_RETURN_IF_ERROR(WriteEvent(stream, revision, std::move(event), continues));
  }
  const WriteOutcome outcome{WriteOutcome::Kind::kWritten, revision, tail_.last};
  if (state.soft_deleted()) {
    CATCHUP_RETURN_IF_ERROR(WriteReopening(stream, first));
  } else if (reopens_base) {
    CATCHUP_ASSIGN_OR_RETURN(StreamState base_state, reader_->Stream(base));
    CATCHUP_RETURN_IF_ERROR(WriteReopening(base, base_state.last_revision + 1));
  }
  return outcome;
}

Status EventLog::WriteEvent(std::string_view stream, std::int64_t revision, NewEvent event,
                            bool continues) {
  Record record;
  record.stream = stream;
  record.type = std::move(event.type);
  record.data = std::move(event.data);
  record.metadata = std::move(event.metadata);
  record.id = event.id;
  record.position = tail_.end;
  record.revision = static_cast<std::uint64_t>(revision);
  record.created_ticks = NowTicks();
  record.is_json = event.is_json;

  insert_.Bind(1, static_cast<std::int64_t>(record.position));
  insert_.Bind(2, revision);
  insert_.Bind(3, record.created_ticks);
  insert_.Bind(4, record.is_json ? 1 : 0);
  insert_.BindBlob(5, IdBytes(record.id));
  insert_.BindText(6, record.stream);
  insert_.BindText(7, record.type);
  insert_.BindBlob(8, record.metadata);
  insert_.BindBlob(9, record.data);
  if (continues) {
    insert_.Bind(10, 1);
  } else {
    insert_.BindNull(10);
  }
  CATCHUP_RETURN_IF_ERROR(insert_.Run());

  tail_.last = record.position;
  tail_.last_event = record.position;
  tail_.end += RecordSize(record.stream, record.type, record.data, record.metadata);
  ids_->Add(record.id, record.stream, {revision, record.position});
  written_.push_back(std::make_shared<const Record>(std::move(record)));
  return {};
}

Status EventLog::WriteEmptyRecord(std::string_view stream) {
  insert_.Bind(1, static_cast<std::int64_t>(tail_.end));
  insert_.BindNull(2);
  insert_.Bind(3, NowTicks());
  insert_.Bind(4, 0);
  insert_.BindNull(5);
  insert_.BindText(6, stream);
  insert_.BindText(7, {});
  insert_.BindBlob(8, {});
  insert_.BindBlob(9, {});
  insert_.BindNull(10);
  CATCHUP_RETURN_IF_ERROR(insert_.Run());
  tail_.last = tail_.end;
  tail_.end += RecordSize(stream, {}, {}, {});
  return {};
}

Status EventLog::WriteReopening(std::string_view stream, std::int64_t first) {
  std::string data;
  {
    const std::string name = std::string(kMetadataPrefix).append(stream);
    merge_truncation_.BindText(1, name);
    merge_truncation_.Bind(2, first);
    const ResetAtEnd reset(merge_truncation_);
    CATCHUP_ASSIGN_OR_RETURN(const bool row, merge_truncation_.Step());
    if (!row) {
      return {};
    }
    data = merge_truncation_.Bytes(0);
  }
  return WriteMetadata(stream, std::move(data));
}

Status EventLog::WriteMetadata(std::string_view stream, std::string data) {
  const std::string name = std::string(kMetadataPrefix).append(stream);
  CATCHUP_ASSIGN_OR_RETURN(StreamState metadata, reader_->Stream(name));
  NewEvent event;
  event.id = RandomUuid();
  event.type = kMetadataType;
  event.is_json = true;
  event.data = std::move(data);
  return WriteEvent(name, metadata.last_revision + 1, std::move(event));
}

Status EventLog::WriteTombstone(std::string_view stream) {
  NewEvent event;
  event.id = RandomUuid();
  event.type = kTombstoneType;
  return WriteEvent(stream, kTombstoneRevision, std::move(event));
}

Result<WriteOutcome> EventLog::Remove(std::string_view stream, ExpectedRevision expected,
                                      Removal removal) {
  using Kind = WriteOutcome::Kind;
  CATCHUP_ASSIGN_OR_RETURN(StreamState state, reader_->Stream(stream));
  Result<std::optional<WriteOutcome>> decided = DecideRemoval(stream, state, expected);
  if (!decided.ok() || decided->has_value()) {
    return decided.ok() ? Result<WriteOutcome>(**decided) : decided.status();
  }
  if (removal == Removal::kHide && !state.exists()) {
    // One that has only metadata can be deleted, too.
    CATCHUP_ASSIGN_OR_RETURN(StreamState metadata,
                             reader_->Stream(std::string(kMetadataPrefix).append(stream)));
    if (!metadata.exists()) {
      return WriteOutcome{Kind::kConflict, state.last_revision, 0};
    }
  }
  CATCHUP_RETURN_IF_ERROR(
      removal == Removal::kHide
          ? WriteMetadata(stream, fmt::format("{{\"$tb\":{}}}", kTombstoneRevision))
          : WriteTombstone(stream));
  return WriteOutcome{Kind::kWritten, state.last_revision, tail_.last};
}

}  // namespace catchup::embedded
