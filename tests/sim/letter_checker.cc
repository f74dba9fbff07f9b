#include "tests/sim/letter_checker.h"

#include <algorithm>
#include <array>
#include <bit>
#include <deque>
#include <set>
#include <string>

#include "tests/sim/breaker_watch.h"

namespace catchup::sim {
namespace {

using Time = std::chrono::nanoseconds;

constexpr std::uint32_t kFailuresThatOpen = 5;
constexpr std::uint32_t kStreakThatOpens = 3;
constexpr Time kFailingFor = std::chrono::seconds(30);
constexpr std::uint32_t kProbesThatHold = 5;
constexpr std::uint32_t kBudgetMask = (1u << 20) - 1;
// A letter is read from its store before it can be called.
constexpr Time kReading = std::chrono::milliseconds(1);

class LetterChecker final : public Judge {
 public:
  explicit LetterChecker(const History& history)
      : Judge(history), events_(history.log.size()), breaker_(history.open, history.max_open) {}

 private:
  enum class Present : std::uint8_t { kNo, kParking, kStored, kHealed, kLeaving };

  struct Event {
    Present present = Present::kNo;
    LetterState state{};
    FailureClass failed{};  // How its last call in this process ended, where it failed.
    bool has_failed = false;
    bool applied = false;
    bool passed = false;       // Applied once, wherever the plugin's store was put back to.
    bool stored = false;       // By the store, whatever the engine knows.
    std::uint32_t writes = 0;  // Under way: of another letter before, where the group went back.
    bool park_asked = false;
    bool retry_asked = false;
    Time since{};
  };

  struct Type {
    std::uint32_t streak = 0;
    std::uint32_t texts = 0;   // A bit for each of the last events that ended.
    std::uint32_t doubts = 0;  // Letters in doubt and by a text rule since the last success.
    Time doubted_at{};         // The last letter that counts in the streak.
    Time text_at{};            // The last one by a text rule.
    bool held = false;
    bool by_hand = false;
    Time held_at{};
  };

  std::string At(std::size_t event) const { return FormatPosition(h_.log[event].position); }
  Type& TypeOf(std::size_t event) { return types_[h_.log[event].type]; }
  bool ByStream() const { return h_.order == LetterOrder::kStream; }
  // What a breaker is open for at the least: its time is drawn.
  Time LeastOpen() const { return h_.open * 3 / 4; }

  // It has healed, or the group went back behind it; the store holds it still.
  bool Leaves(std::size_t event) const {
    return events_[event].present == Present::kHealed ||
           events_[event].present == Present::kLeaving;
  }

  // An earlier letter of the same stream, one that has healed included until the store holds it no
  // more: a kill would bring it again. None is the event itself.
  std::size_t EarlierLetter(std::size_t event) const {
    for (const std::size_t letter : letters_) {
      if (letter >= event) {
        break;
      }
      if (h_.log[letter].stream == h_.log[event].stream &&
          events_[letter].present != Present::kLeaving) {
        return letter;
      }
    }
    return event;
  }

  void Step(const Record& record) override {
    switch (record.kind) {
      case Record::Kind::kHostStart:
        HostStart();
        break;
      case Record::Kind::kRunnerStart:
        begun_ = true;
        ForgetCalls();
        break;
      case Record::Kind::kTakeBack:
      case Record::Kind::kRunnerDeath:
        ForgetCalls();
        break;
      case Record::Kind::kDeliver:
        Deliver(record);
        break;
      case Record::Kind::kApply:
        events_[record.event].applied = events_[record.event].passed = true;
        break;
      case Record::Kind::kReport:
        SucceedBefore(record.event + 1);
        break;
      case Record::Kind::kAdvance:
        failures_ = 0;
        breaker_.OnSuccess();
        break;
      case Record::Kind::kFail:
        Fail(record);
        break;
      case Record::Kind::kRestore:
        Restore(record);
        break;
      case Record::Kind::kBreakerOpens:
        BreakerOpens(record);
        break;
      case Record::Kind::kBreakerCloses:
        BreakerSays(breaker_.OnClose());
        break;
      default:
        StepLetter(record);
        break;
    }
  }

