#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "host/base/event.h"
#include "host/ring/seal.h"

namespace catchup {

// What the host and one runner share, made new for every spawn. Three regions:
//
//   event ring      written by the host, mapped read-only by the runner: events and orders
//   outcome ring    written by the runner: how far it got, what went wrong, log lines
//   large region    written by the host, read-only in the runner: the bytes of one event that does
//                   not fit the event ring; its memory is not there until the first such event
//
// Offsets grow for ever and are taken modulo the ring's size, which is a power of two. The host
// believes nothing it reads from the outcome ring before it has checked it: every word and record
// there carries check bits under a key of the spawn, see seal.h.

inline constexpr std::uint32_t kRingMagic = 0x52555443;  // "CTUR"

// Raised with every change to this file. Host and runner of one installation always agree, and a
// mismatch is a set-up error, so old layouts need no reader.
inline constexpr std::uint32_t kRingLayout = 5;

// Names one event or advance that a runner was given: 1, 2, 3 … in the order in which they were
// written for one spawn, never reused. 0 names none.
using Ticket = std::uint64_t;

// Tickets are given in epochs, 1, 2, 3 … Within one the runner takes each ticket behind the last;
// any outcome but OK ends it: the runner then takes nothing more until the host has begun the next
// one, which starts with a higher ticket further on in the ring. What lies before that place is
// discarded, and its tickets are dead: the host gives those events again, under new ones, as it
// sees fit. So no later event of a stream is applied before a failed one. An epoch has at most one
// failure, and the host begins no epoch but after one.
inline constexpr std::uint64_t kFirstEpoch = 1;

// What the host waits for while it waits for no ticket to be settled.
inline constexpr Ticket kNoWake = ~Ticket{0};

// Version and commit of the host's build, which the runner compares with its own: a runner of
// another installation is found even where the layout is the same.
inline constexpr std::size_t kBuildIdBytes = 48;

inline constexpr std::uint64_t kRingHeaderBytes = 4096;
inline constexpr std::uint64_t kEventRingBytes = 1u << 20;
// Room for the longest error text twice over: one failure and the log lines before it.
inline constexpr std::uint64_t kOutcomeRingBytes = 1u << 18;
inline constexpr std::uint64_t kLargeRegionBytes = kMaxEventBytes;
// An event up to this goes into the ring; a larger one would leave it room for few others.
inline constexpr std::uint64_t kMaxInlineRecord = kEventRingBytes / 4;
inline constexpr std::uint64_t kMaxErrorText = 64u << 10;
// The longest version that a plugin may give itself.
inline constexpr std::uint64_t kMaxVersionText = 64;
inline constexpr std::uint64_t kMaxLogText = 16u << 10;
// What a runner says of a breach when it has stopped.
inline constexpr std::uint64_t kMaxBreachText = 1024;
// Log lines leave this much of the outcome ring free, so that a failure always fits, and that the
// runner has stopped.
inline constexpr std::uint64_t kOutcomeReserve = kMaxErrorText + 4096;
// Warnings leave this much more, and what is below them twice that, so that no flood keeps out what
// is worse than itself. Room for two of the longest lines.
inline constexpr std::uint64_t kWorseLogReserve = kMaxErrorText / 2;
static_assert(kWorseLogReserve >= 2 * kMaxLogText);

// CATCHUP_LOG_DEBUG to CATCHUP_LOG_ERROR.
inline constexpr std::size_t kLogLevels = 4;
using LinesByLevel = std::array<std::uint64_t, kLogLevels>;

inline constexpr std::size_t kCacheLine = 64;

// The first page of the event ring.
struct EventRingHeader {
  std::uint32_t magic;
  std::uint32_t layout;
  std::uint64_t host_pid;
  char build_id[kBuildIdBytes];  // Ends with zeros.
  RingKey key;                   // Gone once the runner has taken the setup.

  // End of the records that may be read.
  alignas(kCacheLine) std::atomic<std::uint64_t> published;

  // The host's wishes.
  alignas(kCacheLine) std::atomic<std::uint32_t> stop;  // 1: end the call in progress, then leave.

  // The present epoch. Its number is written last: who has seen it sees the other two as they
  // belong to it, since they change only after a failure of this epoch.
  alignas(kCacheLine) std::atomic<std::uint64_t> epoch;
  std::atomic<std::uint64_t> epoch_ticket;  // The first of it.
  std::atomic<std::uint64_t> epoch_begin;   // Where in the ring its records begin.

  // What the host has seen of the runner's progress, so that a runner about to sleep knows whether
  // to tell it; and the ticket at which the host wants to be told at once.
  alignas(kCacheLine) std::atomic<std::uint64_t> seen_settled;
  std::atomic<std::uint64_t> wake_at_settled;
  std::atomic<std::uint64_t> outcome_read;  // Outcome bytes consumed.
};

// What the runner is doing, for the host's clock and for the verdict on a death.
enum class CallKind : std::uint32_t {
  kNone = 0,
  kLoad = 1,
  kCreate = 2,
  kStart = 3,
  kLoadPosition = 4,
  kHandle = 5,
  kHandleBatch = 6,
  kHandleAt = 7,
  kStop = 8,
  kDestroy = 9,
  kSetPosition = 10,
};

// Bits of OutcomeRingHeader::call below the number.
inline constexpr unsigned kCallKindBits = 4;

constexpr bool IsKnown(CallKind kind) { return kind <= CallKind::kSetPosition; }

// Calls that are made for events, and so fail at one.
constexpr bool HasEvents(CallKind kind) {
  return kind == CallKind::kHandle || kind == CallKind::kHandleBatch || kind == CallKind::kHandleAt;
}

// The first page of the outcome ring. The atomic words are those of WordSeal; the host writes what
// they begin with, zero but for the epoch, before the runner is there. The others are for whoever
// looks with a debugger.
struct OutcomeRingHeader {
  std::uint32_t magic;
  std::uint32_t layout;
  std::uint64_t runner_pid;

