#pragma once

#include <chrono>
#include <cstdint>
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

  void Log(std::string text, bool expected) {
    Command& command = Add(Command::Kind::kLog);
    command.text = std::move(text);
    command.expected = expected;
  }

  // Of the try number `attempt`, from 1, that comes after `delay`.
  void LogTry(std::string text, bool expected, std::uint64_t attempt,
              std::chrono::nanoseconds delay) {
    Log(std::move(text), expected);
    out->back().number = attempt;
    out->back().delay = delay;
  }
};

}  // namespace catchup
