#include "host/runner/loop.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>

#include "host/runner/crash_report.h"
#include "host/runner/event_array.h"
#include "host/runner/instance.h"

namespace catchup {
namespace {

class RingServices : public HostServices, public CallObserver {
 public:
  explicit RingServices(RunnerEnd* ring) : ring_(ring) {}

  void Log(std::int32_t level, std::string_view text) noexcept override {
    ring_->Log(static_cast<std::uint16_t>(level), text);
  }
  bool StopRequested() noexcept override { return ring_->stop_requested(); }
  void BeginCall(CallKind kind, std::uint64_t sequence) override {
    ring_->BeginCall(kind, sequence);
  }
  void EndCall() override { ring_->EndCall(); }

 private:
  RunnerEnd* ring_;
};

Status LimitOpenFiles(std::uint32_t open_files) {
  if (open_files == 0) {
    return {};
  }
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Status::FromErrno("look at the limit of open files (getrlimit)", errno);
  }
  // Where the system allows the host less than that, less it is.
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, open_files);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Status::FromErrno(
        "limit open files to " + std::to_string(limit.rlim_max) + " (setrlimit)", errno);
  }
  return {};
}

// Takes the events that are published, up to `most` and the array's capacity, and stops before an
// advance. Returns the last record taken.
RecordView Gather(RunnerEnd* ring, const RecordView& first, std::uint32_t most,
                  EventArray* events) {
  events->Clear();
  RecordView last = first;
  events->Add(first);
  while (!events->full() && events->count() < most) {
    const std::optional<RecordView> next = ring->PeekBehind(last);
    if (!next.has_value() || next->kind == RecordKind::kAdvance) {
      break;
    }
    events->Add(*next);
    last = *next;
  }
  return last;
}

// The verdict on memory that was written over, once the ring has found some: what the plugin did
// besides cannot be told any more, so nothing that follows is reported as handled.
std::optional<CallResult> FindDamage(const RunnerEnd& ring) {
  const char* what = ring.damage();
  if (what == nullptr) {
    return std::nullopt;
  }
  CallResult result;
  result.status = kRunnerContract;
  result.text = std::string(what) +
                " was written over: something in the plugin writes to memory that is not its own";
  return result;
}

// Hands records to an instance.
class Feeder {
 public:
  Feeder(RunnerEnd* ring, Instance* instance, std::uint32_t lane, bool go_on)
      : ring_(ring), instance_(instance), events_(lane, instance->max_events()), go_on_(go_on) {}

  // Until a stop or a failure; returns the failure. With `go_on`, a failure that keeps the contract
  // is reported and passed over.
  std::optional<CallResult> Run();
  // The first event that was not applied, of the failure that Run returned.
  std::uint64_t failed_sequence() const { return failed_sequence_; }

 private:
  CallResult Call(const RecordView& record);
  std::optional<CallResult> Fail(const RecordView& first, CallResult result);

  RunnerEnd* const ring_;
  Instance* const instance_;
  EventArray events_;
  const bool go_on_;
  RecordView last_;                // Of the present call.
  std::uint64_t alone_until_ = 0;  // Events that come again after a failed call of several.
  std::uint64_t failed_sequence_ = 0;
};

CallResult Feeder::Call(const RecordView& record) {
  last_ = record;
  if (record.kind == RecordKind::kAdvance) {
    events_.Clear();
    SetEventsOfCrashReport(record, 0);
    return instance_->Advance({record.body->commit, record.body->prepare}, record.sequence);
  }
  const bool alone = record.sequence <= alone_until_;
  last_ = Gather(ring_, record, alone ? 1 : kMostEventsPerCall, &events_);
  if (auto damage = FindDamage(*ring_)) {
    return *std::move(damage);
  }
  SetEventsOfCrashReport(record, events_.count());
  return alone ? instance_->HandleAlone(events_.view().front(), record.sequence)
               : instance_->Handle(events_.view(), record.sequence);
}

std::optional<CallResult> Feeder::Run() {
  while (!ring_->stop_requested()) {
    const std::optional<RecordView> record = ring_->Peek();
    if (auto damage = FindDamage(*ring_)) {
      return damage;
    }
    if (!record.has_value()) {
      ring_->WaitForWork();
      continue;
    }
    CallResult result = Call(*record);
    if (auto damage = FindDamage(*ring_)) {
      return damage;
    }
    if (result.ok()) {
      ring_->Consume(last_);
      ring_->Settle(last_.sequence);
    } else if (auto failure = Fail(*record, std::move(result))) {
      return failure;
    }
  }
  return std::nullopt;
}

