#include "host/daemon/runner/runner_start.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

class RunnerStartTest : public testing::Test {
 protected:
  RunnerStart Start() {
    RunnerStart start;
    start.binary = &*shop_.binary;
    start.group = &shop_.config;
    start.plugin = shop_.plugin_directories[0] / "scripted.so";
    start.working_directory = work_.path();
    start.token = 1;
    return start;
  }
  RunnerLock Lock() { return *RunnerLock::TryTake(work_ / "lock"); }
  // The first thing a runner says that is not a log line.
  static std::optional<Outcome> FirstWord(RunnerLink* link) {
    std::optional<Outcome> word;
    const bool came = Becomes([&] {
      auto outcome = link->rings().PollOutcome();
      EXPECT_TRUE(outcome.ok()) << outcome.status().message();
      if (outcome.ok() && outcome->has_value() && (*outcome)->kind != OutcomeKind::kLog) {
        word = **outcome;
      }
      return word.has_value() || !outcome.ok();
    });
    EXPECT_TRUE(came);
    return word;
  }

  Workshop shop_;
  const TemporaryFolder work_;
};

TEST_F(RunnerStartTest, GivesALinkToARunnerThatIsReady) {
  const auto link = StartRunner(Start(), Lock());
  ASSERT_TRUE(link.ok()) << link.status().message();

  const auto word = FirstWord(link->get());

  ASSERT_TRUE(word.has_value());
  EXPECT_EQ(word->kind, OutcomeKind::kReady);
  EXPECT_TRUE(std::filesystem::exists(work_ / "called"));
}

TEST_F(RunnerStartTest, HandsTheLockOver) {
  const auto link = StartRunner(Start(), Lock());
  ASSERT_TRUE(link.ok());

  EXPECT_EQ(RunnerLock::TryTake(work_ / "lock").status().code(), Status::Code::kInUse);
}

TEST_F(RunnerStartTest, EndsAfterCreateWhereThatIsAllThatIsAskedFor) {
  RunnerStart start = Start();
  start.create_only = true;
  const auto link = StartRunner(start, Lock());
  ASSERT_TRUE(link.ok());

  const auto word = FirstWord(link->get());

  ASSERT_TRUE(word.has_value());
  EXPECT_EQ(word->kind, OutcomeKind::kReady);
  EXPECT_FALSE(std::filesystem::exists(work_ / "called"));  // Written by its `start`.
}

TEST_F(RunnerStartTest, RefusesAConfigurationThatNoRunnerCanBeGiven) {
  shop_.config.settings.json = std::string(kEventRingBytes, ' ');

  EXPECT_EQ(StartRunner(Start(), Lock()).status().code(), Status::Code::kInvalid);
}

}  // namespace
}  // namespace catchup
