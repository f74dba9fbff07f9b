#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/history.h"
#include "tests/sim/random.h"

namespace catchup::sim {

// What a plugin makes of each event: which ones it fails, how, how often, and what it does while
// what it depends on is out. The same in every process, since it is the plugin's file and its
// world that decide.
class SimBehaviour {
 public:
  enum class Answer : std::uint8_t { kOk, kReject, kRetry, kNetwork, kText, kFail, kHang, kCrash };

  // Nothing goes wrong.
  SimBehaviour() = default;

  SimBehaviour(const std::vector<LogEvent>& log, Random* random) {
    for (std::uint64_t left = random->Between(0, random->Chance(10) ? 40 : 4); left > 0; --left) {
      Poison poison{PoisonOf(random), random->Chance(40) ? random->Between(1, 6) : kAlways};
      poisons_.insert_or_assign(random->Between(0, log.size() - 1), poison);
    }
    for (std::uint64_t left = random->Chance(60) ? random->Between(0, 2) : 0; left > 0; --left) {
      Outage outage;
      outage.from = std::chrono::milliseconds(random->Between(0, 400));
      outage.to = outage.from + std::chrono::milliseconds(random->Chance(70)
                                                              ? random->Between(1, 1'000)
                                                              : random->Between(1'000, 60'000));
      outage.answer = OutageOf(random);
      outage.types = random->Chance(60) ? ~0u : static_cast<std::uint32_t>(random->Next());
      outages_.push_back(outage);
    }
  }

  // Of a call at `now`. Counts it, where the event misbehaves only so many times.
  Answer AnswerTo(std::size_t event, std::uint32_t type, std::chrono::nanoseconds now,
                  FaultCounts* faults) {
    if (const auto found = poisons_.find(event);
        found != poisons_.end() && found->second.left > 0) {
      if (found->second.left != kAlways && --found->second.left == 0) {
        faults->Fired(Fault::kMendsItself);
      }
      return found->second.answer;
    }
    for (const Outage& outage : outages_) {
      if (now >= outage.from && now < outage.to && ((outage.types >> type) & 1u) != 0) {
        faults->Fired(outage.answer == Answer::kRetry || outage.answer == Answer::kNetwork
                          ? Fault::kKnownOutage
                          : Fault::kUnknownOutage);
        return outage.answer;
      }
    }
    return Answer::kOk;
  }

  // Every event of a type fails, and nobody can tell why.
  void BreakType(std::uint32_t type) {
    outages_.push_back({.to = std::chrono::hours(1), .answer = Answer::kFail, .types = 1u << type});
  }

  // Another file of the plugin, without some of its faults.
  void Mend(Random* random) {
    std::erase_if(poisons_, [random](const auto&) { return random->Chance(50); });
  }

  // What it depends on is there for good, and what it cannot apply it rejects.
  void Calm(Random* random) {
    outages_.clear();
    std::erase_if(poisons_, [random](const auto& one) {
      return one.second.answer != Answer::kReject || random->Chance(50);
    });
  }

 private:
  static constexpr std::uint64_t kAlways = 1'000'000;

  struct Poison {
    Answer answer = Answer::kOk;
    std::uint64_t left = 0;
  };
  struct Outage {
    std::chrono::nanoseconds from{};
    std::chrono::nanoseconds to{};
    Answer answer = Answer::kOk;
    std::uint32_t types = 0;
  };

  static Answer PoisonOf(Random* random) {
    constexpr Answer kAnswers[] = {Answer::kReject, Answer::kText, Answer::kText, Answer::kFail,
                                   Answer::kFail,   Answer::kFail, Answer::kHang, Answer::kCrash};
    return kAnswers[random->Between(0, 7)];
  }
  static Answer OutageOf(Random* random) {
    constexpr Answer kAnswers[] = {Answer::kRetry, Answer::kNetwork, Answer::kText,
                                   Answer::kFail,  Answer::kFail,    Answer::kCrash};
    return kAnswers[random->Between(0, 5)];
  }

  std::map<std::size_t, Poison> poisons_;
  std::vector<Outage> outages_;
};

}  // namespace catchup::sim
