#include "tests/sim/checker.h"

#include <algorithm>
#include <map>
#include <set>

#include "tests/sim/letter_checker.h"

namespace catchup::sim {
namespace {

class Checker final : public Judge {
 public:
  explicit Checker(const History& history) : Judge(history), state_(history.log.size()) {
    for (std::size_t i = 0; i < h_.log.size(); ++i) {
      if (Wanted(i)) {
        wanted_.push_back(i);
      }
    }
  }

 private:
  struct EventState {
    bool applied = false;
    bool skipped = false;
    bool may_repeat = false;    // A death left it beyond what survived.
    bool reported = false;      // By the runner that applied it last.
    bool hidden = false;        // Said to have been sent, and not delivered since.
    bool overtaken = false;     // Another was applied meanwhile, as it may.
    bool parking = false;       // On its way to be a letter.
    bool letter = false;        // In the letters' store.
    bool dropped = false;       // From there, by an operator.
    bool was_letter = false;    // In some process.
    bool aside = false;         // Of a process that ended before its letter was durable, too.
    bool passed = false;        // Became a letter in this process.
    std::uint64_t runner = 0;   // That applied it last.
    std::uint64_t process = 0;  // In which it was applied last.
  };

  static std::string At(Position position) { return FormatPosition(position); }

  // Whether the event must be applied.
  bool Wanted(std::size_t i) const {
    const LogEvent& event = h_.log[i];
    return event.matches && !h_.Skips(event) && (!h_.start || event.position > *h_.start);
  }

  bool BeyondCheckpoint(std::size_t i) const { return !durable_ || h_.log[i].position > *durable_; }

  // Nothing of it is to be called any more, or only as a letter.
  static bool IsDone(const EventState& state) {
    return state.applied || state.hidden || state.letter || state.dropped;
  }

  // The first event that is neither applied nor a durable letter: everything before it is in order.
  std::size_t FirstMissing() {
    while (prefix_ < wanted_.size() && IsDone(state_[wanted_[prefix_]])) {
      ++prefix_;
    }
    return prefix_ < wanted_.size() ? wanted_[prefix_] : h_.log.size();
  }

  // As much, but for letters that are not durable yet.
  std::size_t FirstToCall() {
    std::size_t i = prefix_;
    while (i < wanted_.size() && (IsDone(state_[wanted_[i]]) || state_[wanted_[i]].parking)) {
      ++i;
    }
    return i < wanted_.size() ? wanted_[i] : h_.log.size();
  }

  void Step(const Record& record) override {
    JudgeProgress(record.at);
    switch (record.kind) {
      case Record::Kind::kHostStart:
        HostStart();
        break;
      case Record::Kind::kRunnerStart:
        RunnerStart(record);
        break;
      case Record::Kind::kDeliver:
        Deliver(record);
        break;
      case Record::Kind::kApply:
        Apply(record);
        break;
      case Record::Kind::kReport:
        Report(record);
        break;
      case Record::Kind::kSkip:
        Skip(record);
        break;
      case Record::Kind::kTakeBack:
        TakeBack();
        break;
      case Record::Kind::kRunnerDeath:
        Expose(h_.window, "W", [&](std::size_t i) {
          return state_[i].runner == record.runner && !state_[i].reported;
        });
        break;
      case Record::Kind::kAsk:
      case Record::Kind::kDurable:
        Checkpoint(record);
        break;
      case Record::Kind::kGraceful:
        Graceful(record);
        break;
      case Record::Kind::kKill:
        Expose(h_.batch + h_.window, "B + W", [&](std::size_t i) { return BeyondCheckpoint(i); });
        break;
      case Record::Kind::kRestore:
        Restore(record);
        break;
      case Record::Kind::kCall:
        live_.reset();
        announced_.reset();
        break;
      case Record::Kind::kLive:
        live_ = live_ ? std::min(*live_, record.event) : record.event;
        break;
      case Record::Kind::kCaughtUp:
        CaughtUp();
        break;
      case Record::Kind::kLie:
        Lie(record);
        break;
      case Record::Kind::kAnnounce:
        Announce(record);
        break;
      case Record::Kind::kNoRoom:
        NoRoom();
        break;
      case Record::Kind::kStall:
        stalled_ = true;
        break;
      default:
        StepLetter(record);
        break;
    }
    FollowProgress(record.at);
  }

