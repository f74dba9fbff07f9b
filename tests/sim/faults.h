#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace catchup::sim {

// Every kind of trouble that the simulation makes on purpose. Each is counted where it happens, and
// a run in which one never happened has not tested what it says.
enum class Fault : std::uint8_t {
  kDrop,
  kRefuse,
  kOldServer,
  kNoRecordAtPlace,
  kReadFromBeginning,
  kStaleFrame,
  kRepeatedEvent,
  kRepeatedCheckpoint,
  kLowerCheckpoint,
  kCheckpointTooHigh,
  kCheckpointAtEndOfLog,
  kRepeatedCaughtUp,
  kCrashInSetup,
  kCrashBeforeApply,
  kCrashHalfWay,
  kCrashBeforeReport,
  kCrashAfterReport,
  kCrashLoop,
  kStaleReport,
  kImpossibleReport,
  kBreach,
  kBreachBeforeWrite,
  kBreachDuringWrite,
  kBadOutcome,
  kFatalExit,
  kHang,
  kSlowCall,
  kLostReply,
  kZombieCommitBeforeLoad,
  kZombieCommitFenced,
  kPluginRestored,
  kPluginRestoredWhileRunning,
  kHostKilled,
  kHostKilledInWrite,
  kStoreFailed,
  kGracefulStop,
  kSecondStop,
  kStopBeforeReady,
  kStopWhileWaiting,
  kCount,
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Fault::kCount)> kFaultNames{
    "subscription dropped",
    "subscription refused",
    "resumed at a server before 24.2",
    "no record where it resumes",
    "log read from the beginning for that",
    "frame of an earlier call",
    "event sent twice",
    "checkpoint frame repeated",
    "checkpoint frame going back",
    "checkpoint frame too high",
    "checkpoint frame at the end of the log",
    "caught up repeated",
    "crash in set-up",
    "crash before applying",
    "crash half way through a batch",
    "crash between applying and reporting",
    "crash after reporting",
    "crash loop",
    "report of an earlier runner",
    "report of what was never delivered",
    "scribbled ring found",
    "scribbled ring found before a write began",
    "scribbled ring found during a write",
    "status that is not OK",
    "fatal exit",
    "hang",
    "call longer than the drain",
    "reply lost",
    "zombie commit before the next load",
    "zombie commit fenced",
    "plugin restored while stopped",
    "plugin restored while running",
    "host killed",
    "host killed during a checkpoint write",
    "store failed",
    "graceful stop",
    "second stop",
    "stop before the runner is ready",
    "stop while waiting",
};

class FaultCounts {
 public:
  void Fired(Fault fault) { ++counts_[static_cast<std::size_t>(fault)]; }
  std::uint64_t count(Fault fault) const { return counts_[static_cast<std::size_t>(fault)]; }

 private:
  std::array<std::uint64_t, static_cast<std::size_t>(Fault::kCount)> counts_{};
};

}  // namespace catchup::sim
