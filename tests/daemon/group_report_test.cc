#include "host/daemon/group/group_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "catchup/plugin.h"
#include "tests/engine/driver.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::Not;

using Waiter = GroupReport::Waiter;

class GroupReportTest : public testing::Test {
 protected:
  GroupStatus Glance() { return report_.Glance(std::nullopt, std::nullopt); }

  GroupConfig config_;
  Engine engine_{EngineOptions{}};
  Commands commands_;
  GroupReport report_{config_, engine_};
};

TEST_F(GroupReportTest, ShowsTheEnginesState) {
  EXPECT_EQ(Glance().state, GroupState::kIdle);

  engine_.Start({}, {}, &commands_);

  EXPECT_EQ(Glance().state, GroupState::kStarting);
  EXPECT_FALSE(Glance().finished);
}

TEST_F(GroupReportTest, ShowsWaitsThatTheEngineDoesNotKnowOfUntilTheyAreOver) {
  report_.WaitFor(Waiter::kSpawn, "no memory");
  report_.WaitFor(Waiter::kStore, "no room");
  EXPECT_EQ(Glance().state, GroupState::kWaiting);
  EXPECT_EQ(Glance().reason, "no room");

  report_.EndWait(Waiter::kStore, true);
  EXPECT_EQ(Glance().reason, "no memory");
  report_.EndWait(Waiter::kSpawn, false);
  EXPECT_EQ(Glance().state, GroupState::kIdle);
}

TEST_F(GroupReportTest, ShowsWhenTheNextTryIsDueOnlyWhileTheGroupWaits) {
  const auto due = GroupReport::Clock::now();
  EXPECT_EQ(report_.Glance(std::nullopt, due).retry_at, std::nullopt);

  report_.WaitFor(Waiter::kStore, "no room");

  EXPECT_EQ(report_.Glance(std::nullopt, due).retry_at, due);
}

TEST_F(GroupReportTest, TellsAFailureBeforeTheStartFromAStop) {
  report_.EndedBeforeStart(GroupState::kFailed, "no such plugin");
  EXPECT_EQ(Glance().state, GroupState::kFailed);
  EXPECT_EQ(Glance().reason, "no such plugin");

  report_.EndedBeforeStart(GroupState::kStopped, "stopped");
  EXPECT_EQ(Glance().state, GroupState::kStopped);
}

// Such a group keeps the host up.
TEST_F(GroupReportTest, TellsAGroupThatWaitsForACommandFromOneThatHasEnded) {
  report_.HeldBeforeStart(GroupState::kHalted, "fenced");
  EXPECT_FALSE(Glance().held) << "not before it has finished";
  report_.Finished();
  EXPECT_TRUE(Glance().held);
  EXPECT_EQ(Glance().state, GroupState::kHalted);
}

TEST_F(GroupReportTest, IsFinishedForGoodWhateverWasWaitedFor) {
  report_.WaitFor(Waiter::kStore, "no room");
  report_.EndedBeforeStart(GroupState::kStopped, "stopped");

  report_.Finished();

  EXPECT_TRUE(Glance().finished);
  EXPECT_EQ(Glance().state, GroupState::kStopped);
}

// A group of one event, which fails.
class FailingGroupTest : public testing::Test {
 protected:
  void Fail(const EngineOptions& options, std::int32_t status) {
    names_.names[1] = {"order-1", "order placed"};
    driver_.emplace(options, &names_);
    config_.name = "orders";
    report_.emplace(config_, driver_->engine);
    driver_->Run();
    driver_->Event({120, 118}, 1, false, 1, {"order-1", "order placed"});
    driver_->Failed({1, status, "handle", "oops"});
  }
  GroupStatus Glance() { return report_->Glance(std::nullopt, std::nullopt); }

  GroupConfig config_;
  Names names_;
  std::optional<Driver> driver_;
  std::optional<GroupReport> report_;
};

TEST_F(FailingGroupTest, AHaltNamesTheEventThatAnOperatorMayPark) {
  Fail({.letter_order = LetterOrder::kHalt}, CATCHUP_REJECT);
  driver_->Exited(1, ExitClass::kClean);
  EXPECT_EQ(Glance().state, GroupState::kHalted);
  EXPECT_THAT(Glance().reason, HasSubstr("catchup start orders, or catchup dlq park orders --event "
                                         "120:118 --reason TEXT"));
}

// Of two logs nobody but a person knows which one is right.
TEST(ForeignLogReportTest, AHaltNamesWhatBothLogsHaveAndHowToGoOn) {
  GroupConfig config;
  config.name = "orders";
  Driver driver;
  GroupReport report(config, driver.engine);
  StartPoint start{.recorded_start = {}, .checkpoint = P(77)};
  start.witnesses = {{P(70), Uuid{{70}}, 7, "s"}, {P(50), Uuid{{50}}, 5, "s"}};
  driver.Start(start);
  driver.Ready();
  driver.WitnessRead(FirstRecord{P(70), Uuid{{7}}});
  driver.WitnessRead(FirstRecord{P(50), Uuid{{50}}});
  EXPECT_EQ(report.Glance(std::nullopt, std::nullopt).state, GroupState::kDraining);
  driver.Exited(1, ExitClass::kClean);
  const GroupStatus halted = report.Glance(std::nullopt, std::nullopt);
  EXPECT_EQ(halted.state, GroupState::kHalted);
  EXPECT_THAT(halted.reason, HasSubstr("known to be in this log lies at 50:50"));
  EXPECT_THAT(halted.reason, HasSubstr("catchup reset orders --to last-good"));
  EXPECT_THAT(halted.reason, HasSubstr("catchup start orders"));
}

TEST_F(FailingGroupTest, AWaitInDoubtSaysHowToDecideAndEndsWithItsTime) {
  Fail({}, CATCHUP_FAILED);
  EXPECT_EQ(Glance().state, GroupState::kWaiting);
  EXPECT_THAT(Glance().reason,
              HasSubstr("catchup dlq park orders --event 120:118, or --type 'order "
                        "placed', with --reason TEXT; next try in 1.0s"));
}

// Nothing can be parked then, so that is no way out.
TEST_F(FailingGroupTest, AWaitForRoomSaysHowToMakeSome) {
  config_.dead_letters.max_letters = 7;
  config_.dead_letters.max_bytes = 1'000;
  for (const std::int32_t status : {CATCHUP_REJECT, CATCHUP_FAILED}) {
    Fail({.max_letters = 0}, status);
    EXPECT_EQ(Glance().state, GroupState::kWaiting);
    EXPECT_THAT(Glance().reason,
                HasSubstr("; the group has 0 of 7 letters, 0 of 1000 bytes; to make room: catchup "
                          "dlq retry orders --all, catchup dlq drop orders ID --reason TEXT, or "
                          "larger bounds in dead_letters"));
    EXPECT_THAT(Glance().reason, Not(HasSubstr("dlq park")));
  }
}

TEST_F(FailingGroupTest, AWaitForInfrastructureIsNothingToDecideAbout) {
  Fail({}, CATCHUP_RETRY);
  EXPECT_EQ(Glance().state, GroupState::kWaiting);
  EXPECT_THAT(Glance().reason, Not(HasSubstr("dlq park")));
}

// Lines are counted, searched and bounded by their message.
TEST(NoticeMsgTest, NoTwoNoticesHaveTheSameMessage) {
  std::set<std::string_view> messages;
  for (std::size_t i = 0; i < kNotices; ++i) {
    EXPECT_TRUE(messages.insert(NoticeMsg(static_cast<Notice>(i))).second) << i;
  }
}

}  // namespace
}  // namespace catchup