  void StepLetter(const Record& record) {
    EventState& state = state_[record.event];
    switch (record.kind) {
      case Record::Kind::kFail:
        if (!record.letter) {
          ReportBefore(record.event);
        }
        break;
      case Record::Kind::kPark:
        state.parking = state.aside = true;
        break;
      case Record::Kind::kLetter:
        state.letter = state.was_letter = true;
        state.passed = state.passed || state.parking;
        state.parking = false;
        FollowReports();
        break;
      case Record::Kind::kCallLetter:
        WaiveOrderWithoutRoom(record);
        if (record.runner != runner_) {
          Broken("I10", "a letter is called in runner " + std::to_string(record.runner) +
                            ", present is " + std::to_string(runner_));
        }
        break;
      case Record::Kind::kLetterOk:
        state.reported = true;
        break;
      case Record::Kind::kLetterGone:
        full_at_ = LacksRoom() ? record.at : full_at_;
        state.letter = false;
        state.dropped = record.by_hand;
        // Where the group goes back behind it, it comes for the first time, whenever that is.
        state.overtaken = state.overtaken || record.by_hand;
        prefix_ = 0;
        break;
      case Record::Kind::kLettersGone:
        LettersGone(record.position);
        break;
      case Record::Kind::kLettersGivenUp:
        letters_given_up_ = true;
        break;
      case Record::Kind::kReset:
        Reset(*record.position);
        break;
      default:
        break;
    }
  }

  bool LacksRoom() const {
    const auto takes_room = [](const EventState& state) { return state.letter || state.parking; };
    const auto letters = std::count_if(state_.begin(), state_.end(), takes_room);
    return static_cast<std::uint64_t>(letters) >= h_.max_letters;
  }

  // A store without room waits for its letters, those behind an event in place included. There may
  // be room again while one of them is read.
  void WaiveOrderWithoutRoom(const Record& record) {
    constexpr std::chrono::nanoseconds kReading = std::chrono::milliseconds(1);
    const std::size_t letter = record.event;
    no_room_for_letters_ = LacksRoom() || (full_at_ && record.at - *full_at_ <= kReading);
    for (std::size_t i = 0; no_room_for_letters_ && i < letter; ++i) {
      if (h_.log[i].stream == h_.log[letter].stream && !state_[i].applied) {
        state_[i].overtaken = true;
      }
    }
  }

  void LettersGone(const std::optional<Position>& position) {
    for (std::size_t i = 0; i < h_.log.size(); ++i) {
      if (!position || h_.log[i].position > *position) {
        state_[i].letter = state_[i].dropped = false;
      }
    }
    prefix_ = 0;
  }

  // Everything behind it comes again, and what an operator dropped comes for the first time.
  void Reset(Position position) {
    durable_ = position;
    for (std::size_t i = 0; i < h_.log.size(); ++i) {
      if (h_.log[i].position > position) {
        state_[i].may_repeat = true;
        state_[i].overtaken = state_[i].overtaken || state_[i].dropped;
      }
    }
  }

  void HostStart() {
    ++process_;
    stalled_ = letters_given_up_ = false;
    live_.reset();
    BeginProgress();
    outstanding_.clear();
    outstanding_bytes_ = 0;
    for (EventState& state : state_) {
      state.parking = state.passed = false;
    }
  }

  void NoRoom() {
    writing_ = false;
    no_room_ = true;
    due_since_.reset();
  }

  void Announce(const Record& record) {
    if (announced_ && *record.position > *announced_) {
      proven_ = std::max(proven_, announced_);
    }
    announced_ = std::max(announced_, record.position);
  }

  // What the server hid goes down to its account until it is delivered.
  void Lie(const Record& record) {
    lied_ = true;
    for (std::size_t i = record.event; i < h_.log.size(); ++i) {
      // Also what was applied before a death: it is not handed out again.
      if (h_.log[i].position <= *record.position) {
        state_[i].hidden = true;
      }
    }
  }

