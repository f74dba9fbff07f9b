#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/config/config.h"
#include "host/daemon/letters/failed_calls.h"
#include "host/daemon/letters/letter_listener.h"
#include "host/daemon/letters/letter_queue.h"
#include "host/daemon/letters/letter_sinks.h"
#include "host/daemon/threads/gate.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/serial_queue.h"
#include "host/engine/command.h"
#include "host/engine/input.h"
#include "host/source/source.h"
#include "host/store/checkpoint_record.h"
#include "host/store/letter_store.h"
#include "host/store/state_directory.h"

namespace catchup {

// A letter's event, read back from its store, as an event of the source is.
class LetterFrame final : public EventFrame {
 public:
  explicit LetterFrame(Letter letter);

  // Which call of its event the next one is.
  std::uint32_t attempt() const { return letter_.head.attempts + 1; }

 private:
  const Letter letter_;
};

// A group's side towards its dead letters: has carried out what the engine decides about them, by a
// queue of its own (letter_queue.h), so that no checkpoint waits for them. Sinks are fed besides,
// and hold up nothing here.
//
// The engine counts time from the group's start, the store by the wall clock; a letter's times are
// those of its writing by both. What was stored by a clock that has been put back since is due
// within the longest delay all the same.
//
// All functions: inside a turn.
class LetterSide {
 public:
  struct Services {
    WorkerPool* pool = nullptr;
    Reactor* reactor = nullptr;
    const StateDirectory* state = nullptr;
    const SinkServices* sinks = nullptr;  // Only needed where the group has any.
  };
  // The time by the clock of the engine.
  using EngineClock = std::function<std::chrono::nanoseconds()>;

  // `config` and `listener` must outlive it.
  LetterSide(const GroupConfig& config, const Services& services, std::shared_ptr<Gate> gate,
             EngineClock clock, LetterListener* listener);
  ~LetterSide();
  LetterSide(const LetterSide&) = delete;
  LetterSide& operator=(const LetterSide&) = delete;

  // First: opens the store, and hands over what it holds. A status that may pass: nothing is open,
  // to be asked again.
  struct Contents {
    std::vector<LetterHead> letters;  // In the order of their positions.
    std::vector<LetterHold> holds;
    std::vector<LetterPark> parks;
  };
  using Opened = std::function<void(const Status& status, const Contents& contents)>;
  // `record` says what the checkpoint knows of the letters' file.
  void Open(const CheckpointRecord& record, Opened done);
  // Of the last runner that was known when they were opened.
  std::uint64_t token() const { return token_; }
  // For the checkpoint that is written next: every letter that is durable by now is in it.
  const std::optional<LettersMark>& mark() const { return jobs_.mark(); }
  // For the engine. The views are those of `head`.
  LetterSummary SummaryOf(const LetterHead& head) const;

  // Before a runner is spawned: from here on what is written carries its token. Does not wait for
  // what is being written. A status that may pass: to be asked again.
  void SetToken(std::uint64_t token, std::function<void(const Status&)> done);

  // The file that the next calls are made into.
  void SetPlugin(const Digest32& digest) { plugin_ = digest; }
  // What it says of itself, once it has been loaded.
  void SetPluginVersion(const std::string& version) { plugin_version_ = version; }

  // A call of a lane that failed, of the event that it calls next or, kLetterCall, of the letter:
  // it is written with what comes of it, its text whole.
  void NoteFailedCall(LaneNumber lane, Sequence sequence, FailureClass failure,
                      std::string_view text);

  // kPark, of this event; its bytes are copied.
  void Park(const Command& command, const EventView& event);
  // As LetterQueue::Drain.
  void Drain(std::function<void()> done) { jobs_.Drain(std::move(done)); }
  // The group has ended: what waits for better times is not tried again. Returns how many letters
  // are not written then, whose events come again.
  std::uint64_t GiveUp() { return jobs_.GiveUp(); }
  // kUpdateLetter, kRemoveLetter, kMakeDue, kRemoveLetters, kHold, kEndHold.
  void Change(const Command& command);
  // Of the failed call of a letter that was noted last.
  StoredClass failed_class() const;
  const std::string& failed_text() const { return failed_calls_.of_letter().text; }

  // --- What operators decide. `done` comes once it is on the disk. ---

  // kNotFound: no such letter is in the store, any more or yet.
  using Found = std::function<void(const Result<LetterHead>& letter)>;
  void Find(Position position, Found done);
  void Drop(Position position, const std::string& reason, const std::string& by, Found done);
  // The event there is to be a letter; `reason` becomes the letter's. EndPark: not any more.
  void SetPark(const LetterPark& park, std::function<void()> done);
  void EndPark(Position position);
  // What stands in the store of the next kHold of `type`, which an operator asks for.
  void ExplainHold(const std::string& type, const std::string& reason);
  // The next call of this letter that ends is told to the sinks as a retry by `by`.
  void NoteRetry(Position position, const std::string& by) { retried_by_[position] = by; }
  // Everything asked for so far is on the disk.
  void Sync(std::function<void()> done);

  // Has `read` called with what reads the letters, on a thread of the pool and after what is being
  // written; it must not take long. False: they are not open here.
  bool Visit(std::function<void(LetterReader*)> read);

  // See LetterSinks; any thread, outside of a turn.
  void SettleSinks(std::chrono::steady_clock::time_point deadline) { sinks_.Settle(deadline); }

  std::vector<SinkStatus> GlanceAtSinks() const { return sinks_.Glance(); }

  // Letters written whose metadata names a trace by what is no id.
  std::uint64_t invalid_traces() const { return invalid_traces_; }

  // Looks whether the file is still there; OnLettersFailed where it is not.
  void CheckFile();

  // Reads a letter for its call; null: it is not there. Where that has to wait for what is being
  // written, those are read with it that are called next, as `next` says: their turn comes at once,
  // inside of Read. So letters are called while others are written.
  using HasRead = std::function<void(std::unique_ptr<LetterFrame> letter)>;
  using Next = std::function<std::vector<Position>()>;
  void Read(Position position, const Next& next, HasRead done);

 private:
  using Job = LetterQueue::Job;

  void AddStep(std::function<Status(LetterStore*)> step, std::function<void()> done);
  LetterFeeder::Store StoreOf(const std::string& sink) const;
  std::int64_t TicksAt(std::chrono::nanoseconds time) const;
  std::chrono::nanoseconds TimeAt(std::int64_t ticks) const;
  Letter LetterOf(const Command& command, const EventView& event);
  LetterCause CauseOf(Sequence sequence, const LetterChange& change) const;
  void Update(const LetterChange& change, bool by_hand);
  std::optional<std::string> TakeRetry(Position position);

  const GroupConfig& config_;
  const Services services_;
  const std::shared_ptr<Gate> gate_;
  const EngineClock clock_;
  LetterListener& listener_;
  const std::shared_ptr<SharedLetters> shared_;
  const std::shared_ptr<SerialQueue> queue_;

  LetterSinks sinks_;
  LetterQueue jobs_;
  bool open_ = false;
  std::uint64_t token_ = 0;
  std::uint64_t invalid_traces_ = 0;
  Digest32 plugin_{};
  std::string plugin_version_;
  std::map<Position, std::string> park_reasons_;
  std::map<std::string, std::string> hold_reasons_;
  std::map<Position, std::string> retried_by_;
  std::map<Position, Letter> read_ahead_;  // As they lie in the store.

  FailedCalls failed_calls_;
};

}  // namespace catchup
