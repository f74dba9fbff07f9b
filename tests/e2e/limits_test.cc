#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// What a group may have: a plugin that takes more is replaced where that costs nothing, else killed
// and charged, and no other group notices.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

constexpr std::uint64_t kMiB = 1u << 20;

std::string Leak(std::uint64_t mib, int ms) {
  return EventLine("s", "t",
                   "{\"do\":\"leak\",\"bytes\":" + std::to_string(mib * kMiB) +
                       ",\"ms\":" + std::to_string(ms) + "}");
}

// Each of `count` events of stream "s", once and in order.
Strings Once(int count, const std::string& what) {
  Strings deliveries;
  for (int i = 0; i < count; ++i) {
    deliveries.push_back("s@" + std::to_string(i) + " " + what + " 1");
  }
  return deliveries;
}

// 100 MiB/s, with the limit that is the default: 512 MiB.
TEST(MemoryLimitTest, AFastLeakIsReplacedBeforeItsLimitAndNoEventComesTwice) {
  Site site;
  site.Append(Strings(140, Leak(4, 40)));
  site.Configure(TroubleGroup("leaks") + JsonlGroup("good"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;

  EXPECT_EQ(Delivered(site, "leaks"), Once(140, "leak"));
  const HostLog log = run.Log();
  ASSERT_TRUE(log.Has("Replacing the runner", "leaks")) << run.err;
  EXPECT_EQ(log.Last("Replacing the runner", "leaks", "level"), "warn");
  EXPECT_THAT(log.Last("Replacing the runner", "leaks", "reason"),
              HasSubstr("80 % of limits.memory = 512MiB is 410 MiB"));
  EXPECT_EQ(log.Last("Group ended", "leaks", "errorCount"), "0");
  EXPECT_EQ(log.With("Runner started", "good").size(), 1u);
}

TEST(MemoryLimitTest, ASlowLeakIsReplacedAgainAndAgainAndNoEventComesTwice) {
  Site site;
  site.Append(Strings(120, Leak(2, 20)));
  site.Configure(TroubleGroup("leaks", "prefixes = [\"\"]\nlimits = { memory = \"64MiB\" }"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Delivered(site, "leaks"), Once(120, "leak"));
  EXPECT_GE(run.Log().With("Replacing the runner", "leaks").size(), 2u) << run.err;
  EXPECT_EQ(run.Log().Last("Group ended", "leaks", "dlqCount"), "0");
}

// One call that takes it all: out of memory is a crash of its event, and the letter says of what.
TEST(MemoryLimitTest, ACallThatTakesItAllIsKilledAndChargedToItsEvent) {
  Site site;
  site.UseTestProgram(100);
  site.Append({EventLine("s", "t"), EventLine("s", "t", "{\"do\":\"leak\",\"ms\":2000}"),
               EventLine("other", "t")});
  site.Configure(TroubleGroup("bad",
                              "prefixes = [\"\"]\nmax_crashes = 1\n"
                              "limits = { memory = \"48MiB\" }") +
                 JsonlGroup("good"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Dead letter written", "bad"));
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site, "bad").size() >= 4; })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();

  const Strings deliveries = Delivered(site, "bad");
  EXPECT_EQ(deliveries[0], "s@0 ok 1");
  EXPECT_EQ(deliveries[1], "s@1 leak 1");
  EXPECT_THAT(deliveries, testing::Contains("s@1 leak 2"));
  EXPECT_THAT(deliveries, testing::Contains("other@0 ok 1"));
  const JsonObject ended = host->Log().With("Runner ended", "bad")[0];
  EXPECT_EQ(ended.at("exitClass"), "memory");
  EXPECT_THAT(ended.at("reason"), HasSubstr("limits.memory = 48MiB"));
  EXPECT_THAT(ended.at("event"), HasSubstr("s@1 t"));
  EXPECT_EQ(host->Log().With("Runner started", "good").size(), 1u);
  const Finished letters =
      site.Catchup({"dlq", "show", "bad", ended.at("position"), "--config", "host.toml"});
  EXPECT_THAT(letters.out, HasSubstr("crash"));
  EXPECT_THAT(letters.out, HasSubstr("limits.memory = 48MiB")) << letters.err;
}

// What a plugin starts is its own memory too.
TEST(MemoryLimitTest, WhatAPluginsProcessTakesCounts) {
  Site site;
  site.UseTestProgram(100);
  site.Append(
      {EventLine("s", "t",
                 "{\"do\":\"fork\",\"bytes\":" + std::to_string(64 * kMiB) + ",\"times\":1}"),
       EventLine("s", "t", "{\"do\":\"slow\",\"ms\":10}")});
  site.Configure(TroubleGroup("forks", "prefixes = [\"\"]\nlimits = { memory = \"48MiB\" }"));
  const auto host = site.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return host->Log().With("Runner started", "forks").size() >= 2; }))
      << host->Errors();
  // Replaced or killed, as it was seen below its limit or above.
  bool told = false;
  for (const std::string msg : {"Runner ended", "Replacing the runner"}) {
    for (const JsonObject& line : host->Log().With(msg, "forks")) {
      told = told || line.at("reason").find("in 2 processes") != std::string::npos;
    }
  }
  EXPECT_TRUE(told) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

// The plugin's own open fails, not the host's; it says so and that is infrastructure or doubt.
TEST(OpenFilesLimitTest, HoldsForThePlugin) {
  Site site;
  site.Append({EventLine("s", "t", R"({"do":"open_files","bytes":40,"times":1})"),
               EventLine("s", "t", R"({"do":"open_files","bytes":10})")});
  site.Configure(TroubleGroup("opens", "prefixes = [\"\"]\nlimits = { open_files = 32 }") +
                 JsonlGroup("good"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Delivered(site, "opens"),
            (Strings{"s@0 open_files 1", "s@0 open_files 2", "s@1 open_files 1"}));
  EXPECT_THAT(run.Log().Last("Call failed", "opens", "reason"), HasSubstr("Too many open files"));
}

}  // namespace
}  // namespace catchup::e2e