  void CaughtUp() {
    if (!live_) {
      Broken("live", "caught up, but the server has not said so in this call");
      return;
    }
    if (store_unknown_) {
      return;  // It was, before the store was put back, of which nobody can know yet.
    }
    for (const std::size_t i : wanted_) {
      if (i >= *live_) {
        break;
      }
      if (!state_[i].hidden && (!IsDone(state_[i]) || BeyondCheckpoint(i)) && !lied_) {
        Broken("live",
               "caught up, but " + At(h_.log[i].position) +
                   (IsDone(state_[i]) ? " is not below the checkpoint" : " was not applied"));
        return;
      }
    }
  }

  // How far the checkpoint should follow: to the last event before the first that is not reported,
  // and to what was announced before that one. A plugin's own position has its own pace.
  void BeginProgress() {
    done_ = static_cast<std::size_t>(
        std::find_if(wanted_.begin(), wanted_.end(),
                     [this](std::size_t i) { return BeyondCheckpoint(i); }) -
        wanted_.begin());
    reported_ = 0;
    announced_.reset();
    proven_.reset();
    asked_ = durable_;
    writing_ = false;
    no_room_ = false;
    due_since_.reset();
  }

  std::optional<Position> Expected() const {
    std::optional<Position> expected;
    if (done_ > 0) {
      expected = h_.log[wanted_[done_ - 1]].position;
    }
    if (proven_ && (done_ == wanted_.size() || *proven_ < h_.log[wanted_[done_]].position)) {
      expected = std::max(expected, proven_);
    }
    return expected;
  }

  void FollowProgress(std::chrono::nanoseconds at) {
    if (h_.position_mode || stalled_ || h_.interval.count() == 0) {
      return;
    }
    if (writing_ || Expected() <= std::max(no_room_ ? durable_ : asked_, h_.start)) {
      due_since_.reset();
    } else if (!due_since_) {
      due_since_ = at;
    }
  }

  void JudgeProgress(std::chrono::nanoseconds at) {
    // The spacing of writes, and what an answer of the store's may take to be heard.
    constexpr std::chrono::nanoseconds kSlack = std::chrono::milliseconds(10);
    // After a write that found no room: what a group may take to go on once there is some.
    constexpr std::chrono::nanoseconds kRetry = std::chrono::seconds(5);
    const std::chrono::nanoseconds limit = no_room_ ? kRetry : h_.interval;
    if (!stalled_ && due_since_ && at - *due_since_ > limit + kSlack) {
      Broken("stuck", "no checkpoint was asked for although " + At(*Expected()) + " is settled");
      due_since_.reset();
    }
  }

  void TakeBack() {
    last_delivered_.reset();
    outstanding_.clear();
    outstanding_bytes_ = 0;
  }

  void RunnerStart(const Record& record) {
    if (record.runner <= runner_) {
      Broken("I10", "runner " + std::to_string(record.runner) + " started after runner " +
                        std::to_string(runner_));
    }
    runner_ = std::max(runner_, record.runner);
    store_unknown_ = store_unknown_ && record.blind;
    blind_ = record.blind;
    TakeBack();
  }

