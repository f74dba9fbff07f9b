// The search for a node, once for all (protocol notes, 5.2).
#include "host/daemon/source/discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;
using State = ClusterMember::State;
using Members = std::vector<ClusterMember>;

const ClusterMember kLeader{"leader:1", State::kLeader, "Leader", true};
const ClusterMember kFollower{"follower:1", State::kFollower, "Follower", true};
const ClusterMember kDead{"dead:1", State::kLeader, "Leader", false};

class DiscoveryTest : public testing::Test {
 protected:
  ~DiscoveryTest() override { reactor_->Stop(); }

  void Open(std::vector<std::string> seeds, NodePreference preference = NodePreference::kLeader) {
    Discovery::Services services;
    services.seeds = std::move(seeds);
    services.preference = preference;
    services.attempts = 1'000'000;
    services.interval = 1ms;
    services.random = [] { return 0; };
    services.ask = [this](const std::string& address,
                          std::function<void(const Discovery::Members&)> answer) {
      {
        const std::lock_guard lock(mutex_);
        const auto found = says_.find(address);
        const Discovery::Members members =
            found == says_.end() ? EndOfCall{.text = address + ": nobody is there"} : found->second;
        if (held_) {
          answers_.push_back([answer, members] { answer(members); });
        } else {
          answer(members);
        }
      }
      asked_.Tell(address);
      return std::make_shared<int>();
    };
    discovery_ = std::make_unique<Discovery>(std::move(services), reactor_.get());
  }
  void Say(const std::string& node, Discovery::Members members) {
    const std::lock_guard lock(mutex_);
    says_.insert_or_assign(node, std::move(members));
  }
  // From here on answers are given by Release.
  void Hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    for (const auto& answer : std::exchange(answers_, {})) {
      answer();
    }
  }
  Discovery::Number Find() {
    return discovery_->Find([this](const Answer<std::string>& node) {
      told_.Tell(node.ok() ? *node : "!" + node.end().text);
      kinds_.Tell(node.end());
    });
  }

  std::unique_ptr<Reactor> reactor_ = *Reactor::Create();
  std::mutex mutex_;
  std::map<std::string, Discovery::Members> says_;
  bool held_ = false;
  std::vector<std::function<void()>> answers_;
  Told<std::string> asked_;
  Told<std::string> told_;  // "!" before why there is none.
  Told<EndOfCall> kinds_;
  std::unique_ptr<Discovery> discovery_;
};

TEST_F(DiscoveryTest, FindsTheNodeThatAnotherOneNames) {
  Open({"seed:1"});
  Say("seed:1", Members{kFollower, kLeader});
  EXPECT_EQ(discovery_->known(), std::nullopt);
  Find();
  EXPECT_EQ(told_.Await(), "leader:1");
  EXPECT_EQ(discovery_->known(), "leader:1");
}

