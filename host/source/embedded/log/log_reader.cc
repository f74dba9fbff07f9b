#include "host/source/embedded/log/log_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "host/base/time_text.h"

namespace catchup::embedded {
namespace {

// The order of the columns in every query that feeds a cursor.
enum Column { kPosition, kRevision, kCreated, kIsJson, kId, kStream, kType, kMetadata, kData };

#define CATCHUP_EVENT_COLUMNS \
  "SELECT position, revision, created, is_json, id, stream, type, metadata, data FROM records "

// Asks of a member of metadata that it is absent, or an integer of 64 bits; or one that a node can
// count in its units of 100 ns.
#define CATCHUP_IS_INTEGER(name)            \
  "AND coalesce(json_type(text, '$.\"" name \
  "\"'), 'integer') = 'integer' "           \
  "AND typeof(json_extract(text, '$.\"" name "\"')) <> 'real' "
#define CATCHUP_IS_SECONDS(name)               \
  CATCHUP_IS_INTEGER(name)                     \
  "AND coalesce(json_extract(text, '$.\"" name \
  "\"'), 0) "                                  \
  "BETWEEN -922337203685 AND 922337203685 "

std::int64_t ToSql(std::uint64_t position) {
  // SQLite's integers are signed; no log grows past their end, so a larger bound means "no bound".
  return static_cast<std::int64_t>(
      std::min<std::uint64_t>(position, std::numeric_limits<std::int64_t>::max()));
}

}  // namespace

std::int64_t StreamState::first_readable() const {
  std::int64_t first = truncate_before;
  if (max_count > 0) {
    first = std::max(first, last_revision - max_count + 1);
  }
  return first;
}

bool StreamState::HidesByAge(std::int64_t created_ticks, std::int64_t now_ticks) const {
  // Compared in seconds: an age given in centuries must not overflow.
  return max_age_seconds > 0 && (now_ticks - created_ticks) / kTicksPerSecond >= max_age_seconds;
}

Result<bool> LogReader::Cursor::Next(EventView* event) {
  while (true) {
    Result<bool> row = statement_.Step();
    if (!row.ok() || !*row) {
      return row;
    }
    if (statement_.IsNull(kRevision)) {
      continue;
    }
    const auto position = static_cast<std::uint64_t>(statement_.Int(kPosition));
    event->position = {position, position};
    event->revision = static_cast<std::uint64_t>(statement_.Int(kRevision));
    event->created_ticks = statement_.Int(kCreated);
    event->is_json = statement_.Int(kIsJson) != 0;
    const std::string_view id = statement_.Bytes(kId);
    if (id.size() != event->id.bytes.size()) {
      return Status::Corrupt(fmt::format("event log: record at {} has an id of {} bytes, wanted 16",
                                         position, id.size()));
    }
    std::memcpy(event->id.bytes.data(), id.data(), id.size());
    event->stream = statement_.Bytes(kStream);
    event->type = statement_.Bytes(kType);
    event->metadata = statement_.Bytes(kMetadata);
    event->data = statement_.Bytes(kData);
    return true;
  }
}

Result<LogReader> LogReader::Open(const std::filesystem::path& file) {
  CATCHUP_ASSIGN_OR_RETURN(Connection connection,
                           Connection::Open(file, Connection::Mode::kQuery, "event log"));
  LogReader reader;
  reader.own_ = std::move(connection);
  CATCHUP_RETURN_IF_ERROR(reader.PrepareAll(*reader.own_));
  return reader;
}

Result<LogReader> LogReader::Over(Connection& connection) {
  LogReader reader;
  CATCHUP_RETURN_IF_ERROR(reader.PrepareAll(connection));
  return reader;
}

Status LogReader::PrepareAll(Connection& connection) {
  const struct {
    Statement* statement;
    const char* sql;
  } all[] = {
      {&forwards_,
       CATCHUP_EVENT_COLUMNS "WHERE position >= ?1 AND position < ?2 ORDER BY position"},
      {&backwards_, CATCHUP_EVENT_COLUMNS "WHERE position < ?1 ORDER BY position DESC"},
      {&stream_forwards_, CATCHUP_EVENT_COLUMNS
       "WHERE stream = ?1 AND revision >= ?2 AND revision < 9223372036854775807 ORDER BY revision"},
      {&stream_backwards_, CATCHUP_EVENT_COLUMNS
       "WHERE stream = ?1 AND revision >= 0 AND revision <= ?2 AND revision < 9223372036854775807 "
       "ORDER BY revision DESC"},
      {&stream_event_, CATCHUP_EVENT_COLUMNS "WHERE stream = ?1 AND revision = ?2"},
      {&record_at_, "SELECT 1 FROM records WHERE position = ?1"},
      {&earlier_,
       "SELECT max(position) FROM records WHERE position < ?1 AND "
       "EXISTS (SELECT 1 FROM records WHERE position = ?1 AND continues)"},
      {&last_revisions_,
       "SELECT revision FROM records WHERE stream = ?1 AND revision >= 0 "
       "ORDER BY revision DESC LIMIT 2"},
      // Metadata that is not said to be JSON, is none, or has a member of a wrong type is none at
      // all.
      {&metadata_,
       "SELECT json_extract(text, '$.\"$tb\"'), json_extract(text, '$.\"$maxCount\"'), "
       "json_extract(text, '$.\"$maxAge\"') FROM "
       "(SELECT CAST(data AS TEXT) AS text, is_json FROM records "
       "WHERE stream = ?1 AND revision >= 0 ORDER BY revision DESC LIMIT 1) "
       "WHERE is_json AND json_valid(text) " CATCHUP_IS_INTEGER("$tb")
           CATCHUP_IS_INTEGER("$maxCount") CATCHUP_IS_SECONDS("$maxAge") CATCHUP_IS_SECONDS(
               "$cacheControl") "AND coalesce(json_type(text, '$.\"$tmp\"'), 'true') IN ('true', "
                                "'false') "
                                // Roles: a name or a list of names, for rights that a node
                                // knows.
                                "AND coalesce(json_type(text, '$.\"$acl\"'), 'object') = 'object' "
                                "AND NOT EXISTS (SELECT 1 FROM json_each(text, '$.\"$acl\"') AS "
                                "member "
                                "WHERE member.key NOT IN ('$r', '$w', '$d', '$mr', '$mw') "
                                "OR member.type NOT IN ('text', 'array')) "
                                "AND NOT EXISTS (SELECT 1 FROM json_each(text, '$.\"$acl\"') AS "
                                "member, "
                                "json_each(CASE member.type WHEN 'array' THEN member.value ELSE "
                                "'[]' END) AS role "
                                "WHERE role.type <> 'text')"},
      {&tail_, CATCHUP_EVENT_COLUMNS "ORDER BY position DESC LIMIT 1"},
  };
  for (const auto& entry : all) {
    CATCHUP_ASSIGN_OR_RETURN(*entry.statement, connection.Prepare(entry.sql));
  }
  return {};
}

LogReader::Cursor LogReader::Forwards(std::uint64_t from, std::uint64_t bound) {
  forwards_.Bind(1, ToSql(from));
  forwards_.Bind(2, ToSql(bound));
  return Cursor(forwards_);
}

LogReader::Cursor LogReader::Backwards(std::uint64_t before) {
  backwards_.Bind(1, ToSql(before));
  return Cursor(backwards_);
}

LogReader::Cursor LogReader::StreamForwards(std::string_view stream, std::int64_t from) {
  stream_forwards_.BindText(1, stream);
  stream_forwards_.Bind(2, from);
  return Cursor(stream_forwards_);
}

LogReader::Cursor LogReader::StreamBackwards(std::string_view stream, std::int64_t from) {
  stream_backwards_.BindText(1, stream);
  stream_backwards_.Bind(2, from);
  return Cursor(stream_backwards_);
}

LogReader::Cursor LogReader::StreamEvent(std::string_view stream, std::int64_t revision) {
  stream_event_.BindText(1, stream);
  stream_event_.Bind(2, revision);
  return Cursor(stream_event_);
}

Result<bool> LogReader::IsRecord(std::uint64_t position) {
  if (position == 0) {
    return true;
  }
  record_at_.Bind(1, ToSql(position));
  const ResetAtEnd reset(record_at_);
  return record_at_.Step();
}

Result<std::optional<std::uint64_t>> LogReader::EarlierOfSameWrite(std::uint64_t position) {
  earlier_.Bind(1, ToSql(position));
  const ResetAtEnd reset(earlier_);
  CATCHUP_ASSIGN_OR_RETURN(bool row, earlier_.Step());
  if (!row || earlier_.IsNull(0)) {
    return std::optional<std::uint64_t>();
  }
  return std::optional(static_cast<std::uint64_t>(earlier_.Int(0)));
}

Result<StreamState> LogReader::Stream(std::string_view stream) {
  StreamState state;
  CATCHUP_RETURN_IF_ERROR(ReadRevisions(stream, &state));
  if (!stream.starts_with(kMetadataPrefix)) {
    CATCHUP_RETURN_IF_ERROR(ReadMetadata(stream, &state));
    return state;
  }
  // Only the newest metadata of a stream counts, so only that one is shown.
  state.max_count = 1;
  // The stream that this metadata is about, the one that stream is about if it is metadata too, and
  // so on.
  while (!state.tombstoned && stream.starts_with(kMetadataPrefix)) {
    stream.remove_prefix(kMetadataPrefix.size());
    StreamState owner;
    CATCHUP_RETURN_IF_ERROR(ReadRevisions(stream, &owner));
    state.tombstoned = owner.tombstoned;
  }
  return state;
}

Status LogReader::ReadRevisions(std::string_view stream, StreamState* state) {
  last_revisions_.BindText(1, stream);
  const ResetAtEnd reset(last_revisions_);
  while (true) {
    CATCHUP_ASSIGN_OR_RETURN(const bool row, last_revisions_.Step());
    if (!row) {
      return {};
    }
    const std::int64_t revision = last_revisions_.Int(0);
    if (revision != kTombstoneRevision) {
      state->last_revision = revision;
      return {};
    }
    state->tombstoned = true;
  }
}

Status LogReader::ReadMetadata(std::string_view stream, StreamState* state) {
  const std::string name = std::string(kMetadataPrefix).append(stream);
  metadata_.BindText(1, name);
  const ResetAtEnd reset(metadata_);
  CATCHUP_ASSIGN_OR_RETURN(bool row, metadata_.Step());
  if (row) {
    // An absent member is NULL, which reads as 0: no bound.
    state->truncate_before = std::max<std::int64_t>(0, metadata_.Int(0));
    state->max_count = std::max<std::int64_t>(0, metadata_.Int(1));
    state->max_age_seconds = std::max<std::int64_t>(0, metadata_.Int(2));
  }
  return {};
}

Result<LogReader::Tail> LogReader::ReadTail() {
  Tail tail;
  {
    const ResetAtEnd reset(tail_);
    CATCHUP_ASSIGN_OR_RETURN(bool row, tail_.Step());
    if (row) {
      tail.last = static_cast<std::uint64_t>(tail_.Int(kPosition));
      tail.end = tail.last + RecordSize(tail_.Bytes(kStream), tail_.Bytes(kType),
                                        tail_.Bytes(kData), tail_.Bytes(kMetadata));
    }
  }
  Cursor cursor = Backwards(tail.end);
  EventView event;
  CATCHUP_ASSIGN_OR_RETURN(bool found, cursor.Next(&event));
  if (found) {
    tail.last_event = event.position.commit;
  }
  return tail;
}

#undef CATCHUP_IS_SECONDS
#undef CATCHUP_IS_INTEGER
#undef CATCHUP_EVENT_COLUMNS

}  // namespace catchup::embedded
