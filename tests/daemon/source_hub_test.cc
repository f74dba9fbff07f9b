#include "host/daemon/source/source_hub.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tests/daemon/scripted_source.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

class SourceHubTest : public testing::Test {
 protected:
  SourceHubTest() {
    SourceSide::Services& services = services_;
    services.address = [this] { return server_.address; };
    services.open = [this](const std::string&, const std::string& name) {
      opened_.Tell(name);
      return Result<std::unique_ptr<Source>>(std::make_unique<ScriptedSource>(&server_));
    };
    services.retire = [this](std::shared_ptr<Source> source) { retired_.Tell(std::move(source)); };
    hub_ = std::make_unique<SourceHub>(services, reactor_.get());
    one_ = hub_->Watch([this] { one_told_.Tell(true); });
    other_ = hub_->Watch([this] { other_told_.Tell(true); });
  }
  ~SourceHubTest() override {
    reactor_->Stop();
    one_.reset();
    other_.reset();
  }

  ScriptedServer server_;
  ScriptedServer slow_server_;  // The same one, for who waits longer.
  SourceSide::Services services_;
  std::unique_ptr<Reactor> reactor_ = *Reactor::Create();
  Told<std::string> opened_;
  Told<std::shared_ptr<Source>> retired_;
  Told<bool> one_told_, other_told_;
  std::unique_ptr<SourceHub> hub_;
  std::unique_ptr<SourceWatch> one_;
  std::unique_ptr<SourceWatch> other_;
};

TEST_F(SourceHubTest, LooksForASourceThatIsMissedUntilItAnswers) {
  server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  one_->Miss();
  // A connection each time, since one that failed may wait before it tries again.
  ASSERT_EQ(opened_.Await(0), "probe");
  ASSERT_EQ(opened_.Await(1), "probe");
  ASSERT_TRUE(retired_.Await(1).has_value());
  EXPECT_EQ(one_told_.size(), 0u);

  server_.SetUnreachable(std::nullopt);

  EXPECT_TRUE(one_told_.Await().has_value());
  EXPECT_EQ(other_told_.size(), 0u) << "it misses nothing";
}

TEST_F(SourceHubTest, ARefusalIsAnAnswer) {
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kRights, .text = "not for you"});
  one_->Miss();
  EXPECT_TRUE(one_told_.Await().has_value());
}

TEST_F(SourceHubTest, WhereTheLeaderIsIsAnAnswer) {
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kNotLeader, .leader = "b:1", .text = "no"});
  one_->Miss();
  EXPECT_TRUE(one_told_.Await().has_value());
}

TEST_F(SourceHubTest, ANodeThatIsNotReadyIsNoAnswer) {
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kNotReady, .text = "Server Is Not Ready"});
  one_->Miss();
  ASSERT_TRUE(retired_.Await(1).has_value());
  EXPECT_EQ(one_told_.size(), 0u);
}

// A cluster: a round of questions for its nodes is the try, and the node that it finds must serve.
TEST_F(SourceHubTest, OfAClusterANodeIsFoundFirstAndForgottenWhereItDoesNotServe) {
  server_.SetUnreachable(EndOfCall{.kind = EndClass::kNotReady, .text = "Server Is Not Ready"});
  Told<std::string> asked;
  Discovery::Services nodes;
  nodes.seeds = {"seed:1"};
  nodes.attempts = 1'000'000;
  nodes.interval = std::chrono::milliseconds(1);
  nodes.random = [] { return 0; };
  nodes.ask = [&](const std::string& address,
                  std::function<void(const Discovery::Members&)> answer) {
    answer(
        std::vector<ClusterMember>{{"scripted:1", ClusterMember::State::kLeader, "Leader", true}});
    asked.Tell(address);
    return std::make_shared<int>();
  };
  Discovery discovery(std::move(nodes), reactor_.get());
  SourceSide::Services services = services_;
  services.discovery = &discovery;
  SourceHub hub(services, reactor_.get());
  auto watch = hub.Watch([this] { one_told_.Tell(true); });
  watch->Miss();
  ASSERT_TRUE(asked.Await(1).has_value()) << "each try asks anew";
  EXPECT_EQ(one_told_.size(), 0u);

  server_.SetUnreachable(std::nullopt);

  EXPECT_TRUE(one_told_.Await().has_value());
  EXPECT_EQ(discovery.known(), "scripted:1");
  watch.reset();
  reactor_->Stop();
}

