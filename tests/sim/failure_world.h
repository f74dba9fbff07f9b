#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/engine/engine.h"
#include "tests/sim/random.h"
#include "tests/sim/scheduler.h"

namespace catchup::sim {

// How a call of the plugin ends.
enum class Answer : std::uint8_t { kOk, kReject, kRetry, kText, kFail, kHang, kCrash };

// From `from` to `to` every call answers so, for the event types of `types` (a bit each).
struct Trouble {
  std::chrono::nanoseconds from{};
  std::chrono::nanoseconds to{};
  Answer answer = Answer::kFail;
  std::uint32_t types = ~0u;
  std::chrono::nanoseconds on{};  // On and off by turns, where set.
  std::chrono::nanoseconds off{};
  std::uint32_t percent = 100;  // Of the calls.
};

// What one group lives through: events that come steadily or lie there, a plugin, and its troubles.
struct FailureScenario {
  std::uint64_t seed = 1;
  std::uint64_t events = 0;  // Of the log.
  double rate = 50;          // A second; 0: all are there.
  std::uint32_t streams = 100'000;
  std::vector<std::uint32_t> shares{1, 1, 1};  // Of each type.
  std::uint32_t ignored = 0;                   // Types that the plugin answers OK at once.
  std::vector<Trouble> troubles;
  std::uint64_t letters = 0;  // The first events, which are letters already and fail as poison.
  std::uint32_t poison_per_100k = 0;  // Events that fail until the plugin is mended.
  Answer poison = Answer::kFail;
  std::uint32_t rejects_per_100k = 0;
  std::uint32_t broken = 0;  // Types that fail until then.
  Answer broken_answer = Answer::kFail;
  std::optional<std::chrono::nanoseconds> mended_at;  // Another plugin file.
  std::chrono::nanoseconds kill_every{};              // The host, on average; 0: never.
  std::chrono::nanoseconds kill_until{};
  std::chrono::nanoseconds end = std::chrono::hours(1);
  bool until_healed = false;  // Ends once everything is handled and no letter heals any more.
  LetterOrder order = LetterOrder::kStream;
  std::uint64_t max_letters = 100'000;
  std::uint32_t lanes = 1;
  std::uint32_t batch = 1;                       // Events that the plugin takes in one call.
  std::chrono::nanoseconds kill_runner_every{};  // One of them, on average; 0: never.
  bool checks_each_input = false;
};

struct FailureResult {
  std::uint64_t letters = 0;    // Written otherwise than as followers.
  std::uint64_t followers = 0;  // Written.
  std::uint64_t handled = 0;
  std::uint64_t repeated = 0;  // Applied once more.
  std::uint64_t calls = 0;
  std::uint64_t kills = 0;
  std::uint64_t runner_kills = 0;
  std::uint64_t side_by_side = 0;  // Calls that began while another lane was in one.
  std::uint64_t batches = 0;       // Calls of several events.
  std::uint64_t letter_calls = 0;
  std::chrono::nanoseconds letter_time{};  // Taken by these.
  std::uint64_t holds = 0;
  std::uint64_t opened = 0;  // Times that the breaker began to be open.
  std::uint64_t left_healing = 0;
  std::uint64_t left_dead = 0;
  std::uint64_t most_letters = 0;
  std::uint64_t handled_alone = 0;  // Events handled before the plugin was mended.
  std::optional<std::chrono::nanoseconds>
      healed_at;  // When the last letter was, for the last time.
  std::optional<std::chrono::nanoseconds> closed_at;  // When the breaker closed last.
  std::chrono::nanoseconds ended_at{};
  bool complete = false;           // Every event is handled, or a letter that waits for a person.
  std::vector<std::string> wrong;  // What broke a promise; empty when nothing did.
};

// The engine alone in a simulated time, with a plugin whose answers the scenario gives, a store of
// letters and one of the checkpoint. Far larger and longer than the World's histories, and without
// its faults of source and store: hours of an outage take a second.
//
// It watches by itself, without asking the engine: no event at or below a durable checkpoint that
// is neither applied nor a durable letter; first applications of a stream in order; no letter
// without a cause; no two calls of a stream at once; nothing repeated but by a kill.
class FailureWorld final : public EventNames {
 public:
  explicit FailureWorld(const FailureScenario& scenario);
  FailureResult Run();

