#include "tests/sim/failure_world.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <string_view>
#include <utility>

#include "catchup/plugin.h"
#include "tests/sim/stored_letter.h"

namespace catchup::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr microseconds kCall{1'000};
constexpr microseconds kIgnoredCall{100};
constexpr milliseconds kFailedCall{10};
constexpr seconds kHandlerTimeout{30};
constexpr microseconds kCommit{500};
constexpr milliseconds kSpawn{20};
constexpr std::size_t kMostWrong = 5;

}  // namespace

FailureWorld::FailureWorld(const FailureScenario& scenario)
    : scenario_(scenario),
      random_(scenario.seed),
      share_sum_(std::accumulate(scenario.shares.begin(), scenario.shares.end(), 0u)),
      applied_(scenario.events),
      last_of_stream_(scenario.streams) {
  options_.letter_order = scenario.order;
  options_.max_letters = scenario.max_letters;
  options_.lanes = scenario.lanes;
  BeginWithLetters();
}

// As if they had just been written, and the checkpoint had passed them.
void FailureWorld::BeginWithLetters() {
  for (std::uint64_t event = 0; event < scenario_.letters; ++event) {
    Stored stored;
    stored.stream = StreamNameOf(event);
    stored.type = TypeNameOf(event);
    stored.letter.position = PlaceOf(event);
    stored.letter.state = LetterState::kHealing;
    stored.letter.failure =
        scenario_.poison == Answer::kHang ? FailureClass::kHang : FailureClass::kUnknown;
    checkpoint_ = PlaceOf(event);
    letters_.emplace(*checkpoint_, std::move(stored));
  }
}

std::uint64_t FailureWorld::Hash(std::uint64_t event, std::uint64_t what) const {
  return Random(scenario_.seed * 1'000'003 + event * 31 + what).Next();
}

std::uint32_t FailureWorld::TypeOf(std::uint64_t event) const {
  std::uint64_t left = Hash(event, 1) % share_sum_;
  for (std::uint32_t type = 0;; ++type) {
    if (left < scenario_.shares[type]) {
      return type;
    }
    left -= scenario_.shares[type];
  }
}

std::uint32_t FailureWorld::StreamOf(std::uint64_t event) const {
  return static_cast<std::uint32_t>(Hash(event, 2) % scenario_.streams);
}

