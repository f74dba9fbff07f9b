#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/event.h"
#include "host/base/plugin_setting.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"
#include "host/ring/layout.h"
#include "host/ring/shared_memory.h"

namespace catchup {

// What a runner is told before its first event. Borrowed.
struct RunnerSetup {
  std::string_view group;
  std::string_view projection;   // Empty: the only one of the file.
  std::string_view plugin_path;  // Absolute.
  std::string_view config_json;
  std::uint32_t lane = 0;
  std::uint32_t open_files = 0;  // 0 leaves the limit alone.
  std::uint64_t token = 0;
  // Put the plugin's own position there, if it keeps one, before it says that it is ready.
  std::optional<PositionReset> reset;
  bool ignore_position = false;  // For a trial of a plugin: leave its own position alone.
  bool create_only = false;      // Ready after `create`, then end.
  // Every value of the configuration by its path, so that the runner parses nothing.
  const std::vector<PluginSetting>* settings = nullptr;  // Null: none.
};

// One outcome record, copied out of the ring and checked. Fields that its kind does not have are
// zero.
struct Outcome {
  OutcomeKind kind{};
  std::uint16_t level = 0;
  std::int32_t status = 0;
  CallKind call = CallKind::kNone;
  Ticket ticket = 0;  // kFailure: the first event not applied; those before it were. 0: of none.
  Ticket call_first = 0;  // kFailure of an event: what its call was for, both ends included.
  Ticket call_last = 0;
  std::uint32_t max_events = 0;
  bool position_mode = false;
  std::optional<Position> loaded;
  std::string text;
};

// What the runner says it is doing: a known kind, and of the events of an epoch any.
struct CallInProgress {
  std::uint64_t number = 0;  // Odd while a call runs.
  CallKind kind = CallKind::kNone;
  Ticket ticket = 0;
  bool running() const { return (number & 1) != 0; }
};

// How the runner is to call for an event: in a call of several if its neighbours allow it, or for
// it alone, through `handle` where the projection has that.
enum class CallFor : std::uint8_t { kSeveral, kOne };

// The host's end of the two rings of one spawn. What it writes gets tickets, in epochs: see
// layout.h.
//
// Everything read from the runner is copied once and then checked: its check bits (seal.h), that it
// has not gone back, and that it lies within what was given out. Once something cannot be, nothing
// is believed any more: PollSettled and PollOutcome say kCorrupt from then on, and the other
// functions do nothing and say the least. The rings are then only good for throwing away. Not
// thread safe: the group serialises.
class HostEnd {
 public:
  // Descriptors for the runner, to be inherited under fixed numbers. `host_wake` is also what the
  // host polls for reading; nothing a runner can do to the others makes a call here block.
  struct Descriptors {
    int event_ring;
    int outcome_ring;
    int large_region;
    int runner_wake;
    int host_wake;
  };

  // Makes fresh regions and wake-ups; `name` shows in /proc.
  static Result<std::unique_ptr<HostEnd>> Create(const std::string& name);

  Descriptors descriptors() const;

  // The regions as they are mapped here, so that a test can be the runner in the same process.
  struct Mappings {
    std::byte* events;
    std::byte* outcomes;
    std::byte* large;
  };
  Mappings mappings() const;

  // The first record. kExhausted if the configuration is larger than half the ring.
  Status WriteSetup(const RunnerSetup& setup);

  // Puts an event behind what was already written and returns its ticket. 0: no room yet, try again
  // when the runner has moved on. The bytes are copied.
  Ticket WriteEvent(const EventView& event, std::uint32_t attempt,
                    CallFor call_for = CallFor::kSeveral);

  // An order to store `position` without an event; as WriteEvent.
  Ticket WriteAdvance(Position position);

  // Makes what was written visible and wakes the runner if it sleeps. A system call only then.
  void Publish();

  // Asks the runner to end its call and leave. Wakes it.
  void RequestStop();
  bool stop_requested() const { return stop_requested_; }

  // Once PollOutcome has given the failure of an event that broke no contract: discards everything
  // written that was not settled, begins a new epoch, and wakes the runner for it. There is room at
  // once, for the runner takes nothing of the old epoch any more. kCorrupt as PollSettled.
  Status BeginEpoch();

  // How far the runner got: every ticket of the epoch up to the value is applied; below the epoch,
  // nothing of it is. A failure that was taken has settled those before it. Looks at every other
  // word of the runner's too, so that a damaged one is found however little the host needs it.
  // kCorrupt if a word is not the runner's, has gone back, or names what it was not given in this
  // epoch.
  Result<Ticket> PollSettled();

