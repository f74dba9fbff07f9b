#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/failure_world.h"
#include "tests/sim/number_argument.h"

// What failures cost a group: letters, time, and nothing else. Options:
//
//   --seeds N   how many random histories (300, or 60 under a sanitizer)
//   --seed S    only this one

namespace catchup::sim {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

// A sanitizer takes about eight times as long.
#ifdef __SANITIZE_ADDRESS__
std::uint64_t g_seeds = 60;
#else
std::uint64_t g_seeds = 300;
#endif
std::uint64_t g_first = 1;

std::string Text(const FailureResult& result) {
  std::string text;
  for (const std::string& wrong : result.wrong) {
    text += "\n  " + wrong;
  }
  return text;
}

double Seconds(nanoseconds time) { return std::chrono::duration<double>(time).count(); }

void Print(const std::string& what, const FailureResult& result) {
  std::printf(
      "%-40s letters %6llu followers %6llu opened %4llu holds %llu healed %.1f s, closed "
      "%.1f s, handled %llu\n",
      what.c_str(), static_cast<unsigned long long>(result.letters),
      static_cast<unsigned long long>(result.followers),
      static_cast<unsigned long long>(result.opened), static_cast<unsigned long long>(result.holds),
      result.healed_at ? Seconds(*result.healed_at) : -1.0,
      result.closed_at ? Seconds(*result.closed_at) : -1.0,
      static_cast<unsigned long long>(result.handled));
}

// 50 events a second of three types and a fourth one that the plugin ignores, a fifth of all or as
// many as of the others together; after five minutes an outage of `length`.
FailureScenario Outage(Answer answer, nanoseconds length, bool half_ignored = false) {
  FailureScenario scenario;
  scenario.events = static_cast<std::uint64_t>((Seconds(length) + 900) * 50);
  scenario.shares = {4, 4, 4, half_ignored ? 12u : 3u};
  scenario.ignored = 0b1000;
  Trouble trouble;
  trouble.from = 300s;
  trouble.to = 300s + length;
  trouble.answer = answer;
  scenario.troubles = {trouble};
  scenario.end = 100h;
  scenario.until_healed = true;
  return scenario;
}

struct OutageCase {
  std::chrono::seconds length;
  std::uint64_t most_letters;
};

class OutageTest : public testing::TestWithParam<OutageCase> {};

// The promise of the whole: whatever an outage's text, nothing of it is left.
TEST_P(OutageTest, OfAnUnknownTextLeavesFewLettersAndAllHealByThemselves) {
  const FailureResult result = FailureWorld(Outage(Answer::kFail, GetParam().length)).Run();
  Print("unknown outage of " + std::to_string(GetParam().length.count()) + " s", result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_TRUE(result.complete);
  EXPECT_LE(result.letters, GetParam().most_letters);
  EXPECT_EQ(result.left_healing + result.left_dead, 0u);
  EXPECT_EQ(result.repeated, 0u);
  if (result.closed_at && result.healed_at) {
    EXPECT_LE(*result.healed_at - *result.closed_at, 15s);
  }
}

TEST_P(OutageTest, OfKnownInfrastructureLeavesNoLetterAtAll) {
  const FailureResult result = FailureWorld(Outage(Answer::kRetry, GetParam().length)).Run();
  Print("known outage of " + std::to_string(GetParam().length.count()) + " s", result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.letters + result.followers, 0u);
}

class OutageOfHalfTest : public testing::TestWithParam<OutageCase> {};

// Successes of what the plugin ignores close the breaker in the middle of a long outage, until the
// types that fail are held: what they send is a letter without a call while half of the store is
// free. The model leaves 0, 1, 7, 18 and 34,543 letters.
TEST_P(OutageOfHalfTest, HealsByItselfWhereHalfIsIgnored) {
  const FailureResult result = FailureWorld(Outage(Answer::kFail, GetParam().length, true)).Run();
  Print("half ignored, unknown outage of " + std::to_string(GetParam().length.count()) + " s",
        result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_TRUE(result.complete);
  EXPECT_LE(result.letters, GetParam().most_letters);
  EXPECT_EQ(result.left_healing + result.left_dead, 0u);
  EXPECT_EQ(result.repeated, 0u);
  if (result.healed_at) {
    // From its end: a probe, and for each letter and follower a call and a commit of the store.
    EXPECT_LE(*result.healed_at - 300s - GetParam().length,
              90s + 4ms * (result.letters + result.followers));
  }
}

// A text that a rule takes for a matter of the event, said of everything, is an outage too.
TEST(FailureSimulationTest, AnOutageInWordsOfTheDomainIsBoundByTheBudget) {
  const FailureResult result = FailureWorld(Outage(Answer::kText, 600s)).Run();
  Print("outage in words of the domain", result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_TRUE(result.complete);
  EXPECT_LE(result.letters, 80u) << "ten of twenty events of each type, and one a probe";
  EXPECT_GE(result.letters, 10u) << "the fault never fired";
}

// Nor does a plugin that dies on every event cost more than a letter a probe, or the group.
TEST(FailureSimulationTest, AnOutageOfCrashesOrHangsGivesNothingUp) {
  for (const Answer answer : {Answer::kCrash, Answer::kHang}) {
    const FailureResult result = FailureWorld(Outage(answer, 1800s)).Run();
    Print("outage of class " + std::to_string(static_cast<int>(answer)), result);
    EXPECT_TRUE(result.wrong.empty()) << Text(result);
    EXPECT_TRUE(result.complete);
    EXPECT_LE(result.letters, 80u);
  }
}

// Twice what the model of the rules leaves, which has other random numbers.
INSTANTIATE_TEST_SUITE_P(Lengths, OutageTest,
                         testing::Values(OutageCase{1s, 2}, OutageCase{10s, 5}, OutageCase{60s, 14},
                                         OutageCase{600s, 34}, OutageCase{7200s, 256}));

INSTANTIATE_TEST_SUITE_P(Lengths, OutageOfHalfTest,
                         testing::Values(OutageCase{1s, 2}, OutageCase{10s, 5}, OutageCase{60s, 14},
                                         OutageCase{600s, 36}, OutageCase{7200s, 50'000}));

class ManyLettersTest : public testing::TestWithParam<Answer> {};

// A thousand letters that go on to fail, beside 100 live events a second for an hour.
TEST_P(ManyLettersTest, TakeNoMoreThanATenthOfTheTime) {
  FailureScenario scenario;
  scenario.letters = 1'000;
  scenario.poison = GetParam();
  scenario.rate = 100;
  scenario.events = 1'000 + 100 * 3600;
  scenario.streams = 1'000'000;
  scenario.end = 1h;
  const FailureResult result = FailureWorld(scenario).Run();
  Print("1,000 letters of class " + std::to_string(static_cast<int>(GetParam())), result);
  const double share = Seconds(result.letter_time) / 3600;
  std::printf("%llu calls of letters, %.4f of the time\n",
              static_cast<unsigned long long>(result.letter_calls), share);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_EQ(result.opened, 0u);
  EXPECT_EQ(result.left_healing, 1'000u);
  EXPECT_GE(result.letter_calls, 10u) << "the fault never fired";
  EXPECT_LE(share, 0.1 + 30.0 / 3600) << "and one call";
  EXPECT_GE(result.handled + 100 * 40, 100u * 3590) << "of what came before the last call";
}

INSTANTIATE_TEST_SUITE_P(Classes, ManyLettersTest, testing::Values(Answer::kFail, Answer::kHang));

struct BrokenCase {
  std::uint32_t percent;
  double least;  // Handled a second, over an hour.
};

class BrokenTypeTest : public testing::TestWithParam<BrokenCase> {};

TEST_P(BrokenTypeTest, IsHeldAndTheOthersAreNotSlowed) {
  FailureScenario scenario;
  scenario.events = 50 * 3600;
  scenario.streams = 1'000'000;
  scenario.shares = {GetParam().percent, (100 - GetParam().percent) / 2,
                     (100 - GetParam().percent) / 2};
  scenario.broken = 1;
  scenario.end = 1h;
  const FailureResult result = FailureWorld(scenario).Run();
  Print("a broken type of " + std::to_string(GetParam().percent) + " %", result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_GE(static_cast<double>(result.handled) / 3600, GetParam().least);
  EXPECT_EQ(result.holds, 1u);
}

// The model says 49, 45 and 13.
INSTANTIATE_TEST_SUITE_P(Shares, BrokenTypeTest,
                         testing::Values(BrokenCase{1, 46}, BrokenCase{10, 42},
                                         BrokenCase{50, 10}));

TEST(FailureSimulationTest, ANewPluginFileHealsEverything) {
  FailureScenario scenario;
  scenario.events = 50 * 1200;
  scenario.broken = 0b111;
  scenario.mended_at = 600s;
  scenario.end = 10h;
  scenario.until_healed = true;
  const FailureResult result = FailureWorld(scenario).Run();
  Print("a plugin that fails everything", result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.handled, scenario.events);
  EXPECT_LE(result.letters, 40u) << "one a probe";
}

// One letter each, whatever their order: a row of poison events passes by itself.
TEST(FailureSimulationTest, ARowOfPoisonEventsPassesByItself) {
  for (const Answer answer : {Answer::kFail, Answer::kCrash, Answer::kHang, Answer::kText}) {
    FailureScenario scenario;
    scenario.events = 400;
    scenario.shares = {1};
    scenario.poison = answer;
    scenario.poison_per_100k = 3'000;
    scenario.end = 3h;
    const FailureResult result = FailureWorld(scenario).Run();
    Print("poison of class " + std::to_string(static_cast<int>(answer)), result);
    EXPECT_TRUE(result.wrong.empty()) << Text(result);
    EXPECT_EQ(result.handled + result.letters + result.followers, scenario.events);
    EXPECT_EQ(result.left_healing, result.letters);
    EXPECT_GE(result.letters, 5u) << "the fault never fired";
  }
}

TEST(FailureSimulationTest, RejectsAreDeadAndSlowNobody) {
  FailureScenario scenario;
  scenario.events = 50'000;
  scenario.rate = 0;
  scenario.order = LetterOrder::kEvent;
  scenario.rejects_per_100k = 20'000;
  scenario.until_healed = true;
  const FailureResult result = FailureWorld(scenario).Run();
  Print("a fifth rejected", result);
  EXPECT_TRUE(result.wrong.empty()) << Text(result);
  EXPECT_TRUE(result.complete);
  EXPECT_EQ(result.opened, 0u);
  EXPECT_EQ(result.left_dead + result.handled, scenario.events);
}

// Random mixtures of everything, with kills.
FailureScenario RandomScenario(std::uint64_t seed) {
  Random random(seed * 7'919);
  FailureScenario s;
  s.seed = seed;
  s.checks_each_input = random.Chance(20);
  s.rate = random.Chance(30) ? 0 : static_cast<double>(random.Between(5, 200));
  s.events = s.checks_each_input ? 400 : random.Between(500, 6'000);
  s.streams = random.Chance(50) ? static_cast<std::uint32_t>(random.Between(3, 200)) : 50'000;
  s.shares.clear();
  const std::uint64_t types = random.Between(1, 6);
  for (std::uint64_t i = 0; i < types; ++i) {
    s.shares.push_back(static_cast<std::uint32_t>(random.Between(1, 50)));
    s.ignored |= random.Chance(20) ? 1u << i : 0u;
  }
  for (std::uint64_t n = random.Between(0, 3); n > 0; --n) {
    Trouble trouble;
    trouble.from = std::chrono::seconds(random.Between(0, 120));
    trouble.to = trouble.from + std::chrono::seconds(random.Between(1, 1'000));
    trouble.answer = static_cast<Answer>(random.Between(2, 6));
    trouble.types = random.Chance(60) ? ~0u : static_cast<std::uint32_t>(random.Next());
    if (random.Chance(30)) {
      trouble.on = std::chrono::seconds(random.Between(1, 10));
      trouble.off = std::chrono::seconds(random.Between(1, 10));
    }
    trouble.percent = random.Chance(70) ? 100 : static_cast<std::uint32_t>(random.Between(5, 95));
    s.troubles.push_back(trouble);
  }
  if (random.Chance(50)) {
    s.poison_per_100k = random.Chance(50) ? 100 : 1'000;
    s.poison = static_cast<Answer>(random.Between(3, 6));
  }
  if (random.Chance(25)) {
    s.broken = 1u << random.Between(0, types - 1);
    s.broken_answer = static_cast<Answer>(random.Between(3, 6));
  }
  s.rejects_per_100k = random.Chance(20) ? 300 : 0;
  s.lanes = random.Chance(50) ? 1 : static_cast<std::uint32_t>(random.Between(2, 4));
  s.batch = random.Chance(70) ? 1 : static_cast<std::uint32_t>(random.Between(2, 20));
  if (random.Chance(30)) {
    // More than ten in ten minutes with nothing settled between is the group's end.
    s.kill_runner_every = std::chrono::seconds(random.Between(200, 900));
  }
  s.order = random.Chance(75) ? LetterOrder::kStream : LetterOrder::kEvent;
  s.max_letters = random.Chance(30) ? random.Between(20, 500) : 100'000;
  if (s.rejects_per_100k > 0) {
    s.max_letters = 100'000;  // Nobody drops what waits for a person.
  }
  s.kill_every = random.Chance(50) ? std::chrono::seconds(random.Between(5, 300)) : 0s;
  s.kill_until = 2'000s;
  s.mended_at = std::chrono::seconds(random.Between(1'500, 2'500));
  s.end = 60h;
  s.until_healed = true;
  return s;
}

TEST(FailureSimulationTest, NothingIsLostOutOfOrderOrStuck) {
  std::uint64_t kills = 0;
  std::uint64_t holds = 0;
  std::uint64_t followers = 0;
  std::uint64_t repeated = 0;
  std::uint64_t runner_kills = 0;
  std::uint64_t side_by_side = 0;
  std::uint64_t batches = 0;
  int failures = 0;
  std::printf("seeds %llu to %llu\n", static_cast<unsigned long long>(g_first),
              static_cast<unsigned long long>(g_first + g_seeds - 1));
  for (std::uint64_t seed = g_first; seed < g_first + g_seeds && failures < 3; ++seed) {
    const FailureResult result = FailureWorld(RandomScenario(seed)).Run();
    kills += result.kills;
    holds += result.holds;
    followers += result.followers;
    repeated += result.repeated;
    runner_kills += result.runner_kills;
    side_by_side += result.side_by_side;
    batches += result.batches;
    if (!result.wrong.empty() || !result.complete || result.left_healing > 0) {
      ++failures;
      ADD_FAILURE() << "seed " << seed << ": ended at " << Seconds(result.ended_at)
                    << " s, complete " << result.complete << ", healing " << result.left_healing
                    << ", letters " << result.letters << Text(result)
                    << "\nrepeat: failure_sim_test --seed " << seed;
    }
  }
  std::printf("kills %llu, repeated %llu, holds %llu, followers %llu\n",
              static_cast<unsigned long long>(kills), static_cast<unsigned long long>(repeated),
              static_cast<unsigned long long>(holds), static_cast<unsigned long long>(followers));
  if (g_seeds >= 60 && failures == 0) {
    EXPECT_GT(kills, 0u);
    EXPECT_GT(holds, 0u);
    EXPECT_GT(followers, 0u);
    EXPECT_GT(runner_kills, 0u);
    EXPECT_GT(side_by_side, 0u);
    EXPECT_GT(batches, 0u);
  }
}

}  // namespace
}  // namespace catchup::sim

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  for (int i = 1; i < argc; i += 2) {
    const std::string option = argv[i];
    if (i + 1 == argc || (option != "--seeds" && option != "--seed")) {
      std::fprintf(stderr, "%s: wanted --seeds N or --seed S\n", argv[i]);
      return 2;
    }
    const std::uint64_t number = catchup::sim::NumberArgument(argv[i + 1]);
    (option == "--seeds" ? catchup::sim::g_seeds : catchup::sim::g_first) = number;
    if (option == "--seed") {
      catchup::sim::g_seeds = 1;
    }
  }
  return RUN_ALL_TESTS();
}