Answer FailureWorld::AnswerOf(std::uint64_t event) {
  const std::uint32_t type = TypeOf(event);
  const std::uint32_t bit = 1u << type;
  if ((scenario_.ignored & bit) != 0) {
    return Answer::kOk;
  }
  if (!mended_ && (scenario_.broken & bit) != 0) {
    return scenario_.broken_answer;
  }
  if (!mended_ &&
      (event < scenario_.letters || Hash(event, 3) % 100'000 < scenario_.poison_per_100k)) {
    return scenario_.poison;
  }
  if (Hash(event, 4) % 100'000 < scenario_.rejects_per_100k) {
    return Answer::kReject;
  }
  for (const Trouble& trouble : scenario_.troubles) {
    const Time now = scheduler_.now();
    if ((trouble.types & bit) == 0 || now < trouble.from || now >= trouble.to) {
      continue;
    }
    const bool off =
        trouble.on > Time(0) && (now - trouble.from) % (trouble.on + trouble.off) >= trouble.on;
    if (!off && random_.Chance(trouble.percent)) {
      return trouble.answer;
    }
  }
  return Answer::kOk;
}

FailureResult FailureWorld::Run() {
  Boot();
  if (scenario_.mended_at) {
    scheduler_.After(*scenario_.mended_at, [this] {
      mended_ = true;
      result_.handled_alone = result_.handled;
      Input([&](Commands* out) { engine_->PluginChanged(Now(), out); });
    });
  }
  PlanKill();
  PlanRunnerKill();
  while (result_.wrong.size() < kMostWrong && scheduler_.now() < scenario_.end) {
    if (!scheduler_.Step()) {
      if (scenario_.until_healed && !Done()) {
        Wrong("nothing more will happen, state " + std::string(GroupStateName(engine_->state())) +
              " (" + engine_->reason() + "), breaker " +
              (engine_->breaker().closed() ? "closed" : "not closed") + ", letter in call " +
              (engine_->letters().in_call() ? "yes" : "no"));
      }
      break;
    }
    if (scenario_.until_healed && Done()) {
      break;
    }
  }
  result_.ended_at = scheduler_.now();
  result_.left_healing = Left(LetterState::kHealing);
  result_.left_dead = letters_.size() - result_.left_healing;
  result_.complete = Done();
  return result_;
}

// Nothing more is to be expected.
bool FailureWorld::Done() const {
  if (next_ < scenario_.events || !events_.empty() || !store_.empty() ||
      Left(LetterState::kHealing) + Left(LetterState::kFollower) > 0) {
    return false;
  }
  for (const Trouble& trouble : scenario_.troubles) {
    if (scheduler_.now() < trouble.to) {
      return false;
    }
  }
  return !scenario_.mended_at || mended_;
}

// Letters of a state that nobody has to decide about: what stands behind one that waits for a
// person waits with it.
std::uint64_t FailureWorld::Left(LetterState state) const {
  std::uint64_t count = 0;
  std::set<std::string_view> dead;
  for (const auto& [position, stored] : letters_) {
    if (stored.letter.state == LetterState::kDead && scenario_.order == LetterOrder::kStream) {
      dead.insert(stored.stream);
    }
    if (stored.letter.state == state && !dead.contains(stored.stream)) {
      ++count;
    }
  }
  return count;
}

void FailureWorld::Wrong(std::string text) {
  result_.wrong.push_back(std::to_string(scheduler_.now().count() / 1'000'000) + " ms, process " +
                          std::to_string(process_) + ": " + std::move(text));
}

void FailureWorld::After(Time delay, std::function<void()> work) {
  scheduler_.After(delay, [this, process = process_, work = std::move(work)] {
    if (process == process_) {
      work();
    }
  });
}

EventName FailureWorld::NameOf(Sequence sequence) const {
  const auto& [stream, type] = names_.at(sequence);
  return {stream, type};
}

void FailureWorld::Boot() {
  ++process_;
  engine_ = std::make_unique<Engine>(options_, this);
  names_.clear();
  events_.clear();
  answers_.clear();
  parking_streams_.clear();
  store_.clear();
  runners_.assign(scenario_.lanes, {});
  subscribed_ = feed_asked_ = was_open_ = false;
  for (const auto& [position, stored] : letters_) {
    engine_->LoadLetter(SummaryOf(stored.letter, {stored.stream, stored.type}));
  }
  for (const std::string& type : holds_) {
    engine_->LoadHold(type, false);
  }
  StartPoint start;
  start.checkpoint = checkpoint_;
  Input([&](Commands* out) { engine_->Start(start, Now(), out); });
}

void FailureWorld::PlanKill() {
  if (scenario_.kill_every == Time(0)) {
    return;
  }
  const auto most = static_cast<std::uint64_t>(scenario_.kill_every.count() * 2);
  scheduler_.After(Time(static_cast<Time::rep>(random_.Between(1, most))), [this] {
    if (scheduler_.now() < scenario_.kill_until) {
      Kill();
      PlanKill();
    }
  });
}

void FailureWorld::Kill() {
  ++result_.kills;
  lost_by_kill_ = true;
  for (const Runner& runner : runners_) {
    if (runner.call != 0 && random_.Chance(30) &&
        AnswerOf(runner.queue.front().event) == Answer::kOk) {
      Apply(runner.queue.front().event);
    }
  }
  // What the store was about to do may have been done.
  if (!store_.empty() && random_.Chance(50)) {
    carrying_ = true;  // Nobody hears of it.
    store_.front()();
    carrying_ = false;
  }
  ++process_;
  Boot();
}

void FailureWorld::Input(const std::function<void(Commands*)>& input) {
  if (carrying_) {
    return;
  }
  input(&commands_);
  carrying_ = true;
  for (std::size_t i = 0; i < commands_.size(); ++i) {
    const Command command = std::move(commands_[i]);
    carrying_ = false;
    Carry(command);
    carrying_ = true;
  }
  commands_.clear();
  carrying_ = false;
  ++inputs_;
  if (scenario_.checks_each_input || inputs_ % 4'096 == 0) {
    if (const std::string_view wrong = engine_->CheckInvariants(); !wrong.empty()) {
      Wrong(std::string(wrong));
    }
  }
  Watch();
  Work();
  Feed();
}

void FailureWorld::Watch() {
  const bool open = engine_->breaker().open();
  result_.opened += open && !was_open_ ? 1 : 0;
  if (was_open_ && engine_->breaker().closed()) {
    result_.closed_at = scheduler_.now();
  }
  was_open_ = !engine_->breaker().closed() && (open || was_open_);
  result_.most_letters = std::max(result_.most_letters, engine_->letters().letters());
  if (engine_->letters().letters() > scenario_.max_letters) {
    Wrong("more letters than there is room for");
  }
  if (engine_->state() == GroupState::kFailed || engine_->state() == GroupState::kGivenUp) {
    Wrong("the group has ended: " + engine_->reason());
  }
}

void FailureWorld::Carry(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kSpawnRunner:
      Spawn(&runners_[command.lane], command.number);
      break;
    case Command::Kind::kAbortRunner: {
      Runner& runner = runners_[command.lane];
      Exit(&runner, ExitClass::kHung, runner.queue.empty() ? 0 : runner.queue.front().sequence);
      break;
    }
    case Command::Kind::kConnect:
      call_ = command.number;
      After({},
            [this] { Input([&](Commands* out) { engine_->ServerKnown(call_, {}, Now(), out); }); });
      break;
    case Command::Kind::kReadEnd:
      After({}, [this] {
        Input([&](Commands* out) {
          engine_->EndKnown(call_, PlaceOf(scenario_.events), Now(), out);
        });
      });
      break;
    case Command::Kind::kSubscribe:
      next_ = command.from ? EventAt(*command.from) + 1 : 0;
      subscribed_ = true;
      break;
    case Command::Kind::kDeliver:
      for (Sequence at = command.first; at <= command.last; ++at) {
        runners_[command.lane].queue.push_back({at, events_.at(at), command.alone});
      }
      break;
    case Command::Kind::kTakeBack:
      runners_[command.lane].queue.clear();
      runners_[command.lane].call = 0;
      break;
    case Command::Kind::kCallLetter:
      if (letters_.count(*command.from) == 0) {
        Wrong("a letter is called that is not stored");
      }
      if (!runners_[command.lane].queue.empty()) {
        Wrong("a letter is called beside events of its lane");
      }
      runners_[command.lane].queue.push_back({kLetterCall, EventAt(*command.from), true});
      break;
    case Command::Kind::kRelease:
      names_.erase(names_.begin(), names_.upper_bound(command.last));
      events_.erase(events_.begin(), events_.upper_bound(command.last));
      break;
    case Command::Kind::kPersist:
      After(kCommit, [this, position = *command.from] {
        OnCheckpoint(position);
        Input([&](Commands* out) { engine_->CheckpointDurable(position, {}, Now(), out); });
      });
      break;
    case Command::Kind::kWakeAt:
      After(std::max(command.at - scheduler_.now(), Time(0)), [this, number = ++wakes_] {
        if (number == wakes_) {
          Input([&](Commands* out) { engine_->Woke(Now(), out); });
        }
      });
      break;
    default:
      CarryLetter(command);
      break;
  }
}

