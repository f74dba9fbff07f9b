// What EventLog decides before it writes: whether a write is in order, out of order, or the
// repetition of one that is there already.
#include "host/base/time_text.h"
#include "host/base/uuid.h"
#include "host/source/embedded/log/event_log.h"

namespace catchup::embedded {
namespace {

WriteOutcome Conflict(const StreamState& state) {
  return {WriteOutcome::Kind::kConflict, state.last_revision, 0};
}

}  // namespace

Result<std::optional<WriteOutcome>> EventLog::Decide(std::string_view stream,
                                                     const StreamState& state,
                                                     ExpectedRevision expected,
                                                     const std::vector<NewEvent>& events) {
  using Kind = WriteOutcome::Kind;
  if (state.tombstoned) {
    return std::optional(WriteOutcome{Kind::kStreamDeleted, state.last_revision, 0});
  }
  if (expected.value == ExpectedRevision::kStreamExists) {
    if (state.soft_deleted()) {
      return std::optional(WriteOutcome{Kind::kStreamDeleted, state.last_revision, 0});
    }
    bool exists = state.exists();
    if (!exists) {
      // A stream that has only metadata exists too.
      CATCHUP_ASSIGN_OR_RETURN(StreamState metadata,
                               reader_->Stream(std::string(kMetadataPrefix).append(stream)));
      exists = metadata.exists();
    }
    if (!exists) {
      return std::optional(Conflict(state));
    }
    return CompareKnown(stream, state, events);
  }
  if (expected.value == ExpectedRevision::kAny) {
    return CompareKnown(stream, state, events);
  }
  if (expected.value == state.last_revision) {
    return std::optional<WriteOutcome>();
  }
  if (expected.value > state.last_revision) {
    return std::optional(Conflict(state));
  }
  return CompareBehind(stream, state, expected, events);
}

Result<std::optional<WriteOutcome>> EventLog::CompareBehind(std::string_view stream,
                                                            const StreamState& state,
                                                            ExpectedRevision expected,
                                                            const std::vector<NewEvent>& events) {
  if (events.empty()) {
    return std::optional(Conflict(state));  // Nothing there that it could repeat.
  }
  std::int64_t revision = -1;
  std::uint64_t position = 0;
  {
    LogReader::Cursor cursor = reader_->StreamForwards(stream, expected.value + 1);
    for (const NewEvent& event : events) {
      EventView there;
      CATCHUP_ASSIGN_OR_RETURN(bool row, cursor.Next(&there));
      if (!row || there.id != event.id) {
        const bool is_new = revision < 0 && expected.value == ExpectedRevision::kNoStream;
        if (is_new && state.soft_deleted()) {
          // Deleted counts as "no stream"; its numbering goes on.
          return std::optional<WriteOutcome>();
        }
        return std::optional(Conflict(state));
      }
      revision = static_cast<std::int64_t>(there.revision);
      position = there.position.commit;
    }
  }
  return Repeated(stream, state, revision, position);
}

Result<std::optional<WriteOutcome>> EventLog::Repeated(std::string_view stream,
                                                       const StreamState& state,
                                                       std::int64_t revision,
                                                       std::uint64_t position) {
  EventView event;
  LogReader::Cursor cursor = reader_->StreamEvent(stream, revision);
  CATCHUP_ASSIGN_OR_RETURN(bool found, cursor.Next(&event));
  const bool is_shown = found && state.Shows(revision, event.created_ticks, NowTicks());
  return std::optional(
      WriteOutcome{WriteOutcome::Kind::kRepeated, revision, is_shown ? position : 0});
}

Result<std::optional<WriteOutcome>> EventLog::CompareKnown(std::string_view stream,
                                                           const StreamState& state,
                                                           const std::vector<NewEvent>& events) {
  std::optional<KnownIds::Place> last;
  for (const NewEvent& event : events) {
    CATCHUP_ASSIGN_OR_RETURN(std::optional<KnownIds::Place> place, ids_->Find(event.id, stream));
    if (!place.has_value()) {
      // All new, or a call that repeats only its beginning: that is no repetition.
      return last.has_value() ? std::optional(Conflict(state)) : std::nullopt;
    }
    last = place;
  }
  if (!last.has_value()) {
    return std::optional<WriteOutcome>();
  }
  return Repeated(stream, state, last->revision, last->position);
}

Result<std::optional<WriteOutcome>> EventLog::DecideRemoval(std::string_view stream,
                                                            const StreamState& state,
                                                            ExpectedRevision expected) {
  std::vector<NewEvent> event(1);
  event[0].id = RandomUuid();
  return Decide(stream, state, expected, event);
}

}  // namespace catchup::embedded
