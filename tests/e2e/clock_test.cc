#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "tests/e2e/harness.h"

// The wall clock of a host is put forward and back while calls are on, a breaker is open and a
// letter waits for its time.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFaketime =
    "/usr/lib/" CATCHUP_LIBRARY_ARCHITECTURE "/faketime/libfaketimeMT.so.1";

constexpr std::string_view kTime = "\"time\":\"";

// "2026-11-26T05" of the line of the log that begins there.
std::string HourOf(std::size_t at, const Process& host) {
  return host.Errors().substr(at + kTime.size(), 13);
}

class ClockTest : public testing::TestWithParam<const char*> {};

TEST_P(ClockTest, AJumpOfTheWallClockMovesNoTimer) {
  if (access(kFaketime, R_OK) != 0) {
    ASSERT_EQ(std::getenv("CATCHUP_NEEDS_FAKETIME"), nullptr) << "found no " << kFaketime;
    GTEST_SKIP() << "found no " << kFaketime << ", wanted Debian's package libfaketime";
  }
  Site site;
  // Different types, so that no success of another event makes a letter due.
  site.Append({EventLine("p", "poison", R"({"do":"fail","text":"odd","times":1})"),
               EventLine("p", "poison"), EventLine("s", "slow", R"({"do":"slow","ms":1500})"),
               EventLine("q", "flaky", R"({"do":"retry","times":7})"), EventLine("s", "slow")});
  site.Configure(TroubleGroup("a",
                              "prefixes = [\"\"]\nmax_retries = 0\nretry_delay = \"100ms\"\n"
                              "handler_timeout = \"20s\"\nbreaker = { open = \"500ms\" }"));
  WriteFile(site.file("clock"), "+0\n");
  site.SetEnv("LD_PRELOAD", kFaketime);
  site.SetEnv("FAKETIME_TIMESTAMP_FILE", site.file("clock"));
  site.SetEnv("FAKETIME_NO_CACHE", "1");
  site.SetEnv("FAKETIME_DONT_FAKE_MONOTONIC", "1");
  const auto host = site.Start({"run", "host.toml"});
  const auto called = [&](std::string_view delivery) {
    return WaitUntil([&] {
      for (const std::string& line : Delivered(site, "a")) {
        if (line == delivery) {
          return true;
        }
      }
      return false;
    });
  };
  ASSERT_TRUE(called("s@0 slow 1")) << host->Errors();
  WriteFile(site.file("clock"), std::string(GetParam()) + "\n");
  EXPECT_TRUE(called("q@0 retry 8")) << host->Errors();
  WriteFile(site.file("clock"), "+0\n");
  EXPECT_TRUE(called("s@1 ok 1")) << host->Errors();
  EXPECT_TRUE(called("p@0 fail 2")) << "the letter was not called again\n" << host->Errors();
  WriteFile(site.file("clock"), std::string(GetParam()) + "\n");
  EXPECT_TRUE(called("p@1 ok 1")) << "its follower was not handed on\n" << host->Errors();
  EXPECT_FALSE(host->Log().Has("Call hung")) << host->Errors();
  EXPECT_EQ(host->Log().With("Runner started").size(), 1u) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_NE(HourOf(host->Errors().find(kTime), *host), HourOf(host->Errors().rfind(kTime), *host))
      << "the clock was not put";
}

INSTANTIATE_TEST_SUITE_P(C1, ClockTest, testing::Values("-1h", "+1h", "-10y", "+10y"));

}  // namespace
}  // namespace catchup::e2e