  void StepLetter(const Record& record) {
    Event& event = events_[record.event];
    switch (record.kind) {
      case Record::Kind::kPark:
        Park(record);
        break;
      case Record::Kind::kLetter:
        event.stored = true;
        --event.writes;
        if (event.present == Present::kParking && event.writes == 0) {
          event.present = Present::kStored;
        }
        break;
      case Record::Kind::kLetterFound:
        Found(record);
        break;
      case Record::Kind::kCallLetter:
        CallLetter(record);
        break;
      case Record::Kind::kLetterOk:
        // Dropped meanwhile, it is a success all the same, of which nobody knows the type.
        failures_ = 0;
        letter_called_ = false;
        breaker_.OnSuccess();
        if (event.present == Present::kStored) {
          event.present = Present::kHealed;
          Succeed(record.event, true);
        }
        break;
      case Record::Kind::kLetterChange:
        Change(record);
        break;
      case Record::Kind::kLetterGone:
        Gone(record);
        break;
      case Record::Kind::kLettersLeave:
        Leave(record.position);
        break;
      case Record::Kind::kLettersGone:
        RemoveBehind(record.position);
        break;
      case Record::Kind::kHold:
        Hold(record);
        break;
      case Record::Kind::kEndHold:
        EndHold(record.type);
        break;
      case Record::Kind::kParkAsked:
        event.park_asked = true;
        break;
      case Record::Kind::kRetryAsked:
        event.retry_asked = true;
        break;
      case Record::Kind::kStall:
        stalled_ = true;
        break;
      case Record::Kind::kOtherPlugin:
        types_ = {};
        quiet_until_ = {};
        breaker_.Hurry();
        break;
      default:
        break;
    }
  }

  // It remembers nothing but what it finds in the store, of which each letter is told.
  void HostStart() {
    stalled_ = begun_ = false;
    breaker_ = BreakerWatch(h_.open, h_.max_open);
    last_failed_.reset();
    ForgetCalls();
    types_ = {};
    failures_ = 0;
    quiet_until_ = {};
    letters_.clear();
    unfound_.clear();
    for (std::size_t i = 0; i < events_.size(); ++i) {
      Event& event = events_[i];
      event.present = Present::kNo;
      event.writes = 0;
      event.has_failed = event.park_asked = event.retry_asked = false;
      if (event.stored) {
        unfound_.insert(i);
      }
    }
  }

  void Found(const Record& record) {
    Event& event = events_[record.event];
    if (unfound_.erase(record.event) == 0) {
      Broken("gone", "a letter is found that was not written at " + At(record.event));
    }
    event.present = Present::kStored;
    event.state = record.state;
    letters_.insert(record.event);
  }

  void Deliver(const Record& record) {
    const std::size_t i = record.event;
    if (!unfound_.empty()) {
      Broken("gone", "the letter of " + At(*unfound_.begin()) + " is not found any more");
      unfound_.clear();
    }
    JudgeCall(record);
    outstanding_.push_back(i);
    if (record.at < quiet_until_) {
      Broken("pace", At(i) + " is called, but five failures in a row open the breaker");
    }
    if (events_[i].present == Present::kParking || events_[i].present == Present::kStored) {
      Broken("call", At(i) + " is called as an event and is a letter");
    }
    if (TypeOf(i).held && TypeOf(i).by_hand) {
      Broken("call", At(i) + " is called, but its type is held by hand");
    }
    if (events_[i].park_asked && !events_[i].passed) {
      Broken("call", At(i) + " is called, but an operator wants it parked");
    }
    if (const std::size_t earlier = EarlierLetter(i); ByStream() && earlier != i) {
      Broken("order", At(i) + " is called before the letter of its stream at " + At(earlier));
    }
  }

  // A letter's success counts in no budget.
  void Succeed(std::size_t i, bool letter = false) {
    Type& type = TypeOf(i);
    type.streak = type.doubts = 0;
    type.texts = letter ? type.texts : (type.texts << 1) & kBudgetMask;
    if (!type.by_hand) {
      type.held = false;
    }
    failures_ = 0;
    if (!letter) {
      breaker_.OnSuccess();
    }
  }

