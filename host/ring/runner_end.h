#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/plugin_setting.h"
#include "host/base/position.h"
#include "host/base/status.h"
#include "host/ring/layout.h"
#include "host/ring/shared_memory.h"

namespace catchup {

// One value of the plugin's configuration, as PluginSetting has it.
struct SettingView {
  std::string_view path;
  SettingKind kind{};
  std::string_view text;
};

// The setup record. Its texts are RunnerEnd's own copy and live as long as that.
struct SetupView {
  std::string_view group;
  std::string_view projection;
  std::string_view plugin_path;
  std::string_view config_json;
  std::uint32_t lane = 0;
  std::uint32_t open_files = 0;
  std::uint64_t token = 0;
  bool go_on_after_failures = false;
  bool ignore_position = false;
  std::vector<SettingView> settings;
};

// One event or advance in the ring, borrowed until Consume passes it.
struct RecordView {
  RecordKind kind{};
  bool is_json = false;
  std::uint64_t sequence = 0;
  std::uint64_t end = 0;  // Ring offset behind it, for Consume.
  const EventRecord* body = nullptr;
  const char* bytes = nullptr;  // Stream, type, metadata, data, one behind the other.
};

// The runner's end of its rings. One thread, except Log and stop_requested: any thread.
class RunnerEnd {
 public:
  // Maps the inherited descriptors. kIncompatible if the other side has another layout
  // or is of another build.
  static Result<std::unique_ptr<RunnerEnd>> Open(int event_ring, int outcome_ring, int large_region,
                                                 int runner_wake, int host_wake);

  // Both ends in one process, for tests: the same mappings serve as the runner's.
  static std::unique_ptr<RunnerEnd> OverMappings(std::byte* events, std::byte* outcomes,
                                                 const std::byte* large, int runner_wake,
                                                 int host_wake);

  // Waits for the setup record. Its bytes are copied out of the ring.
  Result<SetupView> ReadSetup();

  // The next record behind `after`, a published record's end or `consumed()`, if it is published.
  std::optional<RecordView> Peek(std::uint64_t after);

  // Frees the ring up to `end`.
  void Consume(std::uint64_t end);
  std::uint64_t consumed() const { return consumed_; }

  // Says that everything up to `sequence` was applied, and tells the host if it waits for that.
  void Settle(std::uint64_t sequence);

  // Blocks until something is published or a stop is asked for. Naps first while events keep
  // coming, so that neither side makes a system call per event; then says that it sleeps.
  void WaitForWork();

  // Blocks until a stop is asked for; takes nothing more from the ring.
  void WaitForStop();

  bool stop_requested() const;

  void BeginCall(CallKind kind, std::uint64_t sequence);
  void EndCall();

  // kNone and 0 between two calls. Safe in a signal handler.
  CallKind current_call_kind() const;
  std::uint64_t current_sequence() const;

  void PostReady(std::uint32_t max_events, bool position_mode, std::optional<Position> loaded);
  void PostFailure(CallKind call, std::int32_t status, std::uint64_t sequence,
                   std::string_view text);
  void PostStopped();

  // Drops the line, and counts it, when the host does not keep up.
  void Log(std::uint16_t level, std::string_view text);

 private:
  RunnerEnd() = default;

  const EventRingHeader& events() const {
    return *reinterpret_cast<const EventRingHeader*>(events_);
  }
  OutcomeRingHeader& outcomes() const { return *reinterpret_cast<OutcomeRingHeader*>(outcomes_); }
  bool HasWork() const;
  template <typename Condition>
  void SleepUnless(Condition awake);
  bool Post(OutcomeHeader header, std::string_view text, std::uint64_t keep_free);
  void SignalHost() const;
  bool in_call() const;

  Mapping event_mapping_;
  Mapping outcome_mapping_;
  Mapping large_mapping_;
  const std::byte* events_ = nullptr;
  std::byte* outcomes_ = nullptr;
  const std::byte* large_ = nullptr;
  int runner_wake_ = -1;
  int host_wake_ = -1;

  std::uint64_t published_ = 0;  // Last value read.
  std::uint64_t consumed_ = 0;
  std::uint64_t settled_ = 0;
  std::uint64_t signalled_for_ = 0;  // The wake_at_settled that was answered.
  std::uint64_t call_number_ = 0;
  std::uint32_t idle_naps_ = 0;
  std::string setup_bytes_;
  std::mutex post_mutex_;  // Log may come from any thread.
};

}  // namespace catchup
