#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/streams.pb.h"
#include "tests/e2e/harness.h"
#include "tests/source/cluster/front.h"

// The real program with a subscription that stays open and says nothing, while its connection is
// well: pings are answered (protocol notes 3.13). Its waits pass ten times faster.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

class SilenceTest : public testing::Test {
 protected:
  SilenceTest() {
    embedded::ServerOptions options;
    options.directory = site_.file("log");
    log_ = *embedded::EmbeddedServer::Start(options);
    front_ = std::make_unique<Front>(log_->address());
    site_.UseTestProgram(10);
  }

  std::unique_ptr<Process> Run(const std::string& keys) {
    site_.Configure(JsonlGroup("copy", keys), "kurrentdb://" + front_->address() + "?tls=false");
    auto host = site_.Start({"run", "host.toml"});
    EXPECT_TRUE(WaitUntil([&] {
      return host->Log().Last("State changed", "copy", "state") == "caught up";
    })) << host->Errors();
    return host;
  }
  void Seed(const std::string& stream) { ASSERT_TRUE(log_->Seed(stream, "x", "{}").ok()); }
  void ExpectWritten(Process* host, const Strings& wanted) {
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy") == wanted; })) << host->Errors();
  }
  static std::size_t Subscriptions(Process* host) {
    return host->Log().With("Subscribing", "copy").size();
  }
  void Stop(Process* host) {
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(), 0) << host->Errors();
  }

  static event_store::client::streams::ReadReq::Options OptionsOf(const Front::Call& call) {
    event_store::client::streams::ReadReq request;
    if (call.method.ends_with("/Read")) {
      EXPECT_TRUE(request.ParseFromString(call.message));
    }
    return request.options();
  }

  Site site_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Front> front_;
};

TEST_F(SilenceTest, ASubscriptionThatOwesAnEventIsReplaced) {
  Seed("s");
  const auto host = Run("prefixes = [\"\"]");
  ExpectWritten(host.get(), {"s@0 x"});

  // The one that is open, and none after it.
  front_->SetRule([](const Front::Call& call) {
    Front::Fate fate;
    fate.swallows = call.open && OptionsOf(call).has_subscription();
    return fate;
  });
  Seed("s");

  ExpectWritten(host.get(), {"s@0 x", "s@1 x"});
  EXPECT_EQ(Subscriptions(host.get()), 2u);
  const std::string reason = host->Log().Last("Subscription dropped", "copy", "reason");
  EXPECT_THAT(reason, HasSubstr("silent for "));
  EXPECT_THAT(reason, HasSubstr("wanted that event within 10.0s"));
  Stop(host.get());
}

TEST_F(SilenceTest, AQuietFilterOnABusyLogIsLookedIntoAndNeverReplaced) {
  std::atomic<std::size_t> looks = 0;
  front_->SetRule([&](const Front::Call& call) {
    const auto options = OptionsOf(call);
    looks += options.has_filter() && !options.has_subscription() ? 1 : 0;
    return Front::Fate();
  });
  Seed("loud");
  const auto host = Run("match = \"stream_name\"\nprefixes = [\"quiet-\"]");

  for (std::size_t i = 1; i <= 3; ++i) {
    Seed("loud");
    ASSERT_TRUE(WaitUntil([&] { return looks >= i; })) << host->Errors();
  }
  EXPECT_EQ(Subscriptions(host.get()), 1u) << host->Errors();
  EXPECT_FALSE(host->Log().Has("Silence not explained")) << host->Errors();

  Seed("quiet-1");
  ExpectWritten(host.get(), {"quiet-1@0 x"});
  EXPECT_EQ(Subscriptions(host.get()), 1u) << host->Errors();
  Stop(host.get());
}

// A checkpoint frame comes once in 1,024 records, and is stored one step late.
TEST(QuietGroupTest, ItsNextStartScansNoMoreThanTheLastTwoWindows) {
  constexpr std::ptrdiff_t kWindow = 1'024;
  Site site;
  site.Append(Strings(5'000, EventLine("s", "loud")));
  site.Configure(JsonlGroup("none", "prefixes = [\"quiet-\"]") + JsonlGroup("all"));
  for (int run = 0; run < 2; ++run) {
    const Finished finished = site.RunUntilCaughtUp();
    ASSERT_EQ(finished.exit, 0) << finished.err;
    const std::string from = finished.Log().Last("Subscribing", "none", "position");
    if (run == 0) {
      EXPECT_EQ(from, "none");
      continue;
    }
    const Strings all = ReadLines(site.data("all", "out.jsonl"));
    const auto behind = std::count_if(all.begin(), all.end(), [&](const std::string& line) {
      return std::stoull(ParseJsonObject(line).at("commit")) > std::stoull(from);
    });
    EXPECT_EQ(all.size(), 5'000u);
    EXPECT_LE(behind, 2 * kWindow) << from;
  }
}

}  // namespace
}  // namespace catchup::e2e