TEST_F(DiscoveryTest, AsksNobodyForWhatItKnows) {
  Open({"seed:1"});
  Say("seed:1", Members{kLeader});
  Find();
  ASSERT_TRUE(told_.Await(0).has_value());
  Find();
  EXPECT_EQ(told_.Await(1), "leader:1");
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(DiscoveryTest, GoesOnToTheNextWhereOneIsSilentOrNamesNone) {
  Open({"gone:1", "alone:1", "seed:1"});
  Say("alone:1", Members{kDead});
  Say("seed:1", Members{kLeader});
  Find();
  EXPECT_EQ(told_.Await(), "leader:1");
}

TEST_F(DiscoveryTest, AllThatWaitGetTheAnswerOfOneRound) {
  Open({"seed:1"});
  Say("seed:1", Members{kLeader});
  Hold();
  Find();
  ASSERT_TRUE(asked_.Await().has_value());
  Find();
  Find();
  // Behind them, since the answer is told on the reactor, too.
  reactor_->Post([this] { Release(); });
  EXPECT_EQ(told_.Await(2), "leader:1");
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(DiscoveryTest, SaysAfterEachRoundWhomItAskedAndWhatTheySaid) {
  Open({"gone:1", "alone:1"});
  Say("alone:1", Members{kDead, {"x:1", State::kOther, "Unknown", true}});
  Find();
  const auto first = told_.Await(0);
  ASSERT_TRUE(first.has_value());
  EXPECT_THAT(*first, StartsWith("!no node of gone:1, alone:1 found; tried "));
  EXPECT_THAT(*first, HasSubstr("gone:1: nobody is there"));
  EXPECT_THAT(*first, HasSubstr("alone:1: names no node that is alive and serves "
                                "(dead:1 dead, x:1 Unknown)"));
  EXPECT_EQ(kinds_.Await()->kind, EndClass::kDropped);
  EXPECT_FALSE(kinds_.Await()->answered);
  Find();
  EXPECT_THAT(told_.Await(1).value_or(""), HasSubstr("found in 2 rounds; "));
}

TEST_F(DiscoveryTest, NeverEndsAndFindsAClusterThatComesBack) {
  Open({"seed:1"});
  for (std::size_t round = 0; round < 20; ++round) {
    Find();
    ASSERT_THAT(told_.Await(round).value_or(""), StartsWith("!"));
  }
  Say("seed:1", Members{kLeader});
  Find();
  EXPECT_EQ(told_.Await(20), "leader:1");
}

TEST(DiscoveryPaceTest, FallsToARoundInFiveSecondsOnceSoManyHaveFailed) {
  for (std::uint32_t failed = 0; failed < 10; ++failed) {
    EXPECT_EQ(Discovery::PauseAfter(failed, 10, 100ms), 100ms) << failed;
  }
  EXPECT_EQ(Discovery::PauseAfter(10, 10, 100ms), 5s);
  EXPECT_EQ(Discovery::PauseAfter(1'000'000, 10, 100ms), 5s);
  EXPECT_EQ(Discovery::PauseAfter(10, 10, 7s), 7s) << "never quicker than it is told to be";
}

TEST_F(DiscoveryTest, LooksAgainForOneThatWasLostAndAsksThatOneLast) {
  Open({"seed:1"});
  Say("seed:1", Members{kLeader, kFollower});
  Say("follower:1", Members{{"leader:1", State::kOther, "Unknown", false},
                            {"follower:1", State::kLeader, "Leader", true}});
  Find();
  ASSERT_EQ(told_.Await(0), "leader:1");
  discovery_->Lost("another:1");
  EXPECT_EQ(discovery_->known(), "leader:1");
  discovery_->Lost("leader:1");
  EXPECT_EQ(discovery_->known(), std::nullopt);
  Find();
  EXPECT_EQ(told_.Await(1), "follower:1");
  EXPECT_EQ(asked_.Await(1), "follower:1");
}

// The others may not know that it is silent.
TEST_F(DiscoveryTest, ANodeThatIsSilentIsNotChosenAgainWhileThereIsAnother) {
  Open({"seed:1"}, NodePreference::kFollower);
  Say("seed:1", Members{kLeader, kFollower});
  Say("leader:1", Members{kLeader, kFollower});
  Find();
  ASSERT_EQ(told_.Await(0), "follower:1");
  discovery_->Silent("follower:1");
  EXPECT_EQ(discovery_->known(), std::nullopt);
  Find();
  EXPECT_EQ(told_.Await(1), "leader:1");
}

TEST_F(DiscoveryTest, WhatEveryNodeWouldRefuseIsAskedOfOne) {
  Open({"a:1", "b:1"});
  const EndOfCall refused{.kind = EndClass::kCredentials, .answered = true, .text = "a: who?"};
  Say("a:1", refused);
  Say("b:1", refused);
  Find();
  ASSERT_TRUE(told_.Await().has_value());
  EXPECT_EQ(kinds_.Await()->kind, EndClass::kCredentials);
  EXPECT_TRUE(kinds_.Await()->answered);
  EXPECT_EQ(asked_.size(), 1u);
}

TEST_F(DiscoveryTest, WhoWantsToKnowNoMoreIsToldSo) {
  Open({"seed:1"});
  Hold();
  const Discovery::Number number = Find();
  ASSERT_TRUE(asked_.Await().has_value());
  discovery_->Forget(number);
  EXPECT_EQ(told_.Await(), "!the search for a node was cut short");
  Release();
}

TEST_F(DiscoveryTest, WhoWasToldIsNotToldAgain) {
  Open({"seed:1"});
  Say("seed:1", Members{kLeader});
  const Discovery::Number number = Find();
  ASSERT_TRUE(told_.Await(0).has_value());
  discovery_->Forget(number);
  Find();
  ASSERT_TRUE(told_.Await(1).has_value());
  EXPECT_EQ(told_.size(), 2u);
}

}  // namespace
}  // namespace catchup
