#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "host/base/sqlite.h"
#include "host/source/embedded/log/record.h"

namespace catchup::embedded {

// What a stream looks like to those who read it or append to it.
struct StreamState {
  std::int64_t last_revision = -1;  // -1 when it has no event; a tombstone does not count.
  // True for the metadata of a tombstoned stream too, which is closed with it.
  bool tombstoned = false;
  // From the stream's metadata, the last event of "$$" + name.
  std::int64_t truncate_before = 0;
  std::int64_t max_count = 0;        // 0: no bound.
  std::int64_t max_age_seconds = 0;  // 0: no bound.

  bool exists() const { return last_revision >= 0; }
  // A soft delete hides everything written so far; the next append opens the stream again.
  bool soft_deleted() const { return truncate_before == kTombstoneRevision; }
  // The lowest revision that a read of the stream shows, as far as revisions decide it.
  std::int64_t first_readable() const;
  // Whether $maxAge hides an event of that age.
  bool HidesByAge(std::int64_t created_ticks, std::int64_t now_ticks) const;
  // Whether a read of the stream shows its event at `revision`.
  bool Shows(std::int64_t revision, std::int64_t created_ticks, std::int64_t now_ticks) const {
    return !tombstoned && revision >= first_readable() && !HidesByAge(created_ticks, now_ticks);
  }
};

// Queries over one connection to the log's file. Everything visible is committed and durable, or
// written by the same connection. For one thread at a time.
class LogReader {
 public:
  // Walks over events in one order. Views are valid until the next call of Next() or the end of the
  // cursor's life. One cursor per LogReader and kind at a time.
  class Cursor {
   public:
    explicit Cursor(Statement& statement) : statement_(statement), reset_(statement) {}
    // False at the end. Records without an event are passed over.
    Result<bool> Next(EventView* event);

   private:
    Statement& statement_;
    ResetAtEnd reset_;
  };

  // Opens a file that EventLog has made.
  static Result<LogReader> Open(const std::filesystem::path& file);
  // Over a connection that the caller keeps; `connection` must outlive the reader.
  static Result<LogReader> Over(Connection& connection);

  // Events at `from` or later and before `bound`, in log order.
  Cursor Forwards(std::uint64_t from, std::uint64_t bound);
  // Events before `before`, newest first.
  Cursor Backwards(std::uint64_t before);
  // Events of a stream from revision `from` on, upwards or downwards. `stream` must outlive it.
  // A tombstone is not shown.
  Cursor StreamForwards(std::string_view stream, std::int64_t from);
  Cursor StreamBackwards(std::string_view stream, std::int64_t from);
  // The one event of a stream at `revision`, or none.
  Cursor StreamEvent(std::string_view stream, std::int64_t revision);

  // Whether a record begins at `position`, or it is the very start of the log.
  Result<bool> IsRecord(std::uint64_t position);
  // Where the record before the one at `position` begins if both are of one write, else nothing.
  Result<std::optional<std::uint64_t>> EarlierOfSameWrite(std::uint64_t position);
  Result<StreamState> Stream(std::string_view stream);
  // Positions of the record written last and of the last that has an event, and the first position
  // after both.
  struct Tail {
    std::uint64_t last = 0;
    std::uint64_t last_event = 0;
    std::uint64_t end = kFirstPosition;
  };
  Result<Tail> ReadTail();

 private:
  LogReader() = default;
  Status PrepareAll(Connection& connection);
  Status ReadRevisions(std::string_view stream, StreamState* state);
  Status ReadMetadata(std::string_view stream, StreamState* state);

  std::optional<Connection> own_;
  Statement forwards_;
  Statement backwards_;
  Statement stream_forwards_;
  Statement stream_backwards_;
  Statement stream_event_;
  Statement record_at_;
  Statement earlier_;
  Statement last_revisions_;
  Statement metadata_;
  Statement tail_;
};

}  // namespace catchup::embedded
