#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/e2e/harness.h"

// What tests get hold of a run by (host/base/test_seams.h) is in programs of their own only.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

bool KnowsTheSeams(const fs::path& program) {
  return ReadFile(program).find("CATCHUP_TEST_") != std::string::npos;
}

fs::path RunnerBeside(const fs::path& program) { return program.parent_path() / "catchup-runner"; }

TEST(SeamsTest, AreInTheProgramsOfTheTestsAlone) {
  EXPECT_TRUE(KnowsTheSeams(CATCHUP_TEST_EXECUTABLE));
  EXPECT_TRUE(KnowsTheSeams(RunnerBeside(CATCHUP_TEST_EXECUTABLE)));
  EXPECT_FALSE(KnowsTheSeams(CATCHUP_EXECUTABLE));
  EXPECT_FALSE(KnowsTheSeams(RunnerBeside(CATCHUP_EXECUTABLE)));
}

TEST(SeamsTest, AreIgnoredByTheShippedHostAndRunner) {
  Site site;
  site.Append({EventLine("s", "ok"), EventLine("s", "ok")});
  site.Configure(JsonlGroup("one", "prefixes = [\"\"]\nenv = [\"CATCHUP_TEST_FAIL\"]"));
  for (const char* point : {"before-handle", "after-handle", "after-outcome", "runner-drain",
                            "outcome-unread", "before-checkpoint-write", "after-checkpoint-write",
                            "before-letter-commit", "after-letter-commit", "host-drain"}) {
    WriteFile(site.file("plan"), std::string(point) + " kill 1\n");
    site.SetEnv("CATCHUP_TEST_FAIL", site.file("plan"));
    site.SetEnv("CATCHUP_TEST_SPEED", "no number");
    fs::remove_all(site.file("state"));
    const Finished run = site.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << point << run.err;
    EXPECT_EQ(run.Log().With("Runner started").size(), 1u) << point;
    EXPECT_TRUE(fs::exists(site.file("plan"))) << point;
  }
}

TEST(SeamsTest, AreNotInstalled) {
  Site site;
  Process install({CMAKE_PROGRAM, "--install", BUILD_DIRECTORY, "--prefix", site.file("prefix")},
                  {site.path(), {}, {}});
  ASSERT_EQ(install.Wait(), 0) << install.Errors();
  std::size_t programs = 0;
  for (const auto& entry : fs::recursive_directory_iterator(site.file("prefix"))) {
    if (entry.is_regular_file()) {
      EXPECT_FALSE(KnowsTheSeams(entry.path())) << entry.path();
      programs += entry.path().filename() == "catchup" ? 1 : 0;
    }
  }
  EXPECT_EQ(programs, 1u);
}

}  // namespace
}  // namespace catchup::e2e
