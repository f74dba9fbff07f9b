#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "host/engine/command.h"

namespace catchup {

// What an adapter hands in with every input.
struct Tick {
  std::chrono::nanoseconds now{};  // Monotonic, from any origin.
  std::uint64_t random = 0;        // 64 fresh random bits, for jitter.
};

// One input on its way through the engine and its parts: the only clock, the only chance and the
// only answer that they have.
struct Turn {
  std::chrono::nanoseconds now;
  std::uint64_t random;
  Commands* out;

  Turn(Tick tick, Commands* commands) : now(tick.now), random(tick.random), out(commands) {}

  Command& Add(Command::Kind kind) {
    Command& command = out->emplace_back();
    command.kind = kind;
    return command;
  }

  // Worth a line in the log; it is about `position`, if any.
  void Tell(Notice notice, std::string text, bool expected,
            const std::optional<Position>& position = std::nullopt) {
    Command& command = Add(Command::Kind::kNotice);
    command.notice = notice;
    command.text = std::move(text);
    command.expected = expected;
    command.from = position;
  }

  // Of the try number `attempt`, from 1, that comes after `delay`.
  void TellTry(Notice notice, std::string text, bool expected, std::uint64_t attempt,
               std::chrono::nanoseconds delay) {
    Tell(notice, std::move(text), expected);
    out->back().number = attempt;
    out->back().delay = delay;
  }
};

}  // namespace catchup
