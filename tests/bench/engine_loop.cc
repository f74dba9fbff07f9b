#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>

#include "host/engine/engine.h"

// What the engine costs an event in the plain path of a catch-up: events arrive, are handed over,
// their outcomes come 16 at a time and 64 events later, checkpoints are written behind them.
//
//   engine_loop [EVENTS]   prints nanoseconds an event

namespace catchup {
namespace {

constexpr Sequence kOutcomes = 16;
constexpr Sequence kLag = 64;
constexpr std::chrono::nanoseconds kPace{1'000};  // A million events a second.

class Loop {
 public:
  Loop() {
    engine_.Start({}, Now(), &commands_);
    engine_.RunnerReady(1, {}, Now(), &commands_);
    CarryOut();
    engine_.ServerKnown(1, {}, Now(), &commands_);
    CarryOut();
  }

  void Run(std::uint64_t events) {
    for (std::uint64_t n = 1; n <= events; ++n) {
      now_ += kPace;
      if (wake_at_.has_value() && now_ >= *wake_at_) {
        wake_at_.reset();
        engine_.Woke(Now(), &commands_);
        CarryOut();
      }
      const Sequence sequence =
          engine_.Event(1, {n * 100, n * 100}, 256, false, {}, Now(), &commands_);
      CarryOut();
      if (sequence % kOutcomes == 0 && sequence > kLag) {
        engine_.Settled(1, sequence - kLag, Now(), &commands_);
        CarryOut();
        if (const auto written = writing_; written.has_value()) {
          writing_.reset();
          engine_.CheckpointDurable(*written, {}, Now(), &commands_);
          CarryOut();
        }
      }
      if (!engine_.wants_frames()) {
        std::fprintf(stderr, "the window is full at event %llu\n",
                     static_cast<unsigned long long>(n));
        std::exit(1);
      }
    }
  }

  std::uint64_t handled() const { return engine_.counts().handled; }

 private:
  Tick Now() { return {.now = now_, .random = 250}; }

  void CarryOut() {
    for (const Command& command : commands_) {
      if (command.kind == Command::Kind::kPersist) {
        writing_ = command.from;
      } else if (command.kind == Command::Kind::kWakeAt) {
        wake_at_ = command.at;
      }
    }
    commands_.clear();
  }

  Engine engine_{EngineOptions{}};
  Commands commands_;
  std::chrono::nanoseconds now_ = std::chrono::hours(1);
  std::optional<Position> writing_;
  std::optional<std::chrono::nanoseconds> wake_at_;
};

}  // namespace
}  // namespace catchup

int main(int argc, char** argv) {
  const std::uint64_t events = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 10'000'000;
  catchup::Loop loop;
  const auto start = std::chrono::steady_clock::now();
  loop.Run(events);
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("%.1f ns an event, %llu handled\n", took.count() / static_cast<double>(events),
              static_cast<unsigned long long>(loop.handled()));
  return 0;
}
