#include "host/daemon/watch/progress.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace catchup {
namespace {

using Strings = std::vector<std::string>;
using std::chrono::milliseconds;
using std::chrono::seconds;

const std::chrono::steady_clock::time_point kStart{std::chrono::hours(1)};

constexpr TerminalSize kUsual{80, 24};
constexpr TerminalSize kLarge{200, 50};

GroupStatus Group(const std::string& name, GroupState state, const std::string& reason = "") {
  GroupStatus status;
  status.name = name;
  status.state = state;
  status.reason = reason;
  return status;
}

GroupStatus CatchingUp(const std::string& name, std::uint64_t commit, std::uint64_t head,
                       std::uint64_t processed = 1'000) {
  GroupStatus status = Group(name, GroupState::kCatchingUp);
  status.processed = processed;
  status.rate = 1234;
  status.position = Position{commit, commit};
  status.head = Position{head, head};
  return status;
}

Strings Draw(const std::vector<GroupStatus>& groups, TerminalSize size = kUsual) {
  return ProgressTable().Draw(groups, kStart, size);
}

// The lines after a glance a second ago, from which the time left is known.
Strings DrawAgain(std::vector<GroupStatus> groups, std::uint64_t bytes_ago,
                  TerminalSize size = kUsual) {
  ProgressTable table;
  std::vector<GroupStatus> before = groups;
  for (GroupStatus& group : before) {
    group.position = Position{group.position->commit - bytes_ago, 0};
  }
  table.Draw(before, kStart, size);
  return table.Draw(groups, kStart + seconds(1), size);
}

bool Has(const std::string& text, const std::string& word) {
  return text.find(word) != std::string::npos;
}

TEST(ProgressTableTest, TellsEventsRateAndPlaceInTheLog) {
  EXPECT_EQ(Draw({CatchingUp("orders", 500, 2000, 1'000'000)}),
            Strings{"orders  catching up  1,000,000 events  1,234/s  25.0 %  at 500 of 2,000"});
}

TEST(ProgressTableTest, EstimatesTheTimeLeftFromWhatItSawBefore) {
  EXPECT_EQ(DrawAgain({CatchingUp("orders", 1000, 2000)}, 500),
            Strings{"orders  catching up  1,000 events  1,234/s  50.0 %  ETA 2s  "
                    "at 1,000 of 2,000"});
}

// A group at the head has arrived, and one that waits does not come nearer.
TEST(ProgressTableTest, GivesTheTimeLeftOnlyWhileAGroupCatchesUp) {
  for (const GroupState state : {GroupState::kCaughtUp, GroupState::kWaiting, GroupState::kFailed,
                                 GroupState::kStarting, GroupState::kDraining}) {
    GroupStatus status = CatchingUp("orders", 1000, 2000);
    status.state = state;
    const Strings lines = DrawAgain({status}, 500);
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_FALSE(Has(lines[0], "ETA")) << lines[0];
    EXPECT_FALSE(Has(lines[0], "%")) << lines[0];
  }
}

TEST(ProgressTableTest, AlignsItsColumns) {
  EXPECT_EQ(
      DrawAgain({CatchingUp("orders", 1000, 2000, 1'000'000), CatchingUp("b", 9'000, 10'000, 7),
                 CatchingUp("mail-and-more", 1'000, 100'000, 33)},
                500),
      (Strings{"mail-and-more  catching up         33 events  1,234/s   1.0 %  ETA 3m18s",
               "orders         catching up  1,000,000 events  1,234/s  50.0 %  ETA 2s",
               "b              catching up          7 events  1,234/s  90.0 %  ETA 2s",
               "3 groups: 3 catching up"}));
}

TEST(ProgressTableTest, ShowsTroubleFirstAndCountsEveryState) {
  std::vector<GroupStatus> groups;
  for (int i = 0; i < 190; ++i) {
    groups.push_back(Group("fine-" + std::to_string(i), GroupState::kCaughtUp));
  }
  for (int i = 0; i < 7; ++i) {
    groups.push_back(CatchingUp("slow-" + std::to_string(i), 500, 2000));
  }
  groups.push_back(Group("waits", GroupState::kWaiting, "server unreachable"));
  groups.push_back(Group("bad", GroupState::kFailed, "the plugin broke the contract"));
  groups.push_back(Group("waits-too", GroupState::kWaiting, "the disk is full"));
  for (const TerminalSize size : {kUsual, kLarge}) {
    const Strings lines = Draw(groups, size);
    ASSERT_LT(lines.size(), size.rows);
    EXPECT_EQ(lines[0], "bad        failed       the plugin broke the contract");
    EXPECT_EQ(lines[1], "waits      waiting      server unreachable");
    EXPECT_EQ(lines[2], "waits-too  waiting      the disk is full");
    EXPECT_EQ(lines[3].substr(0, 24), "slow-0     catching up  ");
    EXPECT_EQ(lines.back(), "200 groups: 190 caught up, 7 catching up, 2 waiting, 1 failed");
    const std::size_t shown = lines.size() - 2;
    EXPECT_EQ(lines[shown], "... and " + std::to_string(200 - shown) + " more");
  }
}

TEST(ProgressTableTest, OfThoseThatCatchUpTheSlowestComeFirst) {
  const Strings lines =
      DrawAgain({CatchingUp("near", 99'000, 100'000), CatchingUp("far", 10'000, 100'000'000)}, 500);
  EXPECT_EQ(lines[0].substr(0, 4), "far ");
  EXPECT_EQ(lines[1].substr(0, 4), "near");
}

// Lines that change places all the time cannot be read.
TEST(ProgressTableTest, AboutAsSlowStaysInTheOrderOfTheFile) {
  const Strings lines =
      DrawAgain({CatchingUp("a", 10'000, 100'000), CatchingUp("b", 9'000, 100'000)}, 500);
  EXPECT_EQ(lines[0].substr(0, 2), "a ");
}

TEST(ProgressTableTest, CutsAReasonAtAWord) {
  const GroupStatus status = Group("orders", GroupState::kFailed,
                                   "plugin /opt/orders.so has mode 0775: wanted no right to write "
                                   "for group and others");
  EXPECT_EQ(Draw({status}),
            Strings{"orders  failed  plugin /opt/orders.so has mode 0775: wanted no right to..."});
  EXPECT_EQ(Draw({status}, {53, 24}), Strings{"orders  failed  plugin /opt/orders.so has mode..."});
}

// Why a group has failed is what an operator looks for; of which event, the log tells.
TEST(ProgressTableTest, AFailedGroupsCauseHasRoomInEightyColumns) {
  const std::string reason =
      "handle of 3d07a1f2-7c5a-4f0e-9a3c-1b6d9d1f7c11 orders-of-the-north@12 order-placed at "
      "1234567:1234567 returned FAILED (event 13 of this run): database: disk I/O error; the group "
      "stops, its checkpoint stays before that";
  const std::vector<GroupStatus> groups = {
      Group("order-totals-of-the-north-western-region", GroupState::kFailed, reason),
      CatchingUp("order-totals-of-the-south-western-region", 500, 2000)};
  const Strings lines = Draw(groups);
  EXPECT_EQ(lines[0],
            "order-...region  failed       handle returned FAILED: database: disk I/O error");
  EXPECT_TRUE(Has(Draw(groups, kLarge)[0], "database: disk I/O error")) << Draw(groups, kLarge)[0];
  EXPECT_EQ(Draw({Group("g", GroupState::kFailed, reason)}, {400, 24})[0], "g  failed  " + reason);
}

TEST(ProgressTableTest, ANameIsCutInItsMiddle) {
  const Strings lines = Draw({CatchingUp("order-totals-of-the-north-western-region", 500, 2000)});
  EXPECT_EQ(lines[0].substr(0, 28), "order-totals...tern-region  ") << lines[0];
}

// A number cut short is a wrong one.
TEST(ProgressTableTest, LeavesOutWholeColumnsWhereThereIsNoRoom) {
  const std::vector<GroupStatus> groups = {
      CatchingUp("orders", 500'000'000, 2'000'000'000, 1'000'000)};
  EXPECT_EQ(Draw(groups, {60, 24}),
            Strings{"orders  catching up  1,000,000 events  1,234/s  25.0 %"});
  EXPECT_EQ(Draw(groups, {50, 24}), Strings{"orders  catching up  1,000,000 events  25.0 %"});
  EXPECT_EQ(Draw(groups, {30, 24}), Strings{"orders  catching up  25.0 %"});
}

// What matters most must be on a terminal of 80 columns, also for a long log.
TEST(ProgressTableTest, ShowsTheTimeLeftWithinEightyColumns) {
  const Strings lines = DrawAgain({CatchingUp("order-totals-of-the-north-western-region",
                                              50'001'000'000, 200'000'000'000, 123'456'999)},
                                  1'000'000);
  EXPECT_TRUE(Has(lines[0], "  ETA 41h39m")) << lines[0];
  EXPECT_LT(lines[0].size(), 80u);
}

TEST(ProgressTableTest, NothingIsEverWiderThanTheTerminal) {
  std::vector<GroupStatus> groups = {
      CatchingUp(std::string(63, 'n'), 500'000'000, 2'000'000'000, 1'000'000),
      Group(std::string(63, 'm'), GroupState::kFailed, std::string(300, 'x')),
      Group("w", GroupState::kWaiting, "\xc3\xa4\xc3\xb6\xc3\xbc waits for \xe2\x80\xa6 a while")};
  for (std::size_t columns = 1; columns < 220; ++columns) {
    for (const std::string& line : Draw(groups, {columns, 24})) {
      EXPECT_LT(line.size(), std::max<std::size_t>(columns, 2)) << columns << ": " << line;
    }
  }
}

TEST(ProgressTableTest, CountsDownToTheNextTry) {
  GroupStatus status =
      Group("orders", GroupState::kWaiting, "the runner died of SIGSEGV; restart in 17.4s");
  status.retry_at = kStart + milliseconds(17'400);
  ProgressTable table;
  EXPECT_EQ(table.Draw({status}, kStart, kUsual),
            Strings{"orders  waiting  the runner died of SIGSEGV; restart in 18s"});
  EXPECT_EQ(table.Draw({status}, kStart + seconds(10), kUsual),
            Strings{"orders  waiting  the runner died of SIGSEGV; restart in 8s"});
  EXPECT_EQ(table.Draw({status}, kStart + seconds(18), kUsual),
            Strings{"orders  waiting  the runner died of SIGSEGV"});
}

TEST(ProgressTableTest, TheTimeLeftSurvivesTheCut) {
  GroupStatus status = Group("orders", GroupState::kWaiting,
                             "the runner died by a signal at event 17: died of SIGSEGV in "
                             "handle_batch; restart in 17.4s");
  status.retry_at = kStart + seconds(17);
  EXPECT_EQ(Draw({status}),
            Strings{"orders  waiting  the runner died by a signal at event 17...; restart in 17s"});
}

// A number that is not counted down is a wrong one.
TEST(ProgressTableTest, SaysNoTimeWhereNoneIsKnown) {
  EXPECT_EQ(Draw({Group("orders", GroupState::kWaiting, "dropped (gone); next try in 3.0s")}),
            Strings{"orders  waiting  dropped (gone)"});
}

TEST(ProgressTableTest, AFailedGroupKeepsItsLineAndOneThatHasEndedSaysSo) {
  GroupStatus failed = Group("bad", GroupState::kFailed, "no such plugin");
  failed.finished = true;
  GroupStatus ended = Group("done", GroupState::kStopped, "caught up");
  ended.finished = true;
  ended.processed = 12;
  EXPECT_EQ(Draw({ended, failed}),
            (Strings{"bad   failed  no such plugin", "done  ended   12 events  0/s",
                     "2 groups: 1 ended, 1 failed"}));
}

TEST(ProgressTableTest, LeavesRoomForTheLog) {
  std::vector<GroupStatus> groups(200, Group("g", GroupState::kCaughtUp));
  EXPECT_EQ(Draw(groups, kUsual).size(), 16u);
  EXPECT_EQ(Draw(groups, kLarge).size(), 33u);
  EXPECT_LE(Draw(groups, {80, 2}).size(), 3u);
}

}  // namespace
}  // namespace catchup
