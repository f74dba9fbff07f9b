#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "tests/e2e/harness.h"

// A plugin that dies, hangs or fails before its first event, or in its stop: no event is to blame,
// so none becomes a letter. It is tried again, at a growing pace and then every ten minutes, and
// heals once it can.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

class SetUpFaultTest : public testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  SetUpFaultTest() {
    // A minute passes in 60 ms, but for what is a setting.
    site_.UseTestProgram(1000);
    site_.SetEnv("STILLBORN", site_.file("ails").string());
    site_.Append({EventLine("s", "t")});
  }

  void Configure() {
    const std::string call = std::get<0>(GetParam());
    site_.Configure(
        "[groups.bad]\nplugin = \"stillborn.so\"\nprefixes = [\"\"]\nenv = [\"STILLBORN\"]\n"
        "start_timeout = \"" +
        // Short where it is waited for, else longer than any machine takes to call the plugin.
        std::string(std::get<1>(GetParam()) == std::string("hang") ? "250ms" : "30s") +
        "\"\ndrain_timeout = \"300ms\"\nprojection = \"" +
        std::string(call == "load_position" ? "keeper" : "plain") + "\"\n" + JsonlGroup("good"));
  }
  void Ails() {
    WriteFile(site_.file("ails"),
              std::string(std::get<0>(GetParam())) + " " + std::get<1>(GetParam()));
  }
  bool HandledByBad() {
    return WaitUntil([&] { return ReadLines(site_.data("bad", "count")).size() == 1; });
  }

  Site site_;
};

TEST_P(SetUpFaultTest, IsGivenUpThenTriedAgainAndHealsAndParksNothing) {
  Ails();
  Configure();
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Group given up until the next try", "bad"));
  const std::string reason = host->Log().Last("Group ended", "bad", "reason");
  EXPECT_EQ(host->Log().Last("Group ended", "bad", "state"), "given up");
  const std::string how = std::get<1>(GetParam());
  EXPECT_THAT(reason, HasSubstr(how == "hang"    ? "start_timeout = 250ms"
                                : how == "exit"  ? "exit code 3"
                                : how == "abort" ? "SIGABRT"
                                : how == "fail"  ? "the warehouse does not answer"
                                                 : "SIGSEGV"));
  EXPECT_THAT(reason, HasSubstr(std::get<0>(GetParam())));
  EXPECT_THAT(reason, HasSubstr(how == "fail" ? "died or could not begin more than 10 times"
                                              : "died more than 10 times"));

  // Once more, in vain.
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().With("Group given up until the next try", "bad").size() >= 2;
  })) << host->Errors();
  EXPECT_EQ(host->Log().With("Trying a group again that was given up", "bad").size(), 1u);
  EXPECT_THAT(host->Log().Last("Group ended", "bad", "reason"), HasSubstr("it was tried again"));

  std::filesystem::remove(site_.file("ails"));
  EXPECT_TRUE(HandledByBad()) << host->Errors();
  site_.Append({EventLine("late", "t")});
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "good").size() == 2; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group ended", "bad", "state"), "stopped") << host->Errors();
  EXPECT_FALSE(host->Log().Has("Dead letter written", "bad"));
  EXPECT_EQ(host->Log().With("Runner started", "good").size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(
    Calls, SetUpFaultTest,
    testing::Values(std::tuple("load", "segv"), std::tuple("load", "hang"),
                    std::tuple("load", "exit"), std::tuple("create", "abort"),
                    std::tuple("create", "hang"), std::tuple("create", "fail"),
                    std::tuple("start", "segv"), std::tuple("start", "fail"),
                    std::tuple("start", "hang"), std::tuple("load_position", "segv"),
                    std::tuple("load_position", "hang"), std::tuple("load_position", "fail")),
    [](const auto& param) {
      return std::string(std::get<0>(param.param)) + "_" + std::get<1>(param.param);
    });

// A host all of whose groups are given up ends, so that a supervisor sees it.
TEST(GivenUpTest, TheOnlyGroupEndsTheHost) {
  Site site;
  site.UseTestProgram(1000);
  site.SetEnv("STILLBORN", site.file("ails").string());
  WriteFile(site.file("ails"), "start abort");
  site.Append({EventLine("s", "t")});
  site.Configure(
      "[groups.bad]\nplugin = \"stillborn.so\"\nprojection = \"plain\"\nprefixes = [\"\"]\n"
      "env = [\"STILLBORN\"]\n");
  const auto host = site.Start({"run", "host.toml"});
  EXPECT_EQ(host->Wait(), 1) << host->Errors();
  EXPECT_EQ(host->Log().Last("Group failed", "bad", "state"), "given up") << host->Errors();
}

class StopFaultTest : public testing::TestWithParam<const char*> {};

TEST_P(StopFaultTest, CostsNeitherTheStopNorAnEvent) {
  Site site;
  site.SetEnv("STILLBORN", site.file("ails").string());
  WriteFile(site.file("ails"), std::string("stop ") + GetParam());
  site.Append({EventLine("s", "t")});
  site.Configure(
      "[groups.bad]\nplugin = \"stillborn.so\"\nprojection = \"plain\"\nprefixes = [\"\"]\n"
      "env = [\"STILLBORN\"]\ndrain_timeout = \"300ms\"\n");
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return ReadLines(site.data("bad", "count")).size() == 1; }))
      << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_TRUE(host->Log().Has("Runner ended badly", "bad")) << host->Errors();
  EXPECT_FALSE(host->Log().Has("Dead letter written", "bad"));

  std::filesystem::remove(site.file("ails"));
  const Finished again = site.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  EXPECT_EQ(ReadLines(site.data("bad", "count")).size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(How, StopFaultTest, testing::Values("segv", "abort", "exit", "hang"),
                         [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace catchup::e2e