 private:
  using Time = std::chrono::nanoseconds;

  struct Item {
    Sequence sequence = 0;
    std::uint64_t event = 0;
    bool alone = false;
  };
  struct Runner {
    SpawnNumber spawn = 0;
    bool ready = false;
    std::uint64_t call = 0;   // The number of the one it is in; 0: none.
    std::size_t calling = 0;  // Items of it.
    std::deque<Item> queue;
  };
  struct Stored {
    LetterChange letter;
    std::string stream;
    std::string type;
  };

  EventName NameOf(Sequence sequence) const override;
  std::uint32_t TypeOf(std::uint64_t event) const;
  std::uint32_t StreamOf(std::uint64_t event) const;
  std::uint64_t Hash(std::uint64_t event, std::uint64_t what) const;
  Answer AnswerOf(std::uint64_t event);

  void BeginWithLetters();
  void Boot();
  void Kill();
  void PlanKill();
  void Input(const std::function<void(Commands*)>& input);
  void Carry(const Command& command);
  void Spawn(Runner* runner, SpawnNumber spawn);
  void CarryLetter(const Command& command);
  void Park(const Command& command);
  void Feed();
  void Work();
  void Work(Runner* runner);
  void WatchCall(const Runner& runner);
  void Finish(Runner* runner, std::size_t at, Answer answer);
  void Fail(const Runner& runner, std::size_t at, std::int32_t status, const char* text);
  void SettleBefore(Runner* runner, std::size_t at);
  void Exit(Runner* runner, ExitClass exit_class, Sequence charged);
  void PlanRunnerKill();
  void KillRunner();
  void Apply(std::uint64_t event);
  void Store(std::function<void()> op);
  void OnCheckpoint(Position position);
  void Watch();
  bool Done() const;
  std::uint64_t Left(LetterState state) const;
  void Wrong(std::string text);
  void After(Time delay, std::function<void()> work);
  Tick Now() { return {.now = scheduler_.now(), .random = random_.Next()}; }
  std::string StreamNameOf(std::uint64_t event) const {
    return "stream-" + std::to_string(StreamOf(event));
  }
  std::string TypeNameOf(std::uint64_t event) const {
    return "type-" + std::to_string(TypeOf(event));
  }
  static Position PlaceOf(std::uint64_t event) { return {event * 10 + 10, event * 10 + 10}; }
  static std::uint64_t EventAt(Position position) { return position.commit / 10 - 1; }

  const FailureScenario scenario_;
  EngineOptions options_;
  Random random_;
  Scheduler scheduler_;
  FailureResult result_;
  std::uint32_t share_sum_ = 0;

  // Durable.
  std::vector<std::uint8_t> applied_;
  std::vector<std::uint32_t> last_of_stream_;  // The last event applied, plus one.
  std::map<Position, Stored> letters_;
  std::set<std::string> holds_;
  std::optional<Position> checkpoint_;
  std::uint64_t checked_ = 0;  // Events that the checkpoint was seen to pass rightly.
  bool mended_ = false;
  bool lost_by_kill_ = false;  // Repetitions have a reason.

  // Of the present host.
  std::uint64_t process_ = 0;
  std::unique_ptr<Engine> engine_;
  Commands commands_;
  bool carrying_ = false;
  std::map<Sequence, std::pair<std::string, std::string>> names_;
  std::map<Sequence, std::uint64_t> events_;
  std::map<std::uint64_t, Answer> answers_;  // The last one of events that are not settled.
  std::set<std::string> parking_streams_;
  std::uint64_t next_ = 0;  // Event to be fed.
  CallNumber call_ = 0;
  bool subscribed_ = false;
  bool feed_asked_ = false;
  std::vector<Runner> runners_;  // By lane.
  std::uint64_t calls_ = 0;
  std::deque<std::function<void()>> store_;
  std::uint64_t wakes_ = 0;
  std::uint64_t inputs_ = 0;
  bool was_open_ = false;
};

}  // namespace catchup::sim
