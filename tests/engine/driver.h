#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/engine/engine.h"

namespace catchup {

using Kind = Command::Kind;
using namespace std::chrono_literals;

// Position n:n.
inline Position P(std::uint64_t n) { return {n, n}; }

// A letter of stream a, as the store has it.
inline LetterSummary StoredLetter(Position position, LetterState state = LetterState::kHealing) {
  LetterSummary letter;
  letter.position = position;
  letter.stream = "a";
  letter.type = "t";
  letter.state = state;
  return letter;
}

// Streams and types by sequence.
class Names final : public EventNames {
 public:
  EventName NameOf(Sequence sequence) const override {
    const auto& [stream, type] = names.at(sequence);
    return {stream, type};
  }
  std::map<Sequence, std::pair<std::string, std::string>> names;
};

// A server that does not say when it is caught up, and one that is older than 23.10 in all.
inline constexpr ServerTraits kSilent{.resumes_anywhere = true, .says_caught_up = false};
inline constexpr ServerTraits kOld{.resumes_anywhere = false, .says_caught_up = false};

// An engine with a clock that stands still unless moved, and random numbers that leave a backoff
// without jitter. Each input returns what the engine answered to it. The questions for the server
// and for the end of the log are answered at once with `server` and `log_end`.
class Driver {
 public:
  explicit Driver(const EngineOptions& options = {}, const EventNames* names = nullptr)
      : engine(options, names) {}

  Tick tick() const { return {.now = now, .random = 250}; }