  void Deliver(const Record& record) {
    if (record.runner != runner_) {
      Broken("I10", "delivery to runner " + std::to_string(record.runner) + ", present is " +
                        std::to_string(runner_));
    }
    const auto here = std::lower_bound(wanted_.begin(), wanted_.end(), record.event);
    if (here == wanted_.end() || *here != record.event) {
      Broken("I4", "delivered an event that is not wanted at " + At(Place(record)));
      return;
    }
    if (last_delivered_) {
      const auto before = std::lower_bound(wanted_.begin(), wanted_.end(), *last_delivered_);
      const auto skipped = std::find_if(before + 1, std::max(before + 1, here),
                                        [this](std::size_t i) { return !MayBeLeftOut(i); });
      if (here <= before || skipped != here) {
        Broken("I4", "delivery jumped from " + At(h_.log[*last_delivered_].position) + " to " +
                         At(Place(record)));
      }
    } else {
      FirstDelivery(record);
    }
    last_delivered_ = record.event;
    // A checkpoint beyond it that was asked for before it came may lose it to the next death, and
    // so may a position that the plugin has stored.
    if (state_[record.event].hidden && !h_.position_mode && Place(record) > asked_) {
      state_[record.event].hidden = false;
      prefix_ = 0;
    }
    const auto place = std::lower_bound(outstanding_.begin(), outstanding_.end(), record.event);
    if (place == outstanding_.end() || *place != record.event) {
      outstanding_.insert(place, record.event);
      outstanding_bytes_ += h_.log[record.event].bytes;
    }
    if (outstanding_.size() > h_.window) {
      Broken("window", std::to_string(outstanding_.size()) + " events handed out, W is " +
                           std::to_string(h_.window));
    }
    // The last one may have crossed the limit: its size was not known when it was asked for.
    if (outstanding_bytes_ - h_.log[record.event].bytes >= h_.window_bytes &&
        outstanding_.size() > 1) {
      Broken("window", std::to_string(outstanding_bytes_) + " bytes handed out, bound is " +
                           std::to_string(h_.window_bytes));
    }
  }

  // Between two events that are handed over.
  bool MayBeLeftOut(std::size_t i) const {
    const EventState& state = state_[i];
    return state.hidden || state.letter || state.parking || state.passed || state.was_letter;
  }

  // Nothing between what survives and the first event handed over may be left out.
  void FirstDelivery(const Record& record) {
    const std::size_t missing = FirstToCall();
    if (missing < record.event) {
      Broken("I4", "runner " + std::to_string(runner_) + " begins at " + At(Place(record)) +
                       ", but " + At(h_.log[missing].position) + " was never applied");
    }
  }

  void Apply(const Record& record) {
    if (record.runner != runner_) {
      Broken("I10", "runner " + std::to_string(record.runner) + " applied " + At(Place(record)) +
                        " although runner " + std::to_string(runner_) + " has started");
    }
    EventState& state = state_[record.event];
    if (state.applied) {
      if (h_.position_mode && !state.was_letter) {
        Broken("once", "the effect of " + At(Place(record)) + " is there twice");
      } else if (!state.may_repeat && !h_.position_mode) {
        Broken("I5", At(Place(record)) + " came again although nothing had lost it");
      }
    } else {
      FirstApplication(record);
    }
    state.applied = true;
    // A letter of an earlier process may be called before its event has come again.
    state.may_repeat =
        record.letter && (!state.passed || no_room_for_letters_) && BeyondCheckpoint(record.event);
    state.reported = state.hidden = state.overtaken = false;
    state.runner = record.runner;
    state.process = process_;
    if (record.letter) {
      return;
    }
    const auto [last, first] = applied_last_.try_emplace(record.runner, record.event);
    if (!first) {
      if (record.event <= last->second) {
        Broken("I4", "runner " + std::to_string(record.runner) + " applied " + At(Place(record)) +
                         " after " + At(h_.log[last->second].position));
      }
      last->second = record.event;
    }
  }

  void FirstApplication(const Record& record) {
    for (std::size_t i = 0; lied_ && i < record.event; ++i) {
      state_[i].overtaken = state_[i].overtaken || (state_[i].hidden && !state_[i].applied);
    }
    const bool by_itself = state_[record.event].aside && h_.order != LetterOrder::kStream;
    // Where the plugin does not say where it stands, nobody can keep an order.
    const bool astray = record.letter && (store_unknown_ || blind_);
    if (state_[record.event].overtaken || by_itself || astray) {
      return;
    }
    const LogEvent& event = h_.log[record.event];
    const auto [newest, first] = newest_.try_emplace(event.stream, event.revision);
    if (!first) {
      if (event.revision <= newest->second) {
        Broken("I4", "stream " + std::to_string(event.stream) + ": revision " +
                         std::to_string(event.revision) + " came first after " +
                         std::to_string(newest->second));
      }
      newest->second = std::max(newest->second, event.revision);
    }
  }