void FailureWorld::Spawn(Runner* runner, SpawnNumber spawn) {
  *runner = {.spawn = spawn, .queue = {}};
  After(kSpawn, [this, runner, spawn] {
    if (spawn == runner->spawn) {
      runner->ready = true;
      Input([&](Commands* out) {
        engine_->RunnerReady(spawn, {.max_events = scenario_.batch}, Now(), out);
      });
    }
  });
}

void FailureWorld::CarryLetter(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kPark:
      Park(command);
      break;
    case Command::Kind::kUpdateLetter:
      Store([this, change = command.letter] {
        if (const auto found = letters_.find(change->position); found != letters_.end()) {
          found->second.letter = *change;
        }
        Input([&](Commands* out) { engine_->LetterStored(change->position, Now(), out); });
      });
      break;
    case Command::Kind::kRemoveLetter:
      Store([this, position = *command.from] {
        if (applied_[EventAt(position)] == 0) {
          Wrong("a letter is removed that was not applied");
        }
        letters_.erase(position);
        if (engine_->letters().count(LetterState::kHealing) == 0) {
          result_.healed_at = scheduler_.now();
        }
        Input([&](Commands* out) { engine_->LetterStored(position, Now(), out); });
      });
      break;
    case Command::Kind::kMakeDue:
      Store([this, letters = command.letters, due = command.at] {
        for (const Position position : *letters) {
          if (const auto found = letters_.find(position); found != letters_.end()) {
            found->second.letter.due = due;
            found->second.letter.step = 0;
          }
        }
      });
      break;
    case Command::Kind::kHold:
      ++result_.holds;
      holds_.insert(command.text);
      break;
    case Command::Kind::kEndHold:
      if (command.text.empty()) {
        holds_.clear();
      } else {
        holds_.erase(command.text);
      }
      break;
    default:
      break;
  }
}