  // The next outcome record, or nothing. kCorrupt for a record that breaks the format, or comes
  // where none of its kind can: ready twice, a second failure in one epoch, a failure of an event
  // that is settled, of an earlier epoch or was never given.
  Result<std::optional<Outcome>> PollOutcome();

  // Asks for a wake-up on host_wake as soon as `ticket` is settled. Returns false if it already is,
  // in which case none may come.
  bool WakeWhenSettled(Ticket ticket);

  // Consumes pending wake-ups of host_wake.
  void DrainWake();

  CallInProgress call();
  // Something was found that cannot be.
  bool broken() const { return !broken_.ok(); }
  // How many log lines of each level found no room in this spawn.
  const LinesByLevel& log_lines_dropped();
  bool asleep();      // The runner waits to be woken.
  bool idle() const;  // The runner has taken and settled all there is, or a failure was taken.

  // Wakes the runner although it does not say that it sleeps, unless it is idle: for when it should
  // be at work and is not, because a word that would say so was written over. It finds that out.
  void Nudge();

  bool used_large_region() const { return large_used_; }

 private:
  HostEnd() = default;

  EventRingHeader& events() const;
  const OutcomeRingHeader& outcomes() const;
  // The bytes behind the headers, where the records lie.
  std::byte* event_bytes() const { return event_region_.mapping.data() + kRingHeaderBytes; }
  const std::byte* outcome_bytes() const {
    return outcome_region_.mapping.data() + kRingHeaderBytes;
  }
  std::byte* Reserve(std::uint64_t size);
  bool HasRoom(std::uint64_t size);
  void WriteBody(std::byte* at, const EventView& event, std::uint32_t attempt);
  // Reads `word` once and takes its number as the one seen: it is that as long as nothing was
  // written there, then from `least` and the one seen before to `most`. False, and the ends are
  // broken, if it is anything else.
  bool Take(const std::atomic<std::uint64_t>& word, const WordSeal& seal, std::uint64_t least,
            std::uint64_t most, std::uint64_t* seen, const char* name);
  bool TakeSettled(Ticket* seen);
  bool TakeRead();
  bool TakeCall();
  bool TakeSleep();
  bool TakeEpoch();
  bool TakeDropped();
  bool TakeWords();
  Status Break(std::string text);
  Result<std::optional<Outcome>> TakeOutcome();
  void Note(const OutcomeHeader& header);
  void ForgetKey();
  void WakeRunner();
  static Status CheckSizes(const OutcomeHeader& header, std::uint64_t available);
  Status CheckOutcome(const OutcomeHeader& header) const;
  Status CheckReady(const OutcomeHeader& header) const;
  Status CheckFailure(const OutcomeHeader& header) const;

  Region event_region_;
  Region outcome_region_;
  Region large_region_;
  UniqueFd runner_wake_read_;  // The runner's.
  UniqueFd runner_wake_;
  UniqueFd host_wake_;
  std::optional<RingSeals> seals_;
  Status broken_;  // What was found first that cannot be.

  std::uint64_t written_ = 0;  // Event ring offset behind the last record.
  std::uint64_t published_ = 0;
  std::uint64_t freed_ = 0;      // Last event_read that was checked.
  std::uint64_t setup_end_ = 0;  // 0 once the runner has read its setup.
  std::uint64_t large_busy_until_ = 0;
  bool large_used_ = false;
  Ticket last_ticket_ = 0;
  Ticket last_published_ticket_ = 0;
  std::uint64_t epoch_ = kFirstEpoch;
  Ticket epoch_ticket_ = 1;        // The first of the epoch.
  std::uint64_t epoch_begin_ = 0;  // Its place in the ring.
  Ticket settled_ = 0;
  std::uint64_t outcome_read_ = 0;
  // As last seen in the words of the runner, each in the unit of its word.
  Ticket settled_seen_ = 0;
  std::uint64_t read_seen_ = 0;
  std::uint64_t outcome_seen_ = 0;
  std::uint64_t call_seen_ = 0;
  Ticket call_ticket_seen_ = 0;
  std::uint64_t epoch_seen_ = kFirstEpoch;
  std::uint64_t sleep_seen_ = 0;
  LinesByLevel lines_dropped_seen_{};
  bool ready_seen_ = false;
  bool failure_seen_ = false;  // In this epoch.
  bool stopped_seen_ = false;
  Ticket failed_ticket_ = 0;  // Of the failure seen; 0 if it was none of an event.
  std::uint64_t woken_sleep_ = 0;
  bool stop_requested_ = false;
};

}  // namespace catchup