  void Report(const Record& record) {
    if (record.runner != runner_) {
      return;  // An earlier runner may say what it likes; the checkpoint must not follow.
    }
    ReportBefore(record.event + 1);
  }

  void ReportBefore(std::size_t end) {
    reported_ = std::max(reported_, end);
    FollowReports();
    const auto before = std::lower_bound(outstanding_.begin(), outstanding_.end(), end);
    for (auto at = outstanding_.begin(); at != before; ++at) {
      outstanding_bytes_ -= h_.log[*at].bytes;
      state_[*at].reported = true;
    }
    outstanding_.erase(outstanding_.begin(), before);
  }

  void FollowReports() {
    while (done_ < wanted_.size() && !state_[wanted_[done_]].parking &&
           (wanted_[done_] < reported_ || state_[wanted_[done_]].passed)) {
      ++done_;
    }
  }

  void Skip(const Record& record) {
    const LogEvent& event = h_.log[record.event];
    if (!event.matches || !h_.Skips(event)) {
      Broken("I1", At(event.position) + " was skipped, but no rule says so");
    }
    state_[record.event].skipped = true;
  }

  void Checkpoint(const Record& record) {
    const Position position = *record.position;
    const std::size_t missing = FirstMissing();
    // What was asked for before a restored store was looked at says nothing about this store.
    const bool judged =
        record.kind == Record::Kind::kAsk ? !store_unknown_ : !asked_before_restore_;
    if (judged && missing < h_.log.size() && h_.log[missing].position <= position) {
      const bool letter = state_[missing].parking;
      Broken(letter ? "I3" : "I2",
             "checkpoint " + At(position) + " passes " + At(h_.log[missing].position) +
                 (letter ? ", whose letter is not durable" : ", which was not applied by then"));
    }
    writing_ = record.kind == Record::Kind::kAsk;
    no_room_ = false;
    asked_ = std::max(asked_, record.position);
    if (record.kind == Record::Kind::kAsk) {
      asked_before_restore_ = store_unknown_;
      return;
    }
    const bool after_lie = lied_ && h_.position_mode;  // Its plugin's position goes back by itself.
    if (durable_ && position <= *durable_ && !restored_ && !after_lie) {
      Broken("I9", "checkpoint " + At(position) + " after " + At(*durable_));
    }
    if (position <= durable_ && !asked_before_restore_) {
      restored_ = false;  // One step back is what a restored store explains.
    }
    asked_before_restore_ = false;
    durable_ = position;
  }

  // Marks what a death lost track of; the plugin's own position loses nothing. What an earlier
  // process lost and has not had again is that one's duplicate.
  template <typename Lost>
  void Expose(std::uint64_t bound, const char* name, Lost lost) {
    if (h_.position_mode) {
      return;
    }
    std::uint64_t count = 0;
    for (const std::size_t i : wanted_) {
      if (state_[i].applied && state_[i].letter) {
        state_[i].may_repeat = true;  // One at the most: its call has ended, or its removal waits.
      } else if (state_[i].applied && lost(i)) {
        if (!state_[i].may_repeat || state_[i].process == process_) {
          ++count;
        }
        state_[i].may_repeat = true;
      }
    }
    if (count > bound) {
      Broken("I5", std::to_string(count) + " events will come again, " + name + " is " +
                       std::to_string(bound));
    }
  }

  void Graceful(const Record& record) {
    if (record.cut) {
      Expose(h_.window, "W", [&](std::size_t i) {
        return BeyondCheckpoint(i) && state_[i].process == process_ && !state_[i].may_repeat;
      });
      return;
    }
    bool behind = false;  // A letter that found no room: it and the rest come again.
    for (const std::size_t i : wanted_) {
      behind = behind || (letters_given_up_ && state_[i].parking);
      if (letters_given_up_ && state_[i].applied &&
          (state_[i].letter || (behind && BeyondCheckpoint(i)))) {
        state_[i].may_repeat = true;
      }
      if (state_[i].applied && state_[i].letter && !state_[i].may_repeat && !h_.position_mode) {
        Broken("I5", "after a graceful end the letter of " + At(h_.log[i].position) +
                         " is there, though it was applied");
      }
      if (state_[i].applied && state_[i].process == process_ && BeyondCheckpoint(i) &&
          !state_[i].may_repeat && !h_.position_mode) {
        Broken("I5", "after a graceful end " + At(h_.log[i].position) +
                         " lies beyond the checkpoint and will come again");
        return;
      }
    }
  }