  Commands Start(StartPoint start = {}) {
    return Run([&](Commands* out) { engine.Start(start, tick(), out); });
  }
  Commands Stop() {
    return Run([&](Commands* out) { engine.Stop(tick(), out); });
  }
  Commands Ready(SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.RunnerReady(spawn, {}, tick(), out); });
  }
  Commands ReadyAt(SpawnNumber spawn, std::optional<Position> loaded) {
    return Run([&](Commands* out) { engine.RunnerReady(spawn, {true, loaded}, tick(), out); });
  }
  Commands Settled(Sequence last, SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.Settled(spawn, last, tick(), out); });
  }
  Commands Failed(const BadOutcome& outcome, SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.Failed(spawn, outcome, tick(), out); });
  }
  Commands ContractBroken(std::string_view text, SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.ContractBroken(spawn, text, tick(), out); });
  }
  Commands Hung(Sequence event, SpawnNumber spawn = 1) {
    return Run([&](Commands* out) {
      engine.Hung(spawn, event, "handle", "handler_timeout = 30s", tick(), out);
    });
  }
  Commands Exited(SpawnNumber spawn, ExitClass exit_class, Sequence charged = 0,
                  std::string_view text = "") {
    return Run(
        [&](Commands* out) { engine.RunnerExited(spawn, exit_class, charged, text, tick(), out); });
  }
  Commands Event(Position position, std::uint64_t bytes = 1, bool skip = false, CallNumber call = 1,
                 EventName name = {}) {
    return Run([&](Commands* out) {
      sequence = engine.Event(call, position, bytes, skip, name, tick(), out);
    });
  }
  // Events at first:first … last:last.
  void Events(std::uint64_t first, std::uint64_t last, CallNumber call = 1) {
    for (std::uint64_t n = first; n <= last; ++n) {
      Event(P(n), 1, false, call);
    }
  }
  Commands Checkpoint(Position position, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.CheckpointFrame(call, position, tick(), out); });
  }
  Commands CaughtUp(std::optional<Position> position = {}, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.CaughtUp(call, position, tick(), out); });
  }
  Commands Head(std::optional<Position> head, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.Head(call, head, tick(), out); });
  }
  Commands HeadSeen(std::optional<Position> head) {
    return Run([&](Commands* out) { engine.HeadSeen(head, tick(), out); });
  }
  Commands NextKnown(std::optional<Position> next, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.NextKnown(call, next, tick(), out); });
  }
  Commands NextUnknown(std::string_view why, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.NextUnknown(call, why, tick(), out); });
  }
  Commands Ended(EndClass end = EndClass::kDropped, CallNumber call = 1) {
    return Ended(EndOfCall{.kind = end, .answered = true, .text = "reset"}, call);
  }
  Commands Ended(const EndOfCall& end, CallNumber call) {
    return Run([&](Commands* out) { engine.SubscriptionEnded(call, end, tick(), out); });
  }
  Commands SourceAnswers() {
    return Run([&](Commands* out) { engine.SourceAnswers(tick(), out); });
  }
  Commands AccessChanged() {
    return Run([&](Commands* out) { engine.AccessChanged(tick(), out); });
  }
  Commands EndKnown(std::optional<Position> known, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.EndKnown(call, known, tick(), out); });
  }
  Commands WitnessRead(std::optional<FirstRecord> first, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.WitnessRead(call, first, tick(), out); });
  }
  Commands WitnessStreamRead(const StreamRevision& found, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.WitnessStreamRead(call, found, tick(), out); });
  }
  Commands Probed(std::optional<Position> found, CallNumber call = 1) {
    return Run([&](Commands* out) { engine.Probed(call, found, tick(), out); });
  }
  Commands Replace(SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.ReplaceRunner(spawn, "it is fat", tick(), out); });
  }
  Commands Retire(SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.RetireRunner(spawn, "it leaks", tick(), out); });
  }
  Commands Discard(SpawnNumber spawn = 1) {
    return Run([&](Commands* out) { engine.DiscardRunner(spawn, "no ground", tick(), out); });
  }
  // `handled`: the event that became a witness with it, if any did.
  Commands Durable(Position position, const std::optional<Witness>& handled = std::nullopt) {
    return Run([&](Commands* out) { engine.CheckpointDurable(position, handled, tick(), out); });
  }
  Commands LetterDurable(Sequence letter) {
    return Run([&](Commands* out) { engine.LetterDurable(letter, tick(), out); });
  }
  Commands LettersExhausted() {
    return Run([&](Commands* out) { engine.LettersExhausted(tick(), out); });
  }
  Commands LettersNotBegun() {
    return Run([&](Commands* out) { engine.LettersNotBegun(tick(), out); });
  }
  // What was asked to be written of a letter first, of what has not been told of yet.
  Commands LetterStored() {
    if (letter_writes.empty()) {
      return {};
    }
    const Position letter = letter_writes.front();
    letter_writes.pop_front();
    return Run([&](Commands* out) { engine.LetterStored(letter, tick(), out); });
  }
  Commands NotBegun() {
    return Run([&](Commands* out) { engine.CheckpointNotBegun(tick(), out); });
  }
  Commands NoRoom(std::string_view text = "checkpoint not written: no space") {
    return Run([&](Commands* out) { engine.CheckpointExhausted(text, tick(), out); });
  }
  Commands NoToken(SpawnNumber spawn) {
    return Run([&](Commands* out) {
      engine.SpawnExhausted(spawn, "fencing token not written: no space", tick(), out);
    });
  }
  Commands StoreFailed() {
    return Run([&](Commands* out) { engine.StoreFailed("no space", tick(), out); });
  }
  // Moves the clock by `delay` and wakes the engine.
  Commands Wake(std::chrono::nanoseconds delay) {
    now += delay;
    return Run([&](Commands* out) { engine.Woke(tick(), out); });
  }

  // In how long the engine is to be woken, as `answer` asks; negative when it does not.
  std::chrono::nanoseconds WakeIn(const Commands& answer) const {
    for (const Command& command : answer) {
      if (command.kind == Command::Kind::kWakeAt) {
        return command.at - now;
      }
    }
    return -1ns;
  }

  // Started without a checkpoint, runner 1 ready, call 1 open and live.
  void Run() {
    Start();
    Ready();
    Checkpoint(kEndOfLog);  // A frame that says nothing.
  }

  Engine engine;
  std::chrono::nanoseconds now = 1h;
  Sequence sequence = 0;  // What the last Event returned.
  std::deque<Position> letter_writes;
  ServerTraits server;
  // Where the log ends, null for an empty one; far beyond whatever a test speaks of.
  std::optional<Position> log_end = P(1'000'000);
  bool tells_end = true;     // False: the test answers by itself.
  bool tells_server = true;  // As much of what the server is.

 private:
  template <typename Input>
  Commands Run(Input input) {
    Commands commands;
    input(&commands);
    Check();
    for (std::size_t i = 0; i < commands.size(); ++i) {
      if (commands[i].kind == Command::Kind::kConnect && tells_server) {
        engine.ServerKnown(commands[i].number, server, tick(), &commands);
        Check();
      } else if (commands[i].kind == Command::Kind::kReadEnd && tells_end) {
        engine.EndKnown(commands[i].number, log_end, tick(), &commands);
        Check();
      } else if (commands[i].kind == Command::Kind::kUpdateLetter) {
        letter_writes.push_back(commands[i].letter->position);
      } else if (commands[i].kind == Command::Kind::kRemoveLetter) {
        letter_writes.push_back(*commands[i].from);
      }
    }
    return commands;
  }

  // What holds between any two inputs.
  void Check() {
    EXPECT_EQ(engine.CheckInvariants(), "");
    Commands more;
    engine.PlanAgain(tick(), &more);
    EXPECT_TRUE(more.empty()) << "a second plan found command " << static_cast<int>(more[0].kind);
  }
};

inline const Command* Find(const Commands& commands, Kind kind) {
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [kind](const Command& command) { return command.kind == kind; });
  return found == commands.end() ? nullptr : &*found;
}

inline bool Has(const Commands& commands, Kind kind) { return Find(commands, kind) != nullptr; }

// The position asked to be written, if any.
inline std::optional<Position> Persisted(const Commands& commands) {
  const Command* command = Find(commands, Kind::kPersist);
  return command == nullptr ? std::nullopt : command->from;
}

// What was handed to the runner as {first, last}; {0, 0} when nothing was.
inline std::pair<Sequence, Sequence> Delivered(const Commands& commands) {
  const Command* command = Find(commands, Kind::kDeliver);
  return command == nullptr ? std::pair<Sequence, Sequence>{0, 0}
                            : std::pair{command->first, command->last};
}

inline bool Contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

}  // namespace catchup
