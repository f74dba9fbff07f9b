#include "host/runner/loop.h"

#include <sys/resource.h>

#include <cerrno>
#include <cstdio>
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
  const rlimit limit{open_files, open_files};
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return Status::FromErrno("limit open files to " + std::to_string(open_files), errno);
  }
  return {};
}

// Takes the events that are published, up to the array's capacity, and stops before an advance.
// Returns the last record taken.
RecordView Gather(RunnerEnd* ring, const RecordView& first, EventArray* events) {
  events->Clear();
  RecordView last = first;
  events->Add(first);
  while (!events->full()) {
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

// Handles records until a stop or a failure; returns the failure. With `go_on`, a failure that
// keeps the contract is reported and passed over.
std::optional<CallResult> HandleRecords(RunnerEnd* ring, Instance* instance, EventArray* events,
                                        bool go_on, std::uint64_t* failed_sequence) {
  while (!ring->stop_requested()) {
    const std::optional<RecordView> record = ring->Peek();
    if (auto damage = FindDamage(*ring)) {
      return damage;
    }
    if (!record.has_value()) {
      ring->WaitForWork();
      continue;
    }
    RecordView last = *record;
    CallResult result;
    if (record->kind == RecordKind::kAdvance) {
      SetEventsOfCrashReport(*record, 0);
      result = instance->Advance({record->body->commit, record->body->prepare}, record->sequence);
    } else {
      last = Gather(ring, *record, events);
      if (auto damage = FindDamage(*ring)) {
        return damage;
      }
      SetEventsOfCrashReport(*record, events->count());
      result = instance->Handle(events->view(), record->sequence);
    }
    if (auto damage = FindDamage(*ring)) {
      return damage;
    }
    if (result.ok()) {
      ring->Consume(last);
      ring->Settle(last.sequence);
      continue;
    }
    // The leading events that were applied count.
    RecordView at = *record;
    for (std::uint64_t i = 0; i < result.applied; ++i) {
      const std::optional<RecordView> next = ring->PeekBehind(at);
      if (!next.has_value()) {
        return FindDamage(*ring);
      }
      at = *next;
    }
    if (result.applied != 0) {
      ring->Settle(at.sequence - 1);
    }
    *failed_sequence = at.sequence;
    if (!go_on || result.status == kRunnerContract) {
      return result;
    }
    // Only the failed event is passed over: the rest of its batch comes again. Its room is free
    // before the host hears of it, since a host may answer with the next event at once; settled it
    // is only after, since a host that sees it settled without a failure takes it for applied.
    ring->Consume(at);
    ring->PostFailure(result.call, result.status, at.sequence, result.text);
    ring->Settle(at.sequence);
  }
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
  if (Status covered = RefreshCrashReport(); !covered.ok()) {
    return RefuseSetup(ring, CallKind::kNone, covered.message());
  }
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
  if (result.ok()) {
    result = instance.Start();
  }
  if (result.ok() && instance.position_mode()) {
    result = instance.LoadPosition(setup->token);
  }
  std::uint64_t failed_sequence = 0;
  if (auto damage = FindDamage(*ring)) {
    result = std::move(*damage);
  }
  if (result.ok()) {
    ring->PostReady(instance.max_events(), instance.position_mode(), instance.stored_position());
    EventArray events(setup->lane, instance.max_events());
    if (auto failure = HandleRecords(ring, &instance, &events, setup->go_on_after_failures,
                                     &failed_sequence)) {
      result = std::move(*failure);
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

int Probe(const char* path, const char* projection) {
  const Result<PluginLibrary> library = PluginLibrary::Open(path, projection);
  if (!library.ok()) {
    std::printf("%s\n", library.status().message().c_str());
    return static_cast<int>(RunnerExit::kSetup);
  }
  const std::string chosen(library->projection_name());
  std::printf("%s %s %s\n", std::string(library->name()).c_str(),
              std::string(library->version()).c_str(), chosen.c_str());
  return static_cast<int>(RunnerExit::kClean);
}

}  // namespace catchup