void FailureWorld::Park(const Command& command) {
  const std::uint64_t event = events_.at(command.first);
  const LetterChange& change = *command.letter;
  const auto& [stream, type] = names_.at(command.first);
  const auto answer = answers_.find(event);
  const Answer last = answer == answers_.end() ? Answer::kOk : answer->second;
  const std::string at = FormatPosition(change.position);
  if (change.position != PlaceOf(event)) {
    Wrong("a letter of another event at " + at);
  }
  switch (change.state) {
    case LetterState::kDead:
      ++result_.letters;
      if (last != Answer::kReject) {
        Wrong("a dead letter that was not rejected at " + at);
      }
      break;
    case LetterState::kHealing:
      ++result_.letters;
      if (change.failure == FailureClass::kHeld ? holds_.count(type) == 0 : last < Answer::kText) {
        Wrong("a letter without a failure in doubt at " + at);
      }
      break;
    case LetterState::kFollower: {
      ++result_.followers;
      const auto same = [&stream = stream](const auto& one) { return one.second.stream == stream; };
      if (scenario_.checks_each_input && parking_streams_.count(stream) == 0 &&
          std::none_of(letters_.begin(), letters_.lower_bound(change.position), same)) {
        Wrong("a follower of nothing at " + at);
      }
      break;
    }
  }
  parking_streams_.insert(stream);
  Store([this, sequence = command.first,
         stored = Stored{change, std::string(stream), std::string(type)}] {
    letters_.emplace(stored.letter.position, stored);
    Input([&](Commands* out) { engine_->LetterDurable(sequence, Now(), out); });
  });
}