  // Effects beyond the position are gone with it.
  void Restore(const Record& record) {
    for (std::size_t i = 0; i < h_.log.size(); ++i) {
      if (!record.position || h_.log[i].position > *record.position) {
        state_[i].applied = false;
      }
    }
    prefix_ = 0;
    newest_.clear();
    for (const std::size_t i : wanted_) {
      if (state_[i].applied) {
        newest_[h_.log[i].stream] = h_.log[i].revision;
      }
    }
    restored_ = true;
    store_unknown_ = true;
    asked_before_restore_ = true;
  }

  void AtEnd() override {
    for (std::size_t i = 0; i < h_.log.size(); ++i) {
      const LogEvent& event = h_.log[i];
      const bool below = durable_ && event.position <= *durable_ && !restored_;
      if (!below && !h_.complete) {
        continue;
      }
      if (Wanted(i) && !IsDone(state_[i])) {
        Broken("I1", At(event.position) + " was never applied" +
                         (below ? ", the checkpoint is " + At(*durable_) : std::string()));
      }
      const bool by_rule =
          event.matches && h_.Skips(event) && (!h_.start || event.position > *h_.start);
      if (by_rule && h_.complete && !state_[i].skipped && !state_[i].hidden && !h_.position_mode) {
        Broken("I1", At(event.position) + " was neither applied nor counted as skipped");
      }
    }
    if (h_.complete && !wanted_.empty() && BeyondCheckpoint(wanted_.back()) && !lied_) {
      Broken("I1", "caught up and ended well, but the checkpoint lies before " +
                       At(h_.log[wanted_.back()].position));
    }
  }

  Position Place(const Record& record) const { return h_.log[record.event].position; }

  std::vector<EventState> state_;
  std::vector<std::size_t> wanted_;  // In log order.
  std::size_t prefix_ = 0;
  std::uint64_t process_ = 0;
  std::uint64_t runner_ = 0;
  std::optional<Position> durable_;
  bool restored_ = false;                      // The checkpoint has not followed yet.
  bool store_unknown_ = false;                 // No runner has read the restored store yet.
  bool blind_ = false;                         // Nor does the present one say what it holds.
  bool asked_before_restore_ = false;          // The last checkpoint asked for.
  std::optional<std::size_t> last_delivered_;  // By the present runner.
  std::vector<std::size_t> outstanding_;       // In log order.
  std::uint64_t outstanding_bytes_ = 0;
  std::optional<std::size_t> live_;  // What the present call was said to have brought.
  bool lied_ = false;                // The server announced twice what it had not sent.
  bool stalled_ = false;
  bool no_room_ = false;  // For what was asked for last.
  bool writing_ = false;
  bool letters_given_up_ = false;     // For want of room, as the group ended.
  std::size_t done_ = 0;              // Of wanted_: reported, or below the checkpoint found.
  bool no_room_for_letters_ = false;  // When one was called last.
  std::optional<std::chrono::nanoseconds> full_at_;  // Before a letter left the store.
  std::size_t reported_ = 0;                         // Every event before it was.
  std::optional<Position> announced_;                // In the present call, not proven yet.
  std::optional<Position> proven_;
  std::optional<Position> asked_;
  std::optional<std::chrono::nanoseconds> due_since_;
  std::map<std::uint64_t, std::size_t> applied_last_;  // By runner.
  std::map<std::uint32_t, std::uint64_t> newest_;      // Revision, by stream.
};

}  // namespace

std::vector<Violation> Check(const History& history) {
  std::vector<Violation> violations = Checker(history).Run();
  for (Violation& violation : CheckLetters(history)) {
    violations.push_back(std::move(violation));
  }
  return violations;
}

}  // namespace catchup::sim
