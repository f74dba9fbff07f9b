#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/mutex.h"
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
  std::optional<PositionReset> reset;
  bool ignore_position = false;
  bool create_only = false;
  std::vector<SettingView> settings;
};

// One event or advance in the ring, borrowed until Consume passes it.
struct RecordView {
  RecordKind kind{};
  bool is_json = false;
  bool alone = false;  // It gets a call of its own.
  Ticket ticket = 0;
  std::uint64_t begin = 0;  // Ring offsets of its first byte, and behind its last.
  std::uint64_t end = 0;
  const EventRecord* body = nullptr;
  const char* bytes = nullptr;  // Stream, type, metadata, data, one behind the other.
};

// Where a call failed: the first event that was not applied, and the first and the last of the
// call.
struct FailedEvents {
  Ticket ticket = 0;
  Ticket call_first = 0;
  Ticket call_last = 0;
};

// A word of the outcome ring as its writer knows it. One thread, except number(): any thread, and
// in a signal handler.
class OwnWord {
 public:
  explicit OwnWord(const WordSeal& seal, std::uint64_t number = 0)
      : seal_(seal), word_(seal.Close(number)), number_(number) {}

  std::uint64_t number() const { return number_.load(std::memory_order_relaxed); }

  // Whether `shared` holds what was last written there.
  bool Intact(const std::atomic<std::uint64_t>& shared) const {
    return shared.load(std::memory_order_relaxed) == word_;
  }
  // Whether the number kept here is the one that was written.
  bool Consistent() const { return word_ == seal_.Close(number()); }

  void Write(std::atomic<std::uint64_t>* shared, std::uint64_t number, std::memory_order order) {
    number_.store(number, std::memory_order_relaxed);
    word_ = seal_.Close(number);
    shared->store(word_, order);
  }

 private:
  WordSeal seal_;
  std::uint64_t word_;
  std::atomic<std::uint64_t> number_;
};

// The runner's end of its rings. One thread, except Log, stop_requested and damage: any thread.
//
// Before a word is written it is held against what was written there last, and before an event is
// taken, the read position against the word made from it, and the event against the one before.
// What does not fit is damage(): then no further word is written and no record given, so that
// nothing more becomes settled; the owner reports it, which still works since the words are out of
// the reach of stray writes by then, and ends.
class RunnerEnd {
 public:
  // Between guard pages: what a plugin writes past the end of its own memory does not reach it.
  static void* operator new(std::size_t size);
  static void operator delete(void* at);

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

  // The first record that is not consumed, or the one behind `before`, if it is published.
  std::optional<RecordView> Peek();
  std::optional<RecordView> PeekBehind(const RecordView& before);

  // Frees the ring up to the end of `last`, which Peek or PeekBehind gave. What lies there must
  // still say so: the caller's view was in reach of the plugin meanwhile.
  void Consume(const RecordView& last);

  // Says that everything of the epoch up to `ticket`, which was peeked at, was applied, and tells
  // the host if it waits for that.
  void Settle(Ticket ticket);

  // After the failure of an event was posted: waits until the host has begun another epoch, and
  // goes over to it; what was peeked at before is then gone. False: a stop was asked for, or there
  // is damage.
  bool AwaitEpoch();

  // Says that it sleeps and blocks until something is published or a stop is asked for. While
  // events keep coming it naps instead, so that neither side makes a system call per event; not
  // behind a failure, or an event that was called alone.
  void WaitForWork();

  // Blocks until a stop is asked for; takes nothing more from the ring.
  void WaitForStop();

  bool stop_requested() const;

  // What was found written over, for the middle of a line; static, and null while nothing was.
  const char* damage() const { return damage_.load(std::memory_order_acquire); }

  void BeginCall(CallKind kind, Ticket ticket);
  void EndCall();

  // kNone and 0 between two calls. Safe in a signal handler.
  CallKind current_call_kind() const;
  Ticket current_ticket() const;