  void SucceedBefore(std::size_t end) {
    while (!outstanding_.empty() && outstanding_.front() < end) {
      Succeed(outstanding_.front());
      outstanding_.pop_front();
    }
  }

  void Fail(const Record& record) {
    Event& event = events_[record.event];
    event.failed = record.failure;
    event.has_failed = true;
    if (record.letter) {
      letter_called_ = false;
      if (record.failure == FailureClass::kDomain) {
        breaker_.OnSuccess();
      } else {
        breaker_.OnFailure();
      }
      return;
    }
    SucceedBefore(record.event);
    last_failed_ = record.event;
    if (record.failure == FailureClass::kDomain) {
      Succeed(record.event);
      return;
    }
    breaker_.OnFailure();
    five_failures_ = false;
    if (record.failure == FailureClass::kInfrastructure) {
      failing_since_ = failures_ == 0 ? record.at : failing_since_;
      if (++failures_ == kFailuresThatOpen) {
        failures_ = 0;
        quiet_until_ = record.at + LeastOpen();
        five_failures_ = true;
      }
    }
  }

  // --- The breaker. ---

  void ForgetCalls() {
    outstanding_.clear();
    letter_called_ = false;
  }

  // What a runner said just before it broke the contract may be false.
  void BreakerSays(const std::string& wrong) {
    if (!wrong.empty() && !stalled_) {
      Broken("breaker", wrong);
    }
  }

  void JudgeCall(const Record& record) {
    const std::string wrong =
        breaker_.OnCall(record.at, outstanding_.size() + (letter_called_ ? 1 : 0));
    BreakerSays(wrong.empty() ? wrong : At(record.event) + " is called, but " + wrong);
  }

  void BreakerOpens(const Record& record) {
    if (!HasCauseToOpen(record.at)) {
      BreakerSays("the breaker opens without a cause; failed last: " +
                  (last_failed_ ? At(*last_failed_) : "nothing"));
    }
    breaker_.OnOpen(record.at);
  }

  // Of a place without an event that the plugin does not store nothing is written down.
  bool HasCauseToOpen(Time now) {
    if (!breaker_.closed() || h_.position_mode) {
      return breaker_.probe_failed() || h_.position_mode;
    }
    if (!last_failed_) {
      return false;
    }
    const Type& type = TypeOf(*last_failed_);
    const bool full = PresentLetters() >= h_.max_letters;
    switch (events_[*last_failed_].failed) {
      case FailureClass::kInfrastructure:
        return five_failures_ || now - failing_since_ >= kFailingFor;
      case FailureClass::kDomainText:
        return full || OverBudget((type.texts << 1) | 1);
      case FailureClass::kDomain:
        return false;
      default:
        return full || type.streak + 1 >= kStreakThatOpens;
    }
  }

  bool OverBudget(std::uint32_t texts) const {
    return h_.budget > 0 &&
           static_cast<std::uint32_t>(std::popcount(texts & kBudgetMask)) > h_.budget;
  }

  void Park(const Record& record) {
    const std::size_t i = record.event;
    Event& event = events_[i];
    if (event.present == Present::kParking || event.present == Present::kStored) {
      Broken("cause", At(i) + " is a letter already");
    }
    JudgeCause(record);
    if (record.state != LetterState::kFollower) {
      JudgePace(record);
    }
    event.present = Present::kParking;
    ++event.writes;
    event.state = record.state;
    event.since = record.at;
    event.park_asked = false;
    letters_.insert(i);
    // What a runner said just before it broke the contract may have made room.
    if (!stalled_ && PresentLetters() > h_.max_letters) {
      Broken("full", "more letters than there is room for with " + At(i));
    }
  }

  // That the host counts: what it wants gone has made room.
  std::uint64_t PresentLetters() const {
    const auto leaving = std::count_if(letters_.begin(), letters_.end(),
                                       [this](std::size_t one) { return Leaves(one); });
    return letters_.size() - static_cast<std::size_t>(leaving);
  }

  // Each probe that fails becomes a letter, the last one just after the hold begins.
  void Hold(const Record& record) {
    Type& type = types_[record.type];
    if (begun_ && !record.by_hand && type.doubts + 1 < kProbesThatHold) {
      Broken("hold", "type " + std::to_string(record.type) + " is held after " +
                         std::to_string(type.doubts) + " letters");
    }
    type.held = true;
    type.by_hand = record.by_hand;
    type.held_at = record.at;
  }

