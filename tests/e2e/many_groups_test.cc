#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/streams.pb.h"
#include "tests/e2e/harness.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/source/cluster/front.h"

// As many groups as one host is to bear.

namespace catchup::e2e {
namespace {

namespace wire = event_store::client::streams;

constexpr std::size_t kGroups = 200;
constexpr int kSpeed = 5;
// By the program's own waits.
constexpr std::chrono::milliseconds kLook = std::chrono::milliseconds(5'000) / kSpeed;

std::string NameOf(std::size_t group) { return "g" + std::to_string(group); }

class ManyGroupsTest : public testing::Test {
 protected:
  ManyGroupsTest() {
    embedded::ServerOptions options;
    options.directory = site_.file("log");
    log_ = *embedded::EmbeddedServer::Start(options);
    front_ = std::make_unique<Front>(log_->address());
    front_->SetRule([this](const Front::Call& call) {
      wire::ReadReq request;
      if (call.method.ends_with("/Read") && request.ParseFromString(call.message)) {
        const bool head = request.options().read_direction() == wire::ReadReq::Options::Backwards;
        heads_ += head ? 1 : 0;
      }
      return Front::Fate();
    });
    network_ = std::make_unique<FaultProxy>(front_->address());
    std::string groups;
    for (std::size_t i = 0; i < kGroups; ++i) {
      groups += JsonlGroup(NameOf(i));
    }
    site_.Configure(groups, "kurrentdb://" + network_->address() + "?tls=false");
    site_.UseTestProgram(kSpeed);
  }

  bool AllHave(std::size_t events) {
    return WaitUntil(
        [&] {
          for (std::size_t i = 0; i < kGroups; ++i) {
            if (ReadWholeLines(site_.data(NameOf(i), "out.jsonl")).size() != events) {
              return false;
            }
          }
          return true;
        },
        std::chrono::minutes(2));
  }

  Site site_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Front> front_;
  std::unique_ptr<FaultProxy> network_;
  std::atomic<std::size_t> heads_ = 0;
};

TEST_F(ManyGroupsTest, EachHasAConnectionAndTheyShareTheQuestionForTheHead) {
  ASSERT_TRUE(log_->Seed("s", "x", "{}").ok());
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(AllHave(1)) << host->Errors();
  ASSERT_TRUE(WaitUntil([&] {
    std::size_t caught_up = 0;
    for (const JsonObject& line : host->Log().With("State changed")) {
      caught_up += line.at("state") == "caught up" ? 1 : 0;
    }
    return caught_up == kGroups;
  })) << host->Errors();

  EXPECT_EQ(network_->counts().open, kGroups + 1) << "one more asks for the head";
  const std::size_t before = heads_;
  const auto since = Clock::now();
  ASSERT_TRUE(WaitUntil([&] { return heads_ >= before + 3; })) << host->Errors();
  const auto looks = static_cast<std::size_t>((Clock::now() - since) / kLook);
  EXPECT_LE(heads_ - before, looks + 1);

  ASSERT_TRUE(log_->Seed("s", "x", "{}").ok());
  EXPECT_TRUE(AllHave(2)) << host->Errors();
  EXPECT_EQ(network_->counts().accepted, kGroups + 1) << "nobody connected twice";
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

}  // namespace
}  // namespace catchup::e2e
