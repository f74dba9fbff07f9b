#include "host/daemon/head_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/daemon/scripted_source.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

using testing::Optional;

using std::chrono::seconds;

class HeadProbeTest : public testing::Test {
 protected:
  HeadProbeTest() {
    SourceSide::Services services;
    services.address = [this] { return server_.address; };
    services.open = [this](const std::string&, const std::string& name) {
      opened_.Tell(name);
      return Result<std::unique_ptr<Source>>(std::make_unique<ScriptedSource>(&server_));
    };
    services.retire = [this](std::shared_ptr<Source> source) { retired_ = std::move(source); };
    probe_ = std::make_unique<HeadProbe>(services, reactor_.get(),
                                         [this](const auto& head) { found_.Tell(head); });
  }
  ~HeadProbeTest() override { reactor_->Stop(); }

  // On the reactor, and what was asked there has been answered when the n-th head is found.
  void Look(seconds at) {
    Told<bool> looked;
    reactor_->Post([&] {
      probe_->Look(groups_, begin_ + at);
      looked.Tell(true);
    });
    ASSERT_TRUE(looked.Await().has_value());
  }

  const HeadProbe::Clock::time_point begin_ = HeadProbe::Clock::now();
  ScriptedServer server_;
  std::unique_ptr<Reactor> reactor_ = *Reactor::Create();
  std::shared_ptr<Source> retired_;
  Told<std::string> opened_;
  Told<std::optional<Position>> found_;
  std::vector<GroupStatus> groups_{1};
  std::unique_ptr<HeadProbe> probe_;
};

TEST_F(HeadProbeTest, FindsTheNewestEventEveryTwoSecondsWhileAGroupMoves) {
  server_.Append("a");
  Look(seconds(0));
  ASSERT_THAT(found_.Await(0), Optional((Position{100, 100})));

  Look(seconds(1));
  Look(seconds(2));

  EXPECT_TRUE(found_.Await(1).has_value());
  EXPECT_EQ(found_.size(), 2u);
  EXPECT_EQ(opened_.size(), 1u);
}

TEST_F(HeadProbeTest, AsksSeldomOnceAllGroupsAreLive) {
  groups_[0].state = GroupState::kCaughtUp;
  Look(seconds(0));
  ASSERT_TRUE(found_.Await(0).has_value());
  Look(seconds(9));
  Look(seconds(10));

  EXPECT_TRUE(found_.Await(1).has_value());
  EXPECT_EQ(found_.size(), 2u);
}

TEST_F(HeadProbeTest, AsksNobodyOnceAllGroupsHaveEnded) {
  groups_[0].finished = true;
  Look(seconds(0));

  EXPECT_EQ(opened_.size(), 0u);
}

TEST_F(HeadProbeTest, FollowsAServerThatHasMoved) {
  Look(seconds(0));
  ASSERT_TRUE(found_.Await(0).has_value());
  server_.address = "scripted:2";

  Look(seconds(2));

  ASSERT_TRUE(found_.Await(1).has_value());
  ASSERT_NE(retired_, nullptr);
  EXPECT_EQ(retired_->address(), "scripted:1");
}

}  // namespace
}  // namespace catchup
