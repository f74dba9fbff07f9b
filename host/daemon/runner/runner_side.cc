#include "host/daemon/runner/runner_side.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "host/base/test_seams.h"

namespace catchup {
namespace {

// How often the host looks at the clock of a call, as a part of its limit, and within these.
constexpr int kClockParts = 10;
constexpr std::chrono::milliseconds kFastestClock{20};
constexpr std::chrono::milliseconds kSlowestClock{500};

// Looks fall on times that lie a tenth of their interval apart and are the same for every group, so
// that a wake-up of the loop serves many of hundreds of idle ones, and none has to serve them all.
constexpr int kClockGrid = 10;

}  // namespace

RunnerSide::RunnerSide(const GroupConfig& config, Services services, std::shared_ptr<Gate> gate,
                       RunnerListener* listener, LaneNumber lane)
    : config_(config),
      services_(std::move(services)),
      gate_(std::move(gate)),
      listener_(*listener),
      lane_(lane),
      report_(config, lane),
      memory_(config.limits.memory_bytes) {}

Status RunnerSide::Watch(SpawnNumber spawn) {
  const auto watch = [&](int fd, auto handler) {
    return services_.reactor->Watch(fd, Gate::Wrap(gate_, [this, spawn, handler] {
                                      if (Current(spawn)) {
                                        handler();
                                      }
                                    }));
  };
  CATCHUP_RETURN_IF_ERROR(
      watch(link_->rings().descriptors().host_wake, [this, spawn] { OnWake(spawn); }));
  CATCHUP_RETURN_IF_ERROR(
      watch(link_->process().output(), [this] { TakeOutput(RunnerLink::ReadHow::kWhatIsThere); }));
  return watch(link_->process().pidfd(), [this, spawn] { OnGone(spawn); });
}

void RunnerSide::Unwatch() {
  services_.reactor->Unwatch(link_->process().pidfd());
  services_.reactor->Unwatch(link_->process().output());
  services_.reactor->Unwatch(link_->rings().descriptors().host_wake);
}

void RunnerSide::Drain(SpawnNumber spawn) {
  if (Current(spawn)) {
    link_->rings().RequestStop();
    PassFailPoint(FailPoint::kHostDrain);
  } else {
    cancelled_spawn_ = spawn;
  }
}

void RunnerSide::Abort(SpawnNumber spawn) {
  if (Current(spawn)) {
    link_->NoteKilled();
    link_->process().Signal(SIGABRT);
  } else {
    cancelled_spawn_ = spawn;
  }
}

void RunnerSide::Kill(SpawnNumber spawn) {
  if (Current(spawn)) {
    link_->NoteKilled();
    link_->process().Kill();
  } else {
    cancelled_spawn_ = spawn;
  }
}

void RunnerSide::TakeBack(SpawnNumber spawn) {
  if (!Current(spawn) || link_->contract_broken()) {
    return;
  }
  if (const Status begun = link_->rings().BeginEpoch(); !begun.ok()) {
    BreakContract(begun.message());
    return;
  }
  link_->tickets().Forget();
}

void RunnerSide::Close() {
  services_.reactor->Cancel(clock_);
  if (link_ != nullptr) {
    Unwatch();
    link_.reset();  // Kills and reaps it.
  }
}

// While a runner is there.
void RunnerSide::SetClock() {
  auto interval = std::clamp<std::chrono::nanoseconds>(
      std::min(config_.handler_timeout, config_.start_timeout) / kClockParts, kFastestClock,
      kSlowestClock);
  interval = std::min<std::chrono::nanoseconds>(interval, memory_.pause());
  const auto grid = interval / kClockGrid;
  interval += grid - (Clock::now().time_since_epoch() + interval) % grid;
  services_.reactor->Cancel(clock_);
  clock_ = services_.reactor->After(interval, Gate::Wrap(gate_, [this] {
                                      if (link_ != nullptr) {
                                        OnClock();
                                        SetClock();
                                      }
                                    }));
}

void RunnerSide::OnClock() {
  Poll();
  if (link_->owes_crashes()) {
    TakeOutput(RunnerLink::ReadHow::kWhatIsThere);
  }
  TellLostLines();
  // The memory behind a large event cannot be given back while its region is sealed, so an idle
  // runner that has had one makes room for a small one.
  if (link_->rings().used_large_region() && link_->ready()) {
    listener_.OnReplaceable(link_->spawn(), "it keeps the memory of a large event");
  }
  listener_.OnClock();
  CheckCall();
  if (Clock::now() >= next_memory_look_) {
    LookAtMemory();
  }
}

// Goes by the numbers of the kernel alone, so that it costs the runner nothing and needs no answer.
void RunnerSide::LookAtMemory() {
  if (!memory_.WantsLook(ReadProcessorTime(link_->process().pid()))) {
    next_memory_look_ = Clock::now() + memory_.pause();
    return;
  }
  const auto use = ReadMemoryUse(link_->process().pid());
  if (!use.has_value() && !std::exchange(told_unseen_, true)) {
    // It is there until it is reaped.
    report_.NotLimited(
        fmt::format("/proc/{}/status could not be read, which tells what memory it has",
                    link_->process().pid()));
  }
  if (!use.has_value() || link_->out_of_memory()) {
    next_memory_look_ = Clock::now() + memory_.pause();
    return;
  }
  const bool first = !memory_.knows_start();
  const MemoryWatch::Verdict verdict = memory_.Judge(*use, link_->ready());
  next_memory_look_ = Clock::now() + memory_.pause();
  if (first && memory_.starts_full()) {
    report_.StartsFull(memory_.Describe());
  }
  if (verdict == MemoryWatch::Verdict::kKill) {
    link_->NoteOutOfMemory(memory_.Describe());
    link_->process().Kill();
  } else if (verdict == MemoryWatch::Verdict::kRetire) {
    listener_.OnRetirable(link_->spawn(), memory_.Describe());
  }
}

void RunnerSide::CheckCall() {
  const auto overdue =
      link_->CheckClock(Clock::now(), {config_.handler_timeout, config_.start_timeout});
  if (!overdue.has_value() || listener_.Draining() || link_->hung()) {
    return;
  }
  link_->NoteHung();
  report_.CallHung(*overdue, listener_.Describe(overdue->sequence));
  listener_.OnHung(link_->spawn(), *overdue);
}

void RunnerSide::TellLostLines() {
  const LinesByLevel& lost = link_->rings().log_lines_dropped();
  LinesByLevel untold{};
  for (std::size_t level = 0; level < lost.size(); ++level) {
    untold[level] = lost[level] - told_lost_[level];
  }
  report_.LinesLost(untold);
  told_lost_ = lost;
}

void RunnerSide::OnGone(SpawnNumber spawn) {
  // Output and rings survive their writer: its last words are read, and what it settled before it
  // died counts.
  TakeOutput(RunnerLink::ReadHow::kToTheEnd);
  while (Poll()) {
  }
  TellLostLines();
  Unwatch();
  const ControlGroup* const group = link_->control_group();
  if (group != nullptr && !link_->out_of_memory() && group->OutOfMemory()) {
    link_->NoteOutOfMemory(memory_.DescribeKernels());
  }
  RunnerListener::Gone gone;
  gone.lane = lane_;
  gone.ending = link_->Reap();
  gone.asked = gone.ending.exit_class == ExitClass::kClean ||
               (link_->discarded() && gone.ending.exit_class == ExitClass::kKilled);
  report_.Ended(link_->process().pid(), gone.ending, gone.asked,
                listener_.Describe(gone.ending.charged));
  if (gone.ending.crash.has_value()) {
    const CrashRecord& crash = *gone.ending.crash;
    report_.Crashed(link_->hung() ? "Runner hung" : "Runner crashed", crash,
                    link_->hung() ? ExitClass::kHung : ExitClass::kCrash,
                    listener_.Describe(link_->tickets().ItemOf(crash.ticket)));
  }
  const bool told = link_->contract_broken();
  link_.reset();
  services_.on_gone(config_.name);
  if (gone.ending.exit_class == ExitClass::kContract && !told) {
    listener_.OnContractBroken(spawn, gone.ending.text);
  }
  listener_.OnRunnerGone(spawn, gone);
}

// True: what the runner works in is not the group's data/ any more, so a call that fails says
// nothing about its event, and one that succeeds leaves nothing. The next runner gets what is in
// flight again, in the directory that has the name then.
bool RunnerSide::LostDataDirectory() {
  const auto data = MakeDataDirectory();
  if (data.ok() && data->IsSame(data_)) {
    return false;
  }
  if (data.status().code() == Status::Code::kNotFound) {
    listener_.OnFolderLost(services_.state->group(config_.name).string() +
                           ": the folder of the group was removed or moved away while it ran");
    return true;
  }
  link_->NoteDiscarded();
  std::string why = "its working directory was removed or moved away";
  if (!data.ok()) {
    why += ": " + data.status().message();
  } else if (!data->made) {
    why += ", and another one has its name";
  }
  listener_.OnDiscardable(link_->spawn(), why);
  return true;
}

void RunnerSide::DataLost(SpawnNumber spawn) {
  if (Current(spawn) && !link_->discarded() && !link_->contract_broken()) {
    (void)LostDataDirectory();
  }
}

void RunnerSide::BreakContract(const std::string& text) {
  link_->NoteContractBroken(text);
  link_->process().Kill();
  listener_.OnContractBroken(link_->spawn(), text);
}

bool RunnerSide::takes_events() const {
  return link_ != nullptr && link_->ready() && !link_->contract_broken();
}

void RunnerSide::Fill(DeliveryWindow* window, const std::function<Position(Sequence)>& place) {
  if (!takes_events()) {
    return;
  }
  HostEnd& rings = link_->rings();
  for (; const auto slot = window->Next(lane_); window->Wrote(lane_)) {
    const Ticket ticket = slot->frame != nullptr
                              ? rings.WriteEvent(slot->frame->event, slot->attempt,
                                                 slot->alone ? CallFor::kOne : CallFor::kSeveral)
                              : rings.WriteAdvance(place(slot->sequence));
    if (ticket == 0) {
      break;
    }
    if (slot->sequence == kLetterCall) {
      // The runner has nothing else.
      link_->tickets().Forget();
    }
    link_->tickets().Give(ticket, slot->sequence);
    if (slot->sequence == kLetterCall) {
      (void)rings.WakeWhenSettled(ticket);  // Nothing else brings its outcome about.
    }
    unpublished_ = true;
  }
}

void RunnerSide::Publish() {
  if (std::exchange(unpublished_, false) && takes_events()) {
    link_->rings().Publish();
  }
}

void RunnerSide::WakeAt(Sequence sequence) {
  if (!link_->rings().WakeWhenSettled(link_->tickets().TicketOf(sequence))) {
    Poll();
  }
}

}  // namespace catchup
