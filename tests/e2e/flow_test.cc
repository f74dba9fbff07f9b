#include <gtest/gtest.h>
#include <signal.h>

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "host/base/event_size.h"
#include "host/source/embedded/log_server.h"
#include "tests/e2e/frame_node.h"
#include "tests/e2e/harness.h"

// A group that cannot take what the server has: the call stays open and unread, whatever the
// reason, and the host holds no more of it than its window (protocol notes 3.10).

namespace catchup::e2e {
namespace {

using Strings = std::vector<std::string>;

// What a process has of memory that is its own, in bytes; 0 once it is gone.
std::uint64_t AnonymousBytes(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    if (word == "RssAnon:") {
      std::uint64_t kib = 0;
      status >> kib;
      return kib << 10;
    }
  }
  return 0;
}

// What the server would send at once is ten times what may be held of it.
TEST(FlowTest, AFloodOfTheLargestEventsTakesTheWindowsBytesAndNoMore) {
  constexpr std::uint64_t kEvents = 40;
  constexpr std::uint64_t kMost = 160ull << 20;
  static_assert(kEvents * kMaxAppendBytes > 3 * kMost);
  const std::string data =
      R"({"do":"slow","ms":50,"pad":")" + std::string(kMaxAppendBytes - 64, 'x') + "\"}";
  FrameNode node(kEvents * 100, [&](Position from, const FrameNode::Send& send) {
    for (std::uint64_t i = from.commit / 100 + 1; i <= kEvents; ++i) {
      if (!send(Record(i * 100, i - 1, [&](auto* event) { event->set_data(data); }))) {
        return;
      }
    }
    send(CaughtUp());
  });
  Site site;
  site.Configure(TroubleGroup("slow", "prefixes = [\"\"]\nwindow = { bytes = \"32MiB\" }"),
                 node.uri());
  const auto host = site.Start({"run", "host.toml"});
  std::uint64_t peak = 0;
  EXPECT_TRUE(WaitUntil([&] {
    peak = std::max(peak, AnonymousBytes(host->pid()));
    return Delivered(site, "slow").size() == kEvents;
  })) << host->Errors();
  EXPECT_GT(peak, kMaxAppendBytes) << "it was not looked at while it worked";
  EXPECT_LT(peak, kMost);
  EXPECT_EQ(node.begun(), Strings{"0:0"});
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(Delivered(site, "slow").size(), kEvents) << "each once";
}

// Two minutes, by the program's own waits: far longer than a silent call is given, and four times
// what a ping and its answer may take.
TEST(FlowTest, ACallStaysOpenUnreadWhileAPluginSleepsForTwoMinutes) {
  constexpr std::size_t kEvents = 3'000;
  Site site;
  site.UseTestProgram(15);
  Strings lines(kEvents, EventLine("s", "x"));
  lines[500] = EventLine("s", "x", R"({"do":"slow","ms":8000})");
  site.Append(lines);
  embedded::ServerOptions options;
  options.directory = site.file("log");
  const auto log = *embedded::EmbeddedServer::Start(options);
  site.Configure(
      TroubleGroup("sleeper",
                   "prefixes = [\"\"]\nwindow = { events = 16 }\nhandler_timeout = \"10m\""),
      "kurrentdb://" + log->address() + "?tls=false&keepAliveInterval=1000&keepAliveTimeout=1000");
  const auto host = site.Start({"run", "host.toml"});
  // While it sleeps, the log grows.
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site, "sleeper").size() > 500; })) << host->Errors();
  ASSERT_TRUE(log->Seed("late", "x", "{}").ok());
  EXPECT_TRUE(WaitUntil([&] { return Delivered(site, "sleeper").size() == kEvents + 1; }))
      << host->Errors();

  const Strings deliveries = Delivered(site, "sleeper");
  for (std::size_t i = 0; i < kEvents; ++i) {
    ASSERT_EQ(deliveries[i], "s@" + std::to_string(i) + (i == 500 ? " slow 1" : " ok 1"));
  }
  EXPECT_EQ(deliveries.back(), "late@0 ok 1");
  EXPECT_EQ(host->Log().With("Subscribing", "sleeper").size(), 1u) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

}  // namespace
}  // namespace catchup::e2e