std::optional<CallResult> Feeder::Fail(const RecordView& first, CallResult result) {
  // The leading events that were applied count.
  RecordView at = first;
  RecordView applied = first;
  for (std::uint64_t i = 0; i < result.applied; ++i) {
    const std::optional<RecordView> next = ring_->PeekBehind(at);
    if (!next.has_value()) {
      return FindDamage(*ring_);
    }
    applied = at;
    at = *next;
  }
  if (result.applied != 0) {
    ring_->Settle(applied.sequence);
  }
  failed_sequence_ = at.sequence;
  if (!go_on_ || result.status == kRunnerContract) {
    return result;
  }
  if (events_.count() > 1 && result.status != CATCHUP_FATAL) {
    // As a host does: what was not applied comes again one by one, and that answer counts.
    if (result.applied != 0) {
      ring_->Consume(applied);
    }
    alone_until_ = last_.sequence;
    ring_->Log(static_cast<std::uint16_t>(CATCHUP_LOG_INFO),
               std::string(CallName(result.call)) + " of " + std::to_string(events_.count()) +
                   " events: " + CallStatusName(result.status) + " after " +
                   std::to_string(result.applied) +
                   ", the rest comes again one by one: " + result.text);
    return std::nullopt;
  }
  // Only the failed event is passed over: the rest of its batch comes again. Its room is free
  // before the host hears of it, since a host may answer with the next event at once; settled it
  // is only after, since a host that sees it settled without a failure takes it for applied.
  ring_->Consume(at);
  ring_->PostFailure(result.call, result.status, at.sequence, result.text);
  ring_->Settle(at.sequence);
  return std::nullopt;
}

}  // namespace

int RefuseSetup(RunnerEnd* ring, CallKind call, std::string_view text) {
  ring->PostFailure(call, kRunnerSetupFailed, 0, text);
  return static_cast<int>(RunnerExit::kSetup);
}

int RunLoop(RunnerEnd* ring) {
  Result<SetupView> setup = ring->ReadSetup();
  if (!setup.ok()) {
    return setup.status().code() == Status::Code::kCancelled
               ? static_cast<int>(RunnerExit::kClean)
               : RefuseSetup(ring, CallKind::kNone, setup.status().message());
  }
  if (Status limited = LimitOpenFiles(setup->open_files); !limited.ok()) {
    return RefuseSetup(ring, CallKind::kNone, limited.message());
  }
  SetPluginFileOfCrashReport(setup->plugin_path);
  NamePluginInCrashReport(std::filesystem::path(setup->plugin_path).filename().string(),
                          setup->lane);
  ring->BeginCall(CallKind::kLoad, 0);
  Result<PluginLibrary> library = PluginLibrary::Open(setup->plugin_path, setup->projection);
  ring->EndCall();
  if (!library.ok()) {
    return RefuseSetup(ring, CallKind::kLoad, library.status().message());
  }
  NamePluginInCrashReport(std::string(library->name()) + " " + std::string(library->version()),
                          setup->lane);
  RingServices services(ring);
  HostTable table({setup->group, library->projection_name(), setup->config_json, setup->lane},
                  std::move(setup->settings), &services);
  Instance instance(*library, &table, &services);
  if (setup->ignore_position) {
    if (library->projection().handle == nullptr) {
      return RefuseSetup(ring, CallKind::kLoad,
                         "the projection only has handle_at: wanted --with-position");
    }
    instance.IgnorePosition();
  }
  CallResult result = instance.Create();
  if (result.ok() && !setup->create_only) {
    result = instance.Start();
  }
  if (result.ok() && !setup->create_only && instance.position_mode()) {
    result = instance.LoadPosition(setup->token);
  }
  std::uint64_t failed_sequence = 0;
  if (auto damage = FindDamage(*ring)) {
    result = std::move(*damage);
  }
  if (result.ok()) {
    ring->PostReady(instance.max_events(), instance.position_mode(), instance.stored_position());
  }
  if (result.ok() && !setup->create_only) {
    Feeder feeder(ring, &instance, setup->lane, setup->go_on_after_failures);
    if (auto failure = feeder.Run()) {
      result = std::move(*failure);
      failed_sequence = feeder.failed_sequence();
    }
  }
  if (!result.ok()) {
    ring->PostFailure(result.call, result.status, failed_sequence, result.text);
    ring->WaitForStop();
  }
  instance.End();
  ring->PostStopped();
  return static_cast<int>(result.status == kRunnerContract ? RunnerExit::kContract
                                                           : RunnerExit::kClean);
}

}  // namespace catchup