// To one under load, or behind a slow line, no usual try connects.
class SlowServerTest : public SourceHubTest {
 protected:
  struct Patience {
    std::string address;
    bool slow = false;
  };

  SlowServerTest() {
    server_.SetUnreachable(EndOfCall{.text = "connection attempt timed out"});
    SourceHub::Patience patience;
    patience.open = [this](const std::string&, const std::string&) {
      return Result<std::unique_ptr<Source>>(std::make_unique<ScriptedSource>(&slow_server_));
    };
    patience.set_slow = [this](const std::string& address, bool slow) {
      learned_.Tell({address, slow});
    };
    Prober::Pace pace;
    pace.quick = {std::chrono::milliseconds(5), std::chrono::milliseconds(10)};
    slow_hub_.emplace(services_, reactor_.get(), pace, std::move(patience));
    watch_ = slow_hub_->Watch([this] { told_.Tell(true); });
  }
  ~SlowServerTest() override {
    reactor_->Stop();
    watch_.reset();
  }

  Told<Patience> learned_;
  Told<bool> told_;
  std::optional<SourceHub> slow_hub_;
  std::unique_ptr<SourceWatch> watch_;
};

TEST_F(SlowServerTest, AnswersWhoWaitsLongerAndTheGroupsAreToldToWait) {
  watch_->Miss();
  EXPECT_TRUE(told_.Await().has_value());
  const auto learned = learned_.Await();
  ASSERT_TRUE(learned.has_value());
  EXPECT_EQ(learned->address, "scripted:1");
  EXPECT_TRUE(learned->slow);
}

TEST_F(SlowServerTest, IsNotSlowAnyMoreOnceAUsualTryIsAnswered) {
  watch_->Miss();
  ASSERT_TRUE(told_.Await().has_value());
  server_.SetUnreachable(std::nullopt);
  watch_->Miss();
  EXPECT_TRUE(told_.Await(1).has_value());
  const auto learned = learned_.Await(1);
  ASSERT_TRUE(learned.has_value());
  EXPECT_FALSE(learned->slow);
}

TEST_F(SlowServerTest, OneThatIsGoneAnswersNobodyHoweverLongHeWaits) {
  slow_server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  watch_->Miss();
  ASSERT_TRUE(retired_.Await(5).has_value()) << "three tries, and two that wait longer";
  EXPECT_EQ(told_.size(), 0u);
}

TEST_F(SourceHubTest, WhatOneGroupFindsTheOtherHearsOf) {
  server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  one_->Miss();
  other_->Miss();
  ASSERT_TRUE(retired_.Await(0).has_value());

  one_->Found();

  EXPECT_TRUE(other_told_.Await().has_value());
}

TEST_F(SourceHubTest, LooksForNothingOnceNobodyIsLeft) {
  server_.SetUnreachable(EndOfCall{.text = "nobody is there"});
  one_->Miss();
  ASSERT_TRUE(retired_.Await(0).has_value());
  one_.reset();
  Told<bool> gone;
  reactor_->Post([&] { gone.Tell(true); });
  ASSERT_TRUE(gone.Await().has_value());
  const std::size_t tries = opened_.size();

  // Were it looked for, it would be found, and in the order of the two.
  server_.SetUnreachable(std::nullopt);
  other_->Miss();

  EXPECT_TRUE(other_told_.Await().has_value());
  EXPECT_EQ(one_told_.size(), 0u);
  EXPECT_LE(opened_.size(), tries + 2);
}

}  // namespace
}  // namespace catchup
