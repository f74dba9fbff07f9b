#include <catchup/plugin.h>
#include <gmock/gmock.h>
#include <sys/wait.h>

#include "host/runner/loop.h"
#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

using testing::HasSubstr;

struct BrokenCase {
  const char* file;
  const char* says;  // Part of the reason.
};

class RunnerLoadTest : public testing::TestWithParam<BrokenCase> {};

TEST_P(RunnerLoadTest, RefusesAndSaysWhy) {
  SpawnedRunner runner({.plugin = GetParam().file, .projection = ""});

  const Outcome failure = runner.Next();

  EXPECT_EQ(failure.kind, OutcomeKind::kFailure);
  EXPECT_EQ(failure.call, CallKind::kLoad);
  EXPECT_EQ(failure.status, kRunnerSetupFailed);
  EXPECT_THAT(failure.text, HasSubstr(GetParam().says));
  EXPECT_THAT(failure.text, HasSubstr(std::string(GetParam().file) + ".so"));
  const int status = runner.Ended();
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(RunnerExit::kSetup));
}

INSTANTIATE_TEST_SUITE_P(
    Broken, RunnerLoadTest,
    testing::Values(BrokenCase{"does_not_exist", "cannot be loaded"},
                    BrokenCase{"no_entry", "exports no catchup_plugin_entry"},
                    BrokenCase{"broken_null_entry", "returned null"},
                    // Lazy binding would let it in, and kill the runner at the first event.
                    BrokenCase{"broken_undefined_symbol", "function_that_nobody_defines"},
                    BrokenCase{"broken_magic", "its magic is 12345678, wanted 50555443"},
                    BrokenCase{"broken_size", "its descriptor has 16 bytes, wanted at least"},
                    BrokenCase{"broken_major", "built for ABI 2.x, host has 1.0"},
                    BrokenCase{"broken_minor", "needs ABI 1.1, host has 1.0"},
                    BrokenCase{"broken_no_projection", "offers no projection"},
                    BrokenCase{"broken_null_projection", "projection 0 has no name"},
                    BrokenCase{"broken_name", "projection 0 has no name of the form"},
                    BrokenCase{"broken_no_create", "has no function create"},
                    BrokenCase{"broken_no_handle", "has no function handle"},
                    BrokenCase{"broken_nameless_table",
                               "the struct_size of projection 0 is 8: wanted at least 64"},
                    BrokenCase{"broken_short_table",
                               "the struct_size of projection 0 is 48: wanted at least 64"},
                    BrokenCase{"broken_short_batch",
                               "the struct_size of catchup.batch/1 is 8: wanted at least 16"},
                    BrokenCase{"broken_no_batch_function", "has no function handle_batch"},
                    BrokenCase{"broken_batch_of_none", "max_events 0"},
                    BrokenCase{"fixture", "offers several projections (plain, batch, keeper)"}),
    [](const auto& tested) { return std::string(tested.param.file); });

// Boost reports every failure as "Bad file descriptor", which sends people looking for one.
TEST(RunnerLoadMoreTest, GivesTheLoadersReasonAndNothingElse) {
  SpawnedRunner runner({.plugin = "does_not_exist"});
  EXPECT_EQ(runner.Next().text,
            "does_not_exist.so cannot be loaded: " + FixturePath("does_not_exist") +
                ": cannot open shared object file: No such file or directory");
}

TEST(RunnerLoadMoreTest, RefusesAProjectionThatIsNotOfferedAndSaysWhichAre) {
  SpawnedRunner runner({.projection = "totals"});
  EXPECT_THAT(runner.Next().text,
              HasSubstr("offers no projection \"totals\": it has plain, batch, keeper"));
}

TEST(RunnerLoadMoreTest, RefusesTwoProjectionsOfOneName) {
  SpawnedRunner runner({.plugin = "broken_twice", .projection = "only"});
  EXPECT_THAT(runner.Next().text, HasSubstr("two projections of the name \"only\""));
}

// Also where the group has chosen a third one, or another group's choice would be told wrong.
TEST(RunnerLoadMoreTest, RefusesTwoProjectionsOfOneNameWhateverIsWanted) {
  SpawnedRunner runner({.plugin = "broken_twice", .projection = "another"});
  EXPECT_THAT(runner.Next().text, HasSubstr("two projections of the name \"only\""));
}

TEST(RunnerLoadMoreTest, RefusesADescriptorWithoutNameOrVersion) {
  SpawnedRunner nameless({.plugin = "broken_no_plugin_name", .projection = "only"});
  EXPECT_THAT(nameless.Next().text, HasSubstr("has an empty name in its descriptor"));
  SpawnedRunner versionless({.plugin = "broken_no_version", .projection = "only"});
  EXPECT_THAT(versionless.Next().text, HasSubstr("has an empty version in its descriptor"));
}

TEST(RunnerLoadMoreTest, NeverReadsPastTheEndOfAnOlderTable) {
  SpawnedRunner runner({.plugin = "broken_old_table", .projection = "only"});
  const Outcome ready = runner.Next();
  EXPECT_EQ(ready.kind, OutcomeKind::kReady) << ready.text;
  EXPECT_TRUE(runner.Settled(runner.Give("anything")));
}

}  // namespace
}  // namespace catchup