// One change after the other.
void FailureWorld::Store(std::function<void()> op) {
  store_.push_back(std::move(op));
  if (store_.size() == 1) {
    After(microseconds(random_.Between(300, 3'000)), [this] {
      // What waits together shares a commit.
      const std::deque<std::function<void()>> ops = std::exchange(store_, {});
      for (const auto& one : ops) {
        one();
      }
    });
  }
}

void FailureWorld::OnCheckpoint(Position position) {
  if (checkpoint_ && position <= *checkpoint_) {
    Wrong("the checkpoint goes back to " + FormatPosition(position));
  }
  checkpoint_ = position;
  for (; checked_ < scenario_.events && PlaceOf(checked_) <= position; ++checked_) {
    if (applied_[checked_] == 0 && letters_.count(PlaceOf(checked_)) == 0) {
      Wrong("lost: the checkpoint " + FormatPosition(position) + " passes " +
            FormatPosition(PlaceOf(checked_)));
    }
  }
}

void FailureWorld::Feed() {
  if (!subscribed_ || feed_asked_ || next_ >= scenario_.events || !engine_->wants_frames()) {
    return;
  }
  feed_asked_ = true;
  const Time comes =
      scenario_.rate == 0
          ? Time(0)
          : Time(static_cast<Time::rep>(static_cast<double>(next_) / scenario_.rate * 1e9));
  After(std::max(comes - scheduler_.now(), Time(0)), [this] {
    feed_asked_ = false;
    const std::uint64_t event = next_++;
    const std::string stream = StreamNameOf(event);
    const std::string type = TypeNameOf(event);
    if (!engine_->wants_frames()) {
      Wrong("room was taken back");
    }
    Input([&](Commands* out) {
      const Sequence named =
          engine_->Event(call_, PlaceOf(event), 100, false, {stream, type}, Now(), out);
      if (named != 0) {
        names_[named] = {stream, type};
        events_[named] = event;
      }
    });
  });
}

void FailureWorld::Work() {
  for (Runner& runner : runners_) {
    Work(&runner);
  }
}

void FailureWorld::Work(Runner* runner) {
  if (!runner->ready || runner->call != 0 || runner->queue.empty()) {
    return;
  }
  runner->call = ++calls_;
  runner->calling = 1;
  while (!runner->queue.front().alone && runner->calling < scenario_.batch &&
         runner->calling < runner->queue.size() && !runner->queue[runner->calling].alone) {
    ++runner->calling;
  }
  ++result_.calls;
  result_.batches += runner->calling > 1 ? 1 : 0;
  WatchCall(*runner);
  Time takes{};
  Answer answer = Answer::kOk;
  std::size_t at = 0;  // The first that is not OK.
  for (; at < runner->calling && answer == Answer::kOk; ++at) {
    const std::uint64_t event = runner->queue[at].event;
    answer = AnswerOf(event);
    const bool ignored = (scenario_.ignored & (1u << TypeOf(event))) != 0;
    takes += answer == Answer::kOk ? (ignored ? kIgnoredCall : kCall) : Time(kFailedCall);
  }
  if (answer == Answer::kHang) {
    takes = kHandlerTimeout;
  }
  if (runner->queue.front().sequence == kLetterCall) {
    ++result_.letter_calls;
    result_.letter_time += takes;
  }
  After(takes, [this, runner, spawn = runner->spawn, call = runner->call, at = at - 1, answer] {
    if (spawn == runner->spawn && runner->ready && call == runner->call) {
      Finish(runner, at, answer);
    }
  });
}

// No event of a stream is called while another is.
void FailureWorld::WatchCall(const Runner& runner) {
  for (const Runner& other : runners_) {
    if (&other == &runner || other.call == 0) {
      continue;
    }
    ++result_.side_by_side;
    for (std::size_t i = 0; i < other.calling; ++i) {
      for (std::size_t own = 0; own < runner.calling; ++own) {
        if (StreamOf(other.queue[i].event) == StreamOf(runner.queue[own].event)) {
          Wrong("two events of a stream are called at once: " +
                FormatPosition(PlaceOf(other.queue[i].event)) + " and " +
                FormatPosition(PlaceOf(runner.queue[own].event)));
        }
      }
    }
  }
}

void FailureWorld::Fail(const Runner& runner, std::size_t at, std::int32_t status,
                        const char* text) {
  BadOutcome outcome{runner.queue[at].sequence, status, "handle", text};
  if (runner.calling > 1) {
    outcome.last = runner.queue[runner.calling - 1].sequence;
  }
  Input([&, spawn = runner.spawn](Commands* out) { engine_->Failed(spawn, outcome, Now(), out); });
}

// The call of the runner ends: what stands before `at` is applied, and `at` has the answer.
void FailureWorld::Finish(Runner* runner, std::size_t at, Answer answer) {
  const Item item = runner->queue[at];
  if (item.sequence != kLetterCall) {
    answers_[item.event] = answer;
  }
  for (std::size_t i = 0; i < at; ++i) {
    Apply(runner->queue[i].event);
    answers_.erase(runner->queue[i].event);
  }
  switch (answer) {
    case Answer::kOk: {
      Apply(item.event);
      answers_.erase(item.event);
      runner->queue.erase(runner->queue.begin(),
                          runner->queue.begin() + static_cast<std::ptrdiff_t>(at) + 1);
      runner->call = 0;
      Input([&](Commands* out) { engine_->Settled(runner->spawn, item.sequence, Now(), out); });
      break;
    }
    case Answer::kReject:
      Fail(*runner, at, CATCHUP_REJECT, "no");
      break;
    case Answer::kRetry:
      Fail(*runner, at, CATCHUP_RETRY, "later");
      break;
    case Answer::kText:
      Fail(*runner, at, CATCHUP_FAILED, "validation");
      break;
    case Answer::kFail:
      Fail(*runner, at, CATCHUP_FAILED, "oops");
      break;
    case Answer::kHang:
      SettleBefore(runner, at);
      Input([&](Commands* out) {
        engine_->Hung(runner->spawn, item.sequence, "handle", "handler_timeout = 30s", Now(), out);
      });
      break;
    case Answer::kCrash:
      SettleBefore(runner, at);
      Exit(runner, ExitClass::kCrash, item.sequence);
      break;
  }
}

// What a runner says of the events before the one that it dies of.
void FailureWorld::SettleBefore(Runner* runner, std::size_t at) {
  if (at > 0) {
    const Sequence last = runner->queue[at - 1].sequence;
    runner->queue.erase(runner->queue.begin(),
                        runner->queue.begin() + static_cast<std::ptrdiff_t>(at));
    runner->calling -= at;
    Input([&](Commands* out) { engine_->Settled(runner->spawn, last, Now(), out); });
  }
}

void FailureWorld::Exit(Runner* runner, ExitClass exit_class, Sequence charged) {
  runner->ready = false;
  After(milliseconds(1), [this, runner, spawn = runner->spawn, exit_class, charged] {
    runner->queue.clear();
    runner->call = 0;
    Input(
        [&](Commands* out) { engine_->RunnerExited(spawn, exit_class, charged, "", Now(), out); });
  });
}

void FailureWorld::PlanRunnerKill() {
  if (scenario_.kill_runner_every == Time(0)) {
    return;
  }
  const auto most = static_cast<std::uint64_t>(scenario_.kill_runner_every.count() * 2);
  scheduler_.After(Time(static_cast<Time::rep>(random_.Between(1, most))), [this] {
    if (scheduler_.now() < scenario_.kill_until) {
      KillRunner();
      PlanRunnerKill();
    }
  });
}

// One of them, perhaps between the effect of its call and the report.
void FailureWorld::KillRunner() {
  Runner& runner = runners_[random_.Between(0, runners_.size() - 1)];
  if (!runner.ready) {
    return;
  }
  ++result_.runner_kills;
  Sequence charged = 0;
  if (runner.call != 0) {
    const Item item = runner.queue.front();
    charged = item.sequence;
    if (random_.Chance(50) && AnswerOf(item.event) == Answer::kOk) {
      lost_by_kill_ = true;
      Apply(item.event);
    }
    if (item.sequence != kLetterCall) {
      answers_[item.event] = Answer::kCrash;
    }
  }
  Exit(&runner, ExitClass::kCrash, charged);
}

void FailureWorld::Apply(std::uint64_t event) {
  const std::string at = FormatPosition(PlaceOf(event));
  if (applied_[event] != 0) {
    ++result_.repeated;
    if (!lost_by_kill_) {
      Wrong(at + " is applied again though nothing had lost it");
    }
    return;
  }
  applied_[event] = 1;
  ++result_.handled;
  std::uint32_t& last = last_of_stream_[StreamOf(event)];
  if (scenario_.order == LetterOrder::kStream && last > event) {
    Wrong("out of order: " + at + " after " + FormatPosition(PlaceOf(last - 1)));
  }
  last = std::max(last, static_cast<std::uint32_t>(event + 1));
}

}  // namespace catchup::sim
