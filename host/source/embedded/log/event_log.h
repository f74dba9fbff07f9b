#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/source/embedded/log/known_ids.h"
#include "host/source/embedded/log/log_reader.h"
#include "host/source/embedded/log/record.h"

namespace catchup::embedded {

// What became of a write that the log understood.
struct WriteOutcome {
  enum class Kind {
    kWritten,
    kRepeated,       // The same event ids were there already: nothing written, success again.
    kConflict,       // The stream is not at the expected revision.
    kStreamDeleted,  // Tombstoned, or soft deleted where "exists" was expected.
  };

  Kind kind = Kind::kWritten;
  std::int64_t revision = -1;  // The stream's last revision; -1 when it has no event.
  // Where the last record written is, or the last event found again; 0 where a read of the stream
  // no longer shows that event, as a node then does not tell where it is.
  std::uint64_t position = 0;
};

// The event log's file, for the one thread that writes it: SQLite with a write-ahead log.
//
// Format, version 1: application id "Catc", user version 1, the tables of KnownIds, which a small
// log does without, and
//
//   records(position INTEGER PRIMARY KEY, revision, created, is_json, id, stream, type, metadata,
//           data, continues)
//
// A record begins at `position` and takes RecordSize() bytes of log; the next one begins right
// behind it. `revision` is NULL for a record without an event, which an append of zero events
// leaves behind. `created` counts 100 ns from 1970. `continues` is 1 for every record of a write
// but its first, else NULL. Files of earlier versions have no such column; it is added to them, and
// those versions write on without it.
//
// Durability: a commit returns after the write-ahead log is on disk (synchronous = FULL), and
// nothing is acknowledged or shown to readers before that. A process killed at any moment leaves
// either all of a transaction or nothing: SQLite replays only whole, checksummed transactions. So
// what was acknowledged is there after a kill or a power cut, and an append is never half there.
//
// A full disk is waited out: the write fails with kExhausted, and one made once there is room
// succeeds. A commit that fails in any other way ends all writing until the log is opened again:
// the kernel may hold pages as clean that the disk never got, and later commits would build on
// them. Whether that last transaction is there shows then; reading goes on meanwhile.
class EventLog {
 public:
  static constexpr std::int64_t kApplicationId = 0x43617463;  // "Catc"
  static constexpr std::int64_t kFormatVersion = 1;

  // Opens or creates the log. kIncompatible for a file of another kind or of a newer version.
  // `ids_in_memory`: see KnownIds.
  static Result<std::unique_ptr<EventLog>> Open(const std::filesystem::path& file,
                                                std::size_t ids_in_memory = KnownIds::kInMemory);

  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // A transaction holds any number of writes, each seeing those before it. A failed Status means
  // that the file could not be written: roll back, nothing of the transaction is there.
  Status Begin();
  Status Commit();
  void Rollback();

  // Appends all events of one call to one stream, or nothing.
  Result<WriteOutcome> Append(std::string_view stream, ExpectedRevision expected,
                              std::vector<NewEvent> events);
  enum class Removal {
    kHide,   // What the stream holds, by replacing its metadata; kConflict where it holds nothing.
    kClose,  // The stream for ever, also one without events.
  };
  Result<WriteOutcome> Remove(std::string_view stream, ExpectedRevision expected, Removal removal);

  // The events written since the last call, in log order. Take them after Commit().
  std::vector<std::shared_ptr<const Record>> TakeWritten();

  const LogReader::Tail& tail() const { return tail_; }
  LogReader& reader() { return *reader_; }

 private:
  EventLog() = default;

  Status Prepare(const std::filesystem::path& file, std::size_t ids_in_memory);
  Status CreateFormat();
  Status CheckFormat();
  Status FoldLeftovers();
  Status AddColumn();
  Status PrepareStatements();
  Status PrepareIds(std::size_t ids_in_memory);

  // What a repetition of the event at `position`, the last of its call, answers.
  Result<std::optional<WriteOutcome>> Repeated(std::string_view stream, const StreamState& state,
                                               std::int64_t revision, std::uint64_t position);
  // Decides an append without writing. No value: write it.
  Result<std::optional<WriteOutcome>> Decide(std::string_view stream, const StreamState& state,
                                             ExpectedRevision expected,
                                             const std::vector<NewEvent>& events);
  // Decides the removal of a stream in the same way, as the write of something new.
  Result<std::optional<WriteOutcome>> DecideRemoval(std::string_view stream,
                                                    const StreamState& state,
                                                    ExpectedRevision expected);
  // Compares with the events behind an expected revision that lies before the stream's last.
  Result<std::optional<WriteOutcome>> CompareBehind(std::string_view stream,
                                                    const StreamState& state,
                                                    ExpectedRevision expected,
                                                    const std::vector<NewEvent>& events);
  Result<std::optional<WriteOutcome>> CompareKnown(std::string_view stream,
                                                   const StreamState& state,
                                                   const std::vector<NewEvent>& events);
  // `continues`: not the first record of its write.
  Status WriteEvent(std::string_view stream, std::int64_t revision, NewEvent event,
                    bool continues = false);
  Status WriteEmptyRecord(std::string_view stream);
  // Opens a soft-deleted stream from revision `first` on: its newest metadata again, with "$tb"
  // set. Nothing where that metadata is no JSON object, which hides nothing either.
  Status WriteReopening(std::string_view stream, std::int64_t first);
  Status WriteMetadata(std::string_view stream, std::string data);
  Status WriteTombstone(std::string_view stream);

  std::optional<Connection> connection_;
  std::optional<LogReader> reader_;
  Statement insert_;
  Statement merge_truncation_;
  LogReader::Tail tail_;
  LogReader::Tail tail_at_begin_;
  std::optional<KnownIds> ids_;
  std::vector<std::shared_ptr<const Record>> written_;
  Status stopped_;  // Why nothing is written any more.
};

}  // namespace catchup::embedded