  // `version` is what the plugin says of itself, cut to kMaxVersionText.
  void PostReady(std::uint32_t max_events, bool position_mode, std::optional<Position> loaded,
                 std::string_view version = {});
  // To be called at most once in an epoch. `events` is zero for a call that is made for none.
  void PostFailure(CallKind call, std::int32_t status, const FailedEvents& events,
                   std::string_view text);
  // `breach` says how the plugin broke the contract since it was last told of; empty: not at all.
  void PostStopped(std::string_view breach = {});

  // Drops the line, and counts it with those of its level, when the host does not keep up.
  void Log(std::uint16_t level, std::string_view text);

 private:
  // What was written over, for damage().
  static constexpr char kSettledDamage[] = "the word that says what is settled";
  static constexpr char kReadDamage[] = "the position up to which events were taken";
  static constexpr char kCallDamage[] = "the word that says which call is running";
  static constexpr char kEpochDamage[] = "the word that says which events are being taken";
  static constexpr char kSleepDamage[] = "the word that says whether the runner sleeps";
  static constexpr char kPostedDamage[] = "the word that says what was reported";
  static constexpr char kPlaceDamage[] = "the place of the next event";

  explicit RunnerEnd(const RingKey& key);

  const EventRingHeader& events() const {
    return *reinterpret_cast<const EventRingHeader*>(events_);
  }
  OutcomeRingHeader& outcomes() const { return *reinterpret_cast<OutcomeRingHeader*>(outcomes_); }
  bool HasWork() const;
  void Nap();
  void EndNaps();
  template <typename Condition>
  void SleepUnless(Condition awake);
  std::optional<RecordView> Find(std::uint64_t offset, Ticket wanted);
  bool RecordAt(std::uint64_t offset, Ticket wanted, RecordView* view);
  bool EnterEpoch(std::uint64_t number);
  bool RefreshPublished(std::uint64_t after);
  // Writes the word unless it was written over, or something else was.
  bool Write(OwnWord* own, std::atomic<std::uint64_t>* shared, std::uint64_t number,
             std::memory_order order, const char* damage);
  bool WriteSleep(std::uint64_t number, std::memory_order order);
  void VerifyWords();
  void Damaged(const char* what);
  enum class PostHow : std::uint8_t { kIfIntact, kAlways };
  bool Post(OutcomeHeader header, std::string_view text, std::uint64_t keep_free, PostHow how);
  void SignalHost() const;
  std::uint64_t consumed() const { return read_.number() * kRecordAlign; }

  Mapping event_mapping_;
  Mapping outcome_mapping_;
  Mapping large_mapping_;
  const std::byte* events_ = nullptr;
  std::byte* outcomes_ = nullptr;
  const std::byte* large_ = nullptr;
  int runner_wake_ = -1;
  int host_wake_ = -1;

  OwnWord settled_;
  OwnWord read_;  // Bytes consumed, divided by kRecordAlign.
  OwnWord call_;
  OwnWord call_ticket_;
  OwnWord epoch_;
  // Bytes of outcomes, divided by kRecordAlign.
  OwnWord posted_ CATCHUP_GUARDED_BY(post_mutex_);
  OwnWord sleep_;
  std::array<OwnWord, kLogLevels> lines_dropped_ CATCHUP_GUARDED_BY(post_mutex_);  // By level.
  RecordSeal outcome_seal_;

  std::uint64_t published_ = 0;                      // Last value read.
  std::uint64_t not_published_ = ~std::uint64_t{0};  // Its complement, to know it by.
  Ticket taken_ = 0;                 // The last one consumed, or before the epoch's first.
  Ticket peeked_ = 0;                // The newest that was given.
  std::uint64_t signalled_for_ = 0;  // The wake_at_settled that was answered.
  bool moved_ CATCHUP_GUARDED_BY(post_mutex_) = false;  // The outcome ring, away from damage.
  std::atomic<const char*> damage_ = nullptr;
  std::chrono::nanoseconds nap_{};  // Zero: it sleeps until it is woken.
  std::uint32_t short_sleeps_ = 0;  // Short ones in a row.
  std::string setup_bytes_;
  Mutex post_mutex_;  // Log may come from any thread.
};

}  // namespace catchup
