#pragma once

#include <array>
#include <string>

namespace catchup::embedded::model {

// Statements of the notes that were measured on a node (marked [M] there) and that histories meet
// by chance only. A run that meets one of them never has not tested it.
struct Measured {
  const char* section;
  const char* statement;

  std::string ToText() const { return std::string(section) + ": " + statement; }
};

inline constexpr Measured kRevisionEchoed{"2.2", "caught up at the revision asked for"};
inline constexpr Measured kRevisionAbsent{"2.2", "caught up without a revision"};
inline constexpr Measured kStreamFromEnd{"3.1", "a stream forwards from its end"};
inline constexpr Measured kNoEventsOfStream{"3.1", "a stream read of no events"};
inline constexpr Measured kBetweenRecords{"3.1", "a count read from one byte past a record"};
inline constexpr Measured kBetweenRecordsLive{"3.1", "a subscription from one byte past a record"};
inline constexpr Measured kTombstonedStream{"3.1", "a subscription to a tombstoned stream"};
inline constexpr Measured kCaughtUpAtPage{"3.2", "caught up at the start of a page"};
inline constexpr Measured kCaughtUpUnseen{"3.2", "from the end, at a record that no read shows"};
inline constexpr Measured kStartCounts{"3.3", "the record at the start matches and is not sent"};
inline constexpr Measured kCheckpointAtPage{"3.3", "a checkpoint at the start of a page"};
inline constexpr Measured kCheckpointLive{"3.3", "a live checkpoint"};
inline constexpr Measured kBackwards{"3.4", "backwards from a record"};
inline constexpr Measured kNoStreamName{"7.1", "an append to a stream without a name"};
inline constexpr Measured kOnlyMetadata{"7.1", "stream_exists where there is only metadata"};
inline constexpr Measured kNoEvents{"7.1", "an append of no events"};
inline constexpr Measured kUndeleteByNone{"7.1", "an append of no events to a deleted stream"};
inline constexpr Measured kUndelete{"7.1", "an append to a deleted stream"};
inline constexpr Measured kUndeleteByMetadata{"7.1", "metadata of a deleted stream"};
inline constexpr Measured kRepeatedDeleted{"7.1", "a repetition in a deleted stream"};
inline constexpr Measured kDeleteMissing{"7.4", "Delete of a missing stream"};
inline constexpr Measured kTombstoneMissing{"7.4", "Tombstone of a missing stream"};
inline constexpr Measured kNoEventsConflict{"10", "a conflict of an append of no events"};
inline constexpr Measured kRepeatedHidden{"10", "a repetition of events that are hidden"};
inline constexpr Measured kBackwardsInWrite{"10", "backwards from (N, 0) within a write"};
inline constexpr Measured kBehindOnlyUnseen{"10", "from the last event, a record unseen behind it"};
inline constexpr Measured kDeleteDropsMetadata{"10", "a delete of a stream with metadata"};
inline constexpr Measured kMalformedLive{"10", "a malformed link met live and resolved"};

inline constexpr std::array kAllMeasured{
    kRevisionEchoed,   kRevisionAbsent,     kStreamFromEnd,       kNoEventsOfStream,
    kBetweenRecords,   kBetweenRecordsLive, kTombstonedStream,    kCaughtUpAtPage,
    kCaughtUpUnseen,   kStartCounts,        kCheckpointAtPage,    kCheckpointLive,
    kBackwards,        kNoStreamName,       kOnlyMetadata,        kNoEvents,
    kUndeleteByNone,   kUndelete,           kUndeleteByMetadata,  kRepeatedDeleted,
    kDeleteMissing,    kTombstoneMissing,   kNoEventsConflict,    kRepeatedHidden,
    kBackwardsInWrite, kBehindOnlyUnseen,   kDeleteDropsMetadata, kMalformedLive};

}  // namespace catchup::embedded::model
