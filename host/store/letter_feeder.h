#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/status.h"
#include "host/store/letter_sink.h"
#include "host/store/letter_steps.h"

namespace catchup {

// Brings the steps of one group's letters to one sink, at least once and in order. A sink that
// fails is tried again, ever more seldom, for as long as the host runs, and holds up nobody but
// itself; the log says so once, and once again when it works, with how often it was tried.
//
// Has no thread and no clock: whoever owns it calls Feed() when told to, and after each change of a
// letter. One thread at a time.
class LetterFeeder {
 public:
  // How long a failing sink is left alone: the first time, and at most.
  static constexpr std::chrono::seconds kFirstWait{1};
  static constexpr std::chrono::seconds kLongestWait{60};

  // The store as the feeder needs it; called inside Feed() only. Whoever provides them sees to it
  // that the store is used by one thread at a time, and that no delivery holds it up.
  struct Store {
    std::function<Result<LetterSteps::Part>()> read;
    std::function<Status(std::uint64_t number)> confirm;
  };

  // `name` as configured, "jsonl:FILE" or "stream:NAME".
  LetterFeeder(std::string group, std::string name, std::unique_ptr<LetterSink> sink, Store store);

  // Delivers a part of the steps. Returns after how long to call it again; nothing: when there is a
  // new step.
  std::optional<std::chrono::nanoseconds> Feed();

  // How the last Feed() left its sink.
  struct Standing {
    std::uint64_t behind = 0;  // Steps that the sink lacks.
    std::string trouble;       // Why it was left alone; empty where it works.
  };
  const Standing& standing() const { return standing_; }

 private:
  Status Deliver(std::size_t* delivered);
  void TellMissed(const LetterSteps::Part& part);

  const std::string group_;
  const std::string name_;
  const std::unique_ptr<LetterSink> sink_;
  const Store store_;
  std::uint64_t failures_ = 0;  // In a row.
  Standing standing_;
};

}  // namespace catchup
