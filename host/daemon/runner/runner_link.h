#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/daemon/runner/tickets.h"
#include "host/engine/engine.h"
#include "host/plugins/control_group.h"
#include "host/plugins/runner_process.h"
#include "host/ring/contract/crash_line.h"
#include "host/ring/host_end.h"

namespace catchup {

// One spawn of a group's runner: its rings, its process, what it last said and how long its present
// call has lasted. Serialised by the group.
class RunnerLink {
 public:
  using Clock = std::chrono::steady_clock;

  RunnerLink(SpawnNumber spawn, std::unique_ptr<HostEnd> rings,
             std::unique_ptr<RunnerProcess> process)
      : spawn_(spawn), rings_(std::move(rings)), process_(std::move(process)) {}

  SpawnNumber spawn() const { return spawn_; }
  HostEnd& rings() { return *rings_; }
  // What the rings were given; the group writes it down.
  Tickets& tickets() { return tickets_; }
  RunnerProcess& process() { return *process_; }
  const RunnerProcess& process() const { return *process_; }

  // How long a call may take; set-up calls share one limit from the spawn on.
  struct Limits {
    std::chrono::milliseconds handler_timeout;
    std::chrono::milliseconds start_timeout;
  };
  // What a call has overrun: its kind and event, once it lasted longer than its limit, and that
  // limit by its key. An event that an idle runner leaves untaken counts like a call. Call about
  // ten times as often as the shorter limit asks for.
  struct Overdue {
    std::string call;
    Sequence sequence = 0;
    std::string_view limit;  // The setting that it outlasted.
    std::chrono::milliseconds limit_value{};
    std::string LimitText() const;  // "start_timeout = 30s"
  };
  std::optional<Overdue> CheckClock(Clock::time_point now, const Limits& limits);

  void MarkReady() { ready_ = true; }
  bool ready() const { return ready_; }

  // What the runner wrote to standard output or error since the last call, as far as lines are
  // complete, or to the end of what can still come; too long ones are cut, and of too many the rest
  // is only counted.
  enum class ReadHow : std::uint8_t { kWhatIsThere, kToTheEnd };
  struct Output {
    std::vector<std::string> lines;
    std::uint64_t lines_left_out = 0;
    // Reports of processes that the plugin started and that are not the runner, each once.
    std::vector<CrashRecord> other_crashes;
    bool closed = false;  // Nothing can come any more.
  };
  Output ReadOutput(ReadHow how);
  // A crash waits to be told by one of the next calls, though nothing may be written any more.
  bool owes_crashes() const { return !first_reports_.empty(); }

  // Reaps the process, which is gone, and says why, from its last words and its exit.
  struct Ending {
    ExitClass exit_class = ExitClass::kKilled;
    Sequence charged = 0;
    std::string text;
    // Set for a death of a signal that was not asked for: what is known of it, at least which
    // signal and in which call. Without frames where no report came.
    std::optional<CrashRecord> crash;
  };
  Ending Reap();

  // What Reap needs to know.
  // `breach`: how its plugin broke the contract in the end, if the runner knew of it by then.
  void NoteStopped(std::string breach) {
    stopped_ = true;
    breach_ = std::move(breach);
  }
  // The runner says why it ends by itself.
  void NoteRefusal(std::string text) {
    refusal_ = Ending{ExitClass::kSetup, 0, std::move(text), {}};
  }
  // It did or said what cannot be. From here on nothing is to be read from its rings.
  void NoteContractBroken(std::string text) {
    contract_broken_ = true;
    refusal_ = Ending{ExitClass::kContract, 0, std::move(text), {}};
  }
  bool contract_broken() const { return contract_broken_; }
  void NoteHung() { hung_ = true; }
  bool hung() const { return hung_; }
  void NoteKilled() { killed_ = true; }
  // It is killed for what `text` says of its memory.
  void NoteOutOfMemory(std::string text) { out_of_memory_ = std::move(text); }
  bool out_of_memory() const { return !out_of_memory_.empty(); }
  // What the kernel holds it to its limits by, or why it does not; before it does anything.
  void SetControlGroup(Result<std::unique_ptr<ControlGroup>> group) {
    unlimited_ = group.status();
    control_group_ = group.ok() ? *std::move(group) : nullptr;
  }
  const Status& unlimited() const { return unlimited_; }
  const ControlGroup* control_group() const { return control_group_.get(); }
  // The host wants another one in its place. From here on no failure of it says anything.
  void NoteDiscarded() { discarded_ = true; }
  bool discarded() const { return discarded_; }

 private:
  void TakeOtherCrash(CrashRecord crash, Output* output);
  CrashRecord Crash(const CallInProgress& call, int signal) const;

  SpawnNumber spawn_;
  std::unique_ptr<HostEnd> rings_;
  std::unique_ptr<ControlGroup> control_group_;
  Status unlimited_;
  std::unique_ptr<RunnerProcess> process_;  // Before its control group goes, it is reaped.
  Tickets tickets_;
  // Time that was seen to pass: after a freeze of the whole machine the clock jumps, and nobody can
  // say whether the runner had a chance to go on.
  Clock::time_point checked_at_ = Clock::now();
  std::chrono::nanoseconds since_spawn_{};
  std::chrono::nanoseconds since_call_{};
  std::uint64_t watched_number_ = 0;
  bool ready_ = false;
  bool stopped_ = false;
  std::string breach_;
  bool hung_ = false;
  std::string out_of_memory_;
  bool killed_ = false;
  bool discarded_ = false;
  bool contract_broken_ = false;
  std::optional<Ending> refusal_;
  std::string partial_line_;
  std::optional<CrashRecord> crash_;  // The report that came last.
  // First reports of other processes, without frames: what has them may follow.
  struct FirstReport {
    CrashRecord crash;
    Clock::time_point since;
  };
  std::vector<FirstReport> first_reports_;
};

}  // namespace catchup
