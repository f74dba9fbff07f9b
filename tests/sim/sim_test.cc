#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "tests/sim/checker.h"
#include "tests/sim/faults.h"
#include "tests/sim/history_text.h"
#include "tests/sim/number_argument.h"
#include "tests/sim/world.h"

// The engine under random histories. Options:
//
//   --seeds N   how many histories (40000)
//   --seed S    only this one, as a failed run says, and show its history where it fails
//   --first S   the first seed (1)
//   --threads T how many at once (1)
//   --failures N ends after so many (500)

namespace catchup::sim {
namespace {

std::uint64_t g_seeds = 40'000;
std::uint64_t g_first = 1;
std::uint64_t g_threads = 1;
std::uint64_t g_most_failures = 500;
bool g_single = false;

// Fewer histories may miss a rare fault without that being a defect.
constexpr std::uint64_t kSeedsThatMeetEveryFault = 40'000;

// All but the rarest: they need a checkpoint write that finds no room, and a letter's call that
// ends the group, before the first frame has come; or a letter dropped that makes room for one
// event, so that the next finds none, while a letter's write holds both up.
constexpr std::uint64_t kSeedsThatMeetMostTransitions = 500'000;
constexpr std::uint64_t kSeedsThatMeetEveryTransition = 10'000'000;
constexpr std::string_view kRarestTransitions[] = {
    "waiting to starting by 8; ", "starting to failed by 2; ", "catching up to waiting by 1; ",
    "caught up to waiting by 1; "};

constexpr std::uint64_t kMostThreads = 256;

// The history that runs now, for one that ends the process.
thread_local std::uint64_t g_running = 0;
thread_local const World* g_world = nullptr;

// A check in the product has failed. Nothing but this is left to do, so printing is no worse here
// than elsewhere.
void OnAbort(int) {
  std::printf("seed %llu: aborted\nrepeat: sim_test --seed %llu\n",
              static_cast<unsigned long long>(g_running),
              static_cast<unsigned long long>(g_running));
  if (g_single && g_world != nullptr) {
    std::fputs(Describe(g_world->history()).c_str(), stdout);
  }
  std::fflush(stdout);
}

// What is wrong with one history; empty when nothing is.
std::string RunOne(std::uint64_t seed, FaultCounts* faults, TransitionsSeen* transitions) {
  World world(seed, faults, transitions);
  g_running = seed;
  g_world = &world;
  std::string text = world.Run();
  g_world = nullptr;
  if (!text.empty()) {
    text = "the engine broke its word: " + text;
  }
  for (const Violation& violation : Check(world.history())) {
    text += "\n  " + violation.invariant + " at record " + std::to_string(violation.record) + ": " +
            violation.text;
  }
  if (g_single && !text.empty()) {
    std::fputs(Describe(world.history()).c_str(), stdout);
  }
  return text;
}

// What all histories together have met.
struct Tally {
  FaultCounts faults;
  TransitionsSeen transitions;
};

// One thread after another takes the next seed, until there is none or enough have failed.
class Histories {
 public:
  Tally Run() {
    std::vector<Tally> tallies(g_threads);
    std::vector<std::thread> threads;
    for (std::size_t i = 1; i < tallies.size(); ++i) {
      threads.emplace_back([this, tally = &tallies[i]] { Work(tally); });
    }
    Work(&tallies.front());
    for (std::thread& thread : threads) {
      thread.join();
    }
    for (std::size_t i = 1; i < tallies.size(); ++i) {
      tallies.front().faults.Add(tallies[i].faults);
      tallies.front().transitions.Add(tallies[i].transitions);
    }
    return tallies.front();
  }

  std::uint64_t failures() const { return failures_; }

 private:
  void Work(Tally* tally) {
    while (failures_ < g_most_failures) {
      const std::uint64_t seed = next_++;
      if (seed >= g_first + g_seeds) {
        return;
      }
      const std::string text = RunOne(seed, &tally->faults, &tally->transitions);
      if (!text.empty()) {
        ++failures_;
        ADD_FAILURE() << "seed " << seed << ": " << text << "\nrepeat: sim_test --seed " << seed;
      }
    }
  }

  std::atomic<std::uint64_t> next_{g_first};
  std::atomic<std::uint64_t> failures_{0};
};

TEST(SimulationTest, NoHistoryBreaksAnInvariant) {
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(g_first),
              static_cast<unsigned long long>(g_first + g_seeds - 1));
  Histories histories;
  const auto [faults, transitions] = histories.Run();
  const std::uint64_t failures = histories.failures();
  for (std::size_t i = 0; i < kFaultNames.size(); ++i) {
    const std::uint64_t count = faults.count(static_cast<Fault>(i));
    std::printf("%10llu  %s\n", static_cast<unsigned long long>(count),
                std::string(kFaultNames[i]).c_str());
    if (!g_single && failures == 0 && g_seeds >= kSeedsThatMeetEveryFault) {
      EXPECT_GT(count, 0u) << kFaultNames[i] << " never happened";
    }
  }
  if (!g_single && failures == 0 && g_seeds >= kSeedsThatMeetMostTransitions) {
    std::string missing = transitions.Missing();
    for (const std::string_view rare : kRarestTransitions) {
      const std::size_t at = missing.find(rare);
      if (at != std::string::npos && g_seeds < kSeedsThatMeetEveryTransition) {
        missing.erase(at, rare.size());
      }
    }
    EXPECT_EQ(missing, "") << "(1 operator, 2 runner, 4 source, 8 store, 16 clock)";
  }
}

// The same seed must give the same history, or a failure could not be repeated.
TEST(SimulationTest, ASeedRepeatsItsHistory) {
  FaultCounts faults;
  TransitionsSeen transitions;
  World first(g_first, &faults, &transitions);
  World second(g_first, &faults, &transitions);
  first.Run();
  second.Run();
  ASSERT_EQ(first.history().records.size(), second.history().records.size());
  for (std::size_t i = 0; i < first.history().records.size(); ++i) {
    EXPECT_EQ(first.history().records[i].kind, second.history().records[i].kind) << i;
    EXPECT_EQ(first.history().records[i].position, second.history().records[i].position) << i;
  }
}

}  // namespace
}  // namespace catchup::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::signal(SIGABRT, catchup::sim::OnAbort);
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc || (option != "--seeds" && option != "--seed" && option != "--first" &&
                          option != "--threads" && option != "--failures")) {
      std::fprintf(stderr,
                   "%s: wanted --seeds N, --seed S, --first S, --threads T or --failures N\n",
                   argv[i]);
      return 2;
    }
    const std::uint64_t number = catchup::sim::NumberArgument(argv[i + 1]);
    if (option == "--seeds") {
      catchup::sim::g_seeds = number;
    } else if (option == "--threads") {
      catchup::sim::g_threads = std::clamp<std::uint64_t>(number, 1, catchup::sim::kMostThreads);
    } else if (option == "--failures") {
      catchup::sim::g_most_failures = number;
    } else {
      catchup::sim::g_first = number;
    }
    if (option == "--seed") {
      catchup::sim::g_seeds = 1;
      catchup::sim::g_single = true;
    }
  }
  return RUN_ALL_TESTS();
}