  void JudgeCause(const Record& record) {
    const std::size_t i = record.event;
    const Event& event = events_[i];
    const auto broken = [&](const char* rule, const char* how) {
      Broken(rule, At(i) + " becomes a letter, class " +
                       std::to_string(static_cast<int>(record.failure)) + ", " + how);
    };
    const bool ordered = record.failure == FailureClass::kByHand ||
                         (record.failure == FailureClass::kHeld && TypeOf(i).by_hand);
    if (h_.order == LetterOrder::kHalt && !ordered) {
      broken("cause", "though the order is halt");
    }
    if (record.state == LetterState::kFollower) {
      if (!ByStream() || EarlierLetter(i) == i) {
        broken("cause", "as a follower of nothing");
      }
      return;
    }
    const bool never_heals = h_.heal_for == Time(0);
    bool dead = never_heals;
    switch (record.failure) {
      case FailureClass::kHeld:
        if (!TypeOf(i).held) {
          broken("cause", "but its type is not held");
        }
        if (!TypeOf(i).by_hand && !stalled_ && PresentLetters() * 2 >= h_.max_letters) {
          broken("hold", "without a call though the store is half full");
        }
        break;
      case FailureClass::kByHand:
        dead = true;
        if (!event.park_asked) {
          broken("cause", "and nobody asked for that");
        }
        break;
      default:
        dead = dead || record.failure == FailureClass::kDomain;
        if (!event.has_failed || event.failed != record.failure ||
            (record.failure != FailureClass::kDomain && !IsInDoubt(record.failure))) {
          broken("cause", "but its last call did not fail so");
        }
        break;
    }
    if ((record.state == LetterState::kDead) != dead) {
      broken("dead", dead ? "and heals" : "and is dead at once");
    }
    const bool waits_in_place =
        record.failure == FailureClass::kUnknown || record.failure == FailureClass::kHang;
    if (h_.position_mode && waits_in_place) {
      broken("cause", "though its plugin keeps its own position");
    }
  }

  void JudgePace(const Record& record) {
    Type& type = TypeOf(record.event);
    if (record.failure == FailureClass::kDomainText) {
      type.texts = ((type.texts << 1) | 1) & kBudgetMask;
      if (OverBudget(type.texts) && record.at - type.text_at < LeastOpen()) {
        Broken("pace", At(record.event) + " is a letter by a text rule beyond the budget");
      }
      type.text_at = record.at;
      ++type.doubts;
    } else if (IsInDoubt(record.failure)) {
      if (++type.streak >= kStreakThatOpens && record.at - type.doubted_at < LeastOpen()) {
        Broken("pace", At(record.event) + " is number " + std::to_string(type.streak) +
                           " in a row that becomes a letter, and waited for no breaker");
      }
      type.doubted_at = record.at;
      type.texts = (type.texts << 1) & kBudgetMask;
      ++type.doubts;
    }
  }

  void CallLetter(const Record& record) {
    const std::size_t i = record.event;
    const Event& event = events_[i];
    JudgeCall(record);
    letter_called_ = true;
    if (record.at < quiet_until_) {
      Broken("pace", "the letter of " + At(i) + " is called, but the breaker is open");
    }
    if (event.present != Present::kStored) {
      Broken("call", "a letter is called that is not durable, or gone, at " + At(i));
    }
    if (event.state == LetterState::kDead && !event.retry_asked) {
      Broken("dead", "the dead letter of " + At(i) + " is called, and nobody asked for that");
    }
    const bool held = TypeOf(i).by_hand && record.at - TypeOf(i).held_at > kReading;
    if (held && !event.retry_asked && event.state == LetterState::kHealing) {
      Broken("call", "the letter of " + At(i) + " is called, but its type is held by hand");
    }
    if (const std::size_t earlier = EarlierLetter(i); ByStream() && earlier != i) {
      Broken("order",
             "the letter of " + At(i) + " is called before that of its stream at " + At(earlier));
    }
  }