  // Every ticket of the epoch up to this one returned OK.
  alignas(kCacheLine) std::atomic<std::uint64_t> settled;
  // Bytes of the event ring that the host may overwrite, divided by kRecordAlign.
  std::atomic<std::uint64_t> event_read;
  // A number that is odd while a call is running and grows by one at its begin and at its end; in
  // the low kCallKindBits the CallKind of the call that runs or ended last.
  std::atomic<std::uint64_t> call;
  // The event of the last call that had one, the first of a batch.
  std::atomic<std::uint64_t> call_ticket;
  // The epoch whose tickets the runner takes; written before the other words speak of it.
  std::atomic<std::uint64_t> epoch;

  // End of the outcome records, divided by kRecordAlign.
  alignas(kCacheLine) std::atomic<std::uint64_t> outcome_published;
  // Odd while the runner sleeps and has to be woken; grows by one at both ends of a sleep.
  std::atomic<std::uint64_t> sleep;
  std::array<std::atomic<std::uint64_t>, kLogLevels> log_lines_dropped;  // By level.
};

static_assert(sizeof(EventRingHeader) <= kRingHeaderBytes);
static_assert(sizeof(OutcomeRingHeader) <= kRingHeaderBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
static_assert(std::atomic<std::uint32_t>::is_always_lock_free);

// Records begin at multiples of this.
inline constexpr std::uint64_t kRecordAlign = 8;

// Every call's most events, whatever a plugin's table says: bounds the array of pointers to them.
inline constexpr std::uint32_t kMostEventsPerCall = 4096;

enum class RecordKind : std::uint16_t {
  kPadding = 1,     // To the end of the ring; may have room for `size` and `kind` only.
  kSetup = 2,       // The first record: which plugin, which configuration.
  kEvent = 3,       // Bytes follow in the ring.
  kLargeEvent = 4,  // Bytes lie at the start of the large region.
  kAdvance = 5,     // No event: the plugin's own position moves to `commit:prepare`.
};

struct RecordHeader {
  std::uint32_t size;  // With this header and padding.
  RecordKind kind;
  std::uint16_t flags;
  Ticket ticket;
};

// What a padding record has of its header, since no more may be left before the end of the ring.
inline constexpr std::uint64_t kPaddingHeaderBytes = 8;
static_assert(kPaddingHeaderBytes <= kRecordAlign);
static_assert(offsetof(RecordHeader, ticket) == kPaddingHeaderBytes);

// The ticket of an event or advance is the one of the record before it and one more, and the first
// of an epoch is the one that the epoch says: the runner takes no other.

// After the header of kEvent, kLargeEvent and kAdvance. The bytes follow in this order: stream,
// type, metadata, data.
struct EventRecord {
  std::uint8_t id[16];
  std::uint64_t revision;
  std::uint64_t commit;
  std::uint64_t prepare;
  std::int64_t created_ticks;
  std::uint64_t data_size;
  std::uint32_t stream_size;
  std::uint32_t type_size;
  std::uint32_t metadata_size;
  std::uint32_t attempt;
};

// Flags of a record.
inline constexpr std::uint16_t kEventIsJson = 1;
inline constexpr std::uint16_t kEventAlone = 2;  // To be called for by itself, through `handle`.

enum class OutcomeKind : std::uint16_t {
  kReady = 1,    // Created and started; the plugin's tables and its own position, if it keeps one.
  kFailure = 2,  // A call did not return OK, or the runner refuses the plugin.
  kLog = 3,
  kStopped = 4,  // After stop and destroy; the process exits next.
};

struct OutcomeHeader {
  std::uint64_t check;  // RecordSeal's.
  std::uint32_t size;   // With this header and padding.
  OutcomeKind kind;
  std::uint16_t level;  // kLog: CATCHUP_LOG_*.
  std::int32_t status;  // kFailure: as the plugin said it, or kRunner…
  CallKind call;        // kFailure.
  Ticket ticket;        // kFailure: first event not applied, 0 for none.
  Ticket call_first;    // kFailure of an event: the first and the last of its call.
  Ticket call_last;
  std::uint32_t text_size;      // Bytes after this header.
  std::uint32_t max_events;     // kReady: of one call.
  std::uint32_t position_mode;  // kReady: 1 if the plugin keeps the position.
  std::uint32_t loaded;         // kReady: 1 if it holds one.
  std::uint64_t commit;         // kReady.
  std::uint64_t prepare;
};

// Statuses of kFailure that no plugin says.
inline constexpr std::int32_t kRunnerSetupFailed =
    -1001;  // Not loadable, or no fault of the plugin's.
inline constexpr std::int32_t kRunnerContract = -1002;  // The plugin broke the contract.

static_assert(sizeof(RecordHeader) % kRecordAlign == 0);
static_assert(sizeof(EventRecord) % kRecordAlign == 0);
static_assert(sizeof(OutcomeHeader) % kRecordAlign == 0);
static_assert(std::is_trivially_copyable_v<OutcomeHeader>);
static_assert(std::has_unique_object_representations_v<OutcomeHeader>);  // No byte without check.
static_assert(CallKind::kSetPosition < CallKind{1u << kCallKindBits});

constexpr std::uint64_t AlignRecord(std::uint64_t size) {
  return (size + kRecordAlign - 1) & ~(kRecordAlign - 1);
}

}  // namespace catchup
