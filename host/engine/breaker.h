#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

namespace catchup {

// Keeps a group from calling a plugin whose dependencies are down.
//
//   closed ──5 infrastructure failures, 30 s of nothing else, or Open──► open
//     ▲                                                                   │ the time is over
//     │ three successes in a row                                          ▼
//     └───────────────────────────────────────────────────────────── half-open
//                                                  (a failed probe: open again, twice as long)
//
// While open nothing is called. Half-open, one call at a time. After it has closed, the number of
// calls in flight doubles from one with each success, so that what has just recovered is not
// flooded. Says nothing about whose call is a probe: the caller knows.
class Breaker {
 public:
  struct Options {
    std::uint32_t failures = 5;
    std::chrono::nanoseconds open = std::chrono::seconds(5);
    std::chrono::nanoseconds max_open = std::chrono::seconds(60);
  };

  // Failures that last so long open it, however few they are.
  static constexpr std::chrono::nanoseconds kFailingFor = std::chrono::seconds(30);
  static constexpr std::uint32_t kSuccessesToClose = 3;
  static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

  explicit Breaker(const Options& options) : options_(options), open_for_(options.open) {}

  // A call failed for infrastructure while it was closed. True: that opens it. `random` is 64 fresh
  // random bits, here and below.
  bool OnInfrastructure(std::chrono::nanoseconds now, std::uint64_t random);

  // Opens it, closed before, for another reason.
  void Open(std::chrono::nanoseconds now, std::uint64_t random);

  // A probe failed, half-open before.
  void Reopen(std::chrono::nanoseconds now, std::uint64_t random);

  // The open time is over: half-open. False while it is not, or it is not open.
  bool TryOut(std::chrono::nanoseconds now);

  // The open time counts as over: what was wrong may be mended.
  void Hasten(std::chrono::nanoseconds now);

  // `count` calls succeeded while it was closed.
  void OnSuccess(std::uint64_t count = 1) {
    if (!pristine_) [[unlikely]] {
      CountSuccess(count);
    }
  }
  // A probe succeeded. True: it has closed.
  bool OnProbeSuccess();

  // A letter was written while it was not closed; told once when it closes.
  void NoteLetter() { wrote_ = wrote_ || !closed(); }
  // Whether one was, since it was closed last; forgets it.
  bool TakeWrote();

  bool closed() const { return state_ == State::kClosed; }
  bool open() const { return state_ == State::kOpen; }
  bool half_open() const { return state_ == State::kHalfOpen; }
  // Closed, with nothing to remember and no limit.
  bool pristine() const { return pristine_; }
  std::uint64_t most_in_flight() const { return half_open() ? 1 : most_in_flight_; }
  std::optional<std::chrono::nanoseconds> open_until() const {
    return open() ? std::optional(open_until_) : std::nullopt;
  }
  // When it opened first since it was closed last: how often it was tried meanwhile does not
  // matter.
  std::chrono::nanoseconds opened_at() const { return opened_at_; }

 private:
  enum class State : std::uint8_t { kClosed, kOpen, kHalfOpen };

  void OpenFor(std::chrono::nanoseconds duration, std::chrono::nanoseconds now,
               std::uint64_t random);
  void CountSuccess(std::uint64_t count);

  const Options options_;
  State state_ = State::kClosed;
  bool pristine_ = true;
  bool wrote_ = false;
  std::uint32_t failures_ = 0;                             // Without a success between.
  std::optional<std::chrono::nanoseconds> failing_since_;  // The first of them.
  std::chrono::nanoseconds open_for_;
  std::chrono::nanoseconds open_until_{};
  std::chrono::nanoseconds opened_at_{};
  std::uint32_t successes_ = 0;  // In a row, half-open.
  std::uint64_t most_in_flight_ = kNoLimit;
};

}  // namespace catchup
