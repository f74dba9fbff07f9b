#include "host/runner/loop.h"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>

#include "host/base/str_cat.h"
#include "host/base/test_seams.h"
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
  void BeginCall(CallKind kind, Ticket ticket) override { ring_->BeginCall(kind, ticket); }
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
  // Where the system allows the host less than that, the runner gets less.
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, open_files);
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Status::FromErrno(StrCat("limit open files to ", limit.rlim_max, " (setrlimit)"), errno);
  }
  return {};
}

// Takes the events that are published, up to the array's capacity, and stops before an advance and
// around an event that is to be called for alone. `last` is then the last record taken.
void Gather(RunnerEnd* ring, const RecordView& first, EventArray* events, RecordView* last) {
  events->Clear();
  events->Add(first);
  *last = first;
  while (!first.alone && !events->full()) {
    const std::optional<RecordView> next = ring->PeekBehind(*last);
    if (!next.has_value() || next->kind == RecordKind::kAdvance || next->alone) {
      break;
    }
    events->Add(*next);
    *last = *next;
  }
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
  Feeder(RunnerEnd* ring, Instance* instance, std::uint32_t lane)
      : ring_(ring), instance_(instance), events_(lane, instance->max_events()) {}

  // Until a stop, or what breaks the contract, which it returns. Any other failure is reported, and
  // the host decides what comes next.
  std::optional<CallResult> Run();
  // Where the call failed that Run returned.
  const FailedEvents& failed() const { return failed_; }

 private:
  CallResult Call(const RecordView& record);
  std::optional<CallResult> Locate(const RecordView& first, const CallResult& result);

  RunnerEnd* const ring_;
  Instance* const instance_;
  EventArray events_;
  RecordView last_;  // The last record of the present call.
  FailedEvents failed_;
};

CallResult Feeder::Call(const RecordView& record) {
  if (record.kind == RecordKind::kAdvance) {
    last_ = record;
    events_.Clear();
    SetEventsOfCrashReport(record, 0);
    return instance_->Advance({record.body->commit, record.body->prepare}, record.ticket);
  }
  Gather(ring_, record, &events_, &last_);
  if (auto damage = FindDamage(*ring_)) {
    return *std::move(damage);
  }
  SetEventsOfCrashReport(record, events_.count());
  PassFailPoint(FailPoint::kBeforeHandle);
  return record.alone ? instance_->HandleAlone(events_.view().front(), record.ticket)
                      : instance_->Handle(events_.view(), record.ticket);
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
    PassFailPoint(FailPoint::kAfterHandle);
    if (auto damage = FindDamage(*ring_)) {
      return damage;
    }
    if (result.ok()) {
      ring_->Consume(last_);
      ring_->Settle(last_.ticket);
      PassFailPoint(FailPoint::kAfterOutcome);
      continue;
    }
    if (auto damage = Locate(*record, result)) {
      return damage;
    }
    if (result.status == kRunnerContract) {
      return result;
    }
    ring_->PostFailure(result.call, result.status, failed_, result.text);
    // Asked to stop, or damaged: the loop finds out which.
    (void)ring_->AwaitEpoch();
  }
  return std::nullopt;
}

// Finds out where a call failed. Its leading events that were applied are settled.
std::optional<CallResult> Feeder::Locate(const RecordView& first, const CallResult& result) {
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
    ring_->Settle(applied.ticket);
  }
  failed_ = {at.ticket, first.ticket, last_.ticket};
  return std::nullopt;
}

}  // namespace

int RefuseSetup(RunnerEnd* ring, CallKind call, std::string_view text) {
  ring->PostFailure(call, kRunnerSetupFailed, {}, text);
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
  NamePluginInCrashReport(StrCat(library->name(), " ", library->version()), setup->lane);
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
    if (result.ok() && setup->reset.has_value()) {
      result = instance.SetPosition(setup->reset->to);
    }
  }
  FailedEvents failed;
  if (auto damage = FindDamage(*ring)) {
    result = std::move(*damage);
  }
  if (result.ok()) {
    ring->PostReady(instance.max_events(), instance.position_mode(), instance.stored_position(),
                    library->version());
  }
  if (result.ok() && !setup->create_only) {
    Feeder feeder(ring, &instance, setup->lane);
    if (auto failure = feeder.Run()) {
      result = std::move(*failure);
      failed = HasEvents(result.call) ? feeder.failed() : FailedEvents();
    }
  }
  if (!result.ok()) {
    ring->PostFailure(result.call, result.status, failed, result.text);
    ring->WaitForStop();
  }
  PassFailPoint(FailPoint::kRunnerDrain);
  instance.End();
  ring->PostStopped(result.status == kRunnerContract ? std::string_view() : table.violation());
  const bool kept = result.status != kRunnerContract && table.violation().empty();
  return static_cast<int>(kept ? RunnerExit::kClean : RunnerExit::kContract);
}

}  // namespace catchup