  void Change(const Record& record) {
    Event& event = events_[record.event];
    event.retry_asked = false;
    if (stalled_ && (record.state == event.state || event.state == LetterState::kFollower)) {
      event.state = record.state;
      return;  // A breach ends a call that may not have begun; its letter is called later.
    }
    if (event.present != Present::kStored || !event.has_failed) {
      Broken("dead", "the letter of " + At(record.event) + " changes though no call of it failed");
    }
    if (record.state == LetterState::kFollower ||
        (record.state == LetterState::kHealing && event.state == LetterState::kDead)) {
      Broken("dead", "the letter of " + At(record.event) + " goes back in its state");
    }
    if (event.state == LetterState::kFollower) {
      event.since = record.at;
    }
    const bool rejected = event.failed == FailureClass::kDomain;
    const bool too_old = IsInDoubt(event.failed) &&
                         (h_.heal_for == Time(0) || record.at - event.since > h_.heal_for);
    if (record.state == LetterState::kDead && event.state != LetterState::kDead && !rejected &&
        !too_old) {
      Broken("dead", "the letter of " + At(record.event) + " dies without a reason");
    }
    if (record.state != LetterState::kDead && (rejected || too_old)) {
      Broken("dead", "the letter of " + At(record.event) + " lives on");
    }
    event.state = record.state;
  }

  void Gone(const Record& record) {
    Event& event = events_[record.event];
    if (!record.by_hand && !event.applied) {
      Broken("gone", "the letter of " + At(record.event) + " is removed and was not applied");
    }
    Forget(record.event);
  }

  // The store has it no more. It may be on its way there again.
  void Forget(std::size_t i) {
    events_[i].stored = false;
    if (events_[i].present != Present::kParking) {
      events_[i].present = Present::kNo;
      letters_.erase(i);
    }
  }

  bool IsBehind(std::size_t i, const std::optional<Position>& position) const {
    return !position || h_.log[i].position > *position;
  }

  void Leave(const std::optional<Position>& position) {
    for (const std::size_t letter : letters_) {
      if (IsBehind(letter, position)) {
        events_[letter].present = Present::kLeaving;
      }
    }
  }

  void RemoveBehind(const std::optional<Position>& position) {
    for (std::size_t i = 0; i < events_.size(); ++i) {
      if (IsBehind(i, position)) {
        Forget(i);
      }
    }
  }

  void Restore(const Record& record) {
    for (std::size_t i = 0; i < events_.size(); ++i) {
      // Of one that leaves the host knew in time that it was.
      if (!Leaves(i) && IsBehind(i, record.position)) {
        events_[i].applied = false;
      }
    }
  }

  void EndHold(std::uint32_t type) {
    for (std::uint32_t i = 0; i < types_.size(); ++i) {
      // What a success of the type has ended already is no operator's decision.
      if ((type == kAllTypes || type == i) && types_[i].held) {
        types_[i] = {};
      }
    }
  }

  void AtEnd() override {
    if (!h_.complete) {
      return;
    }
    for (const std::size_t letter : letters_) {
      const std::size_t earlier = ByStream() ? EarlierLetter(letter) : letter;
      if (events_[letter].state != LetterState::kDead && earlier == letter) {
        Broken("heal", "the letter of " + At(letter) + " was left");
      }
    }
  }

  std::vector<Event> events_;
  std::array<Type, 4> types_{};
  std::set<std::size_t> letters_;  // That are present.
  std::set<std::size_t> unfound_;
  std::deque<std::size_t> outstanding_;  // Handed to the present runner and not reported.
  bool letter_called_ = false;
  std::uint32_t failures_ = 0;              // Of the infrastructure, in a row.
  Time failing_since_{};                    // The first of them.
  bool five_failures_ = false;              // The last one was one of so many.
  std::optional<std::size_t> last_failed_;  // That was called as an event.
  BreakerWatch breaker_;
  Time quiet_until_{};
  bool begun_ = false;    // A runner has started in this process.
  bool stalled_ = false;  // A store or a runner has failed.
};

}  // namespace

std::vector<Violation> CheckLetters(const History& history) { return LetterChecker(history).Run(); }

}  // namespace catchup::sim
