#include "host/engine/letter_book.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace catchup {
namespace {

using namespace std::chrono_literals;
using Time = LetterBook::Time;

class LetterBookTest : public testing::Test {
 protected:
  LetterBook::Id Add(const std::string& stream, std::uint64_t at,
                     LetterState state = LetterState::kHealing, Time due = 0s,
                     const std::string& type = "t") {
    LetterSummary summary;
    summary.position = {at, at};
    summary.stream = stream;
    summary.type = type;
    summary.bytes = 10;
    summary.state = state;
    summary.due = due;
    const LetterBook::Id id = book.Add(summary, 0, true);
    EXPECT_EQ(book.CheckInvariants(), "");
    return id;
  }

  // Where the letter lies that is to be called at `now`; 0 for none.
  std::uint64_t Next(Time now = 1h, Time free_at = 0s) {
    EXPECT_EQ(book.CheckInvariants(), "");
    const auto next = book.Next(now, free_at);
    return next ? next->position.commit : 0;
  }

  LetterBook book{LetterOrder::kStream, 100, 1000};
};

TEST_F(LetterBookTest, HoldsAStreamFromItsFirstLetterOn) {
  Add("a", 5);

  EXPECT_FALSE(book.Holds("a", {4, 4}));
  EXPECT_TRUE(book.Holds("a", {5, 5}));
  EXPECT_TRUE(book.Holds("a", {9, 9}));
  EXPECT_FALSE(book.Holds("b", {9, 9}));
  EXPECT_TRUE(book.Has("a", {5, 5}));
  EXPECT_FALSE(book.Has("a", {9, 9}));
}

TEST(LetterBookOrderTest, OnlyALetterOfOrderStreamHoldsBackOneOfItsStream) {
  for (const LetterOrder order : {LetterOrder::kStream, LetterOrder::kEvent, LetterOrder::kHalt}) {
    SCOPED_TRACE(static_cast<int>(order));
    LetterBook book{order, 100, 1000};
    LetterSummary letter;
    letter.stream = "a";
    letter.type = "t";
    letter.position = {5, 5};
    letter.state = LetterState::kDead;
    book.Add(letter, 0, true);
    letter.position = {9, 9};
    letter.state = LetterState::kHealing;
    book.Add(letter, 0, true);

    EXPECT_EQ(book.CheckInvariants(), "");
    EXPECT_EQ(book.Next(1h, 0s).has_value(), order != LetterOrder::kStream);
  }
}

TEST_F(LetterBookTest, CallsAHealingLetterWhenItIsDue) {
  Add("a", 5, LetterState::kHealing, 30s);

  EXPECT_EQ(Next(29s), 0u);
  EXPECT_EQ(book.NextAt(0s), 30s);
  EXPECT_EQ(Next(30s), 5u);
  EXPECT_EQ(Next(30s, 31s), 0u) << "before healing calls are allowed again";
}

TEST_F(LetterBookTest, HandsOnFollowersOnceTheirStreamIsFree) {
  const auto first = Add("a", 5);
  Add("a", 6, LetterState::kFollower);
  Add("a", 7, LetterState::kFollower);
  ASSERT_EQ(Next(), 5u);

  book.BeginCall(first);
  EXPECT_EQ(Next(), 0u) << "one call at a time";
  book.Remove(first);

  EXPECT_EQ(Next(), 6u);
  EXPECT_EQ(book.count(LetterState::kFollower), 2u);
}

TEST_F(LetterBookTest, LetsStreamsTakeTurnsInHandingOn) {
  Add("a", 1, LetterState::kFollower);
  Add("b", 2, LetterState::kFollower);
  Add("a", 3, LetterState::kFollower);
  Add("b", 4, LetterState::kFollower);
  std::string order;
  while (!book.empty()) {
    const auto next = book.Next(0s, 0s);
    ASSERT_TRUE(next);
    order += std::to_string(next->position.commit) + " ";
    book.BeginCall(*next);
    book.Remove(*next);
  }
  EXPECT_EQ(order, "1 2 3 4 ");
}

TEST_F(LetterBookTest, SaysWhichLettersAreCalledNext) {
  Add("a", 1, LetterState::kHealing, 2s);
  Add("b", 2, LetterState::kHealing, 1s);
  Add("c", 3, LetterState::kFollower);
  const auto dead = Add("d", 4, LetterState::kDead);
  Add("e", 5, LetterState::kHealing, 3s);
  ASSERT_TRUE(book.Ask(dead, 0s));
  const std::vector<Position> all{{4, 4}, {3, 3}, {2, 2}, {1, 1}};
  EXPECT_EQ(book.Upcoming(2s, 10, 1000), all);
  EXPECT_EQ(book.Upcoming(2s, 3, 1000), std::vector(all.begin(), all.begin() + 3));
  EXPECT_EQ(book.Upcoming(2s, 10, 29), std::vector(all.begin(), all.begin() + 2));
  book.BeginCall(dead);
  EXPECT_EQ(book.Upcoming(2s, 10, 1000), std::vector(all.begin() + 1, all.end()));
}

TEST_F(LetterBookTest, KeepsFollowersBehindALetterThatFailsAgain) {
  const auto first = Add("a", 5);
  Add("a", 6, LetterState::kFollower);
  book.BeginCall(first);
  book.EndCall(first, LetterState::kHealing, FailureClass::kUnknown, 0s, 30s, 1);

  EXPECT_EQ(Next(29s), 0u);
  EXPECT_EQ(Next(30s), 5u);
}

TEST_F(LetterBookTest, LeavesWhatWaitsForAPersonAlone) {
  const auto dead = Add("a", 5, LetterState::kDead);
  Add("a", 6, LetterState::kFollower);
  EXPECT_EQ(Next(), 0u);

  EXPECT_TRUE(book.Ask(dead, 0s));
  EXPECT_EQ(Next(), 5u);

  book.Remove(dead);  // Dropped: the follower stands first now.
  EXPECT_EQ(Next(), 6u);
}

TEST_F(LetterBookTest, ALetterCutShortIsAsItWas) {
  const auto first = Add("a", 5, LetterState::kHealing, 7s);
  book.BeginCall(first);
  book.CutCall(first);
  EXPECT_EQ(Next(6s), 0u);
  EXPECT_EQ(Next(7s), 5u);
}

TEST_F(LetterBookTest, CallsLettersOfAHeldTypeAtTheHoldsPace) {
  Add("a", 5);
  Add("b", 6, LetterState::kHealing, 50s, "other");
  book.Hold("t", 60s);

  EXPECT_EQ(Next(49s), 0u);
  EXPECT_EQ(Next(50s), 6u);
  book.Hold("other", std::nullopt);
  EXPECT_EQ(Next(59s), 0u);
  EXPECT_EQ(Next(60s), 5u);
  book.EndHold("t");
  EXPECT_EQ(Next(1s), 5u);
}

TEST_F(LetterBookTest, MakesDueOnlyWhatAStreakWrote) {
  LetterSummary summary{.position = {1, 1}, .stream = "a", .type = "t", .due = 1h};
  book.Add(summary, 7, true);
  summary.position = {2, 2};
  summary.stream = "b";
  book.Add(summary, 8, true);

  EXPECT_EQ(book.MakeStreakDue("t", 8, 5s), (std::vector{Position{2, 2}}));

  EXPECT_EQ(Next(5s), 2u);
  EXPECT_TRUE(book.MakeStreakDue("t", 8, 5s).empty()) << "it has ended";
  EXPECT_EQ(book.CheckInvariants(), "");
  book.Remove(*book.Find("a", {1, 1}));
  EXPECT_EQ(book.CheckInvariants(), "");
}

TEST_F(LetterBookTest, SaysWhichLettersBecameDueAndWhichWereAlready) {
  Add("a", 5, LetterState::kHealing, 30s);
  Add("b", 6, LetterState::kHealing, 1s);
  Add("c", 7, LetterState::kDead);
  Add("d", 8, LetterState::kHealing, 30s, "other");
  EXPECT_EQ(book.MakeTypeDue("t", 2s), (std::vector{Position{5, 5}}));
  EXPECT_EQ(book.MakeAllDue(3s), (std::vector{Position{8, 8}}));
  EXPECT_TRUE(book.MakeAllDue(4s).empty());
}

TEST_F(LetterBookTest, FollowersTooWaitUntilCallsMayGoOnButNotWhatIsAskedFor) {
  Add("a", 5, LetterState::kFollower);
  EXPECT_EQ(Next(10s, 11s), 0u);
  EXPECT_EQ(book.NextAt(11s), 11s);
  EXPECT_EQ(Next(11s, 11s), 5u);
  EXPECT_TRUE(book.Ask(Add("b", 6), 0s));
  EXPECT_EQ(Next(10s, 11s), 6u);
}

// Behind a kill it would be forgotten otherwise, and called without its event.
TEST_F(LetterBookTest, CallsNoLetterThatIsNotWrittenYet) {
  LetterSummary summary{.position = {1, 1}, .stream = "a", .type = "t"};
  const auto id = book.Add(summary, 0, false);
  EXPECT_TRUE(book.Holds("a", {1, 1})) << "it holds its stream all the same";
  EXPECT_EQ(Next(), 0u);
  book.Written(id);
  EXPECT_EQ(Next(), 1u);
}

TEST_F(LetterBookTest, IsBoundedInLettersAndBytes) {
  EXPECT_FALSE(book.IsFull(1000));
  EXPECT_TRUE(book.IsFull(1001));
  for (std::uint64_t n = 1; n <= 50; ++n) {
    Add("a", n, LetterState::kFollower);
  }
  EXPECT_TRUE(book.IsHalfFull());
  EXPECT_FALSE(book.IsFull(500));
  EXPECT_TRUE(book.IsFull(501));
}

TEST_F(LetterBookTest, ALetterInFrontOfOthersTakesTheirTurn) {
  Add("a", 5);
  Add("a", 3, LetterState::kHealing, 10s);
  EXPECT_EQ(Next(9s), 0u);
  EXPECT_EQ(Next(10s), 3u);
}

TEST_F(LetterBookTest, ForgetsLettersBeyondAPlace) {
  Add("a", 5);
  Add("b", 6);
  book.RemoveBeyond(Position{5, 5});
  EXPECT_EQ(book.letters(), 1u);
  EXPECT_FALSE(book.Holds("b", {9, 9}));
}

// In the order "event" nothing queues: each letter has its own time.
TEST(LetterBookEventTest, CallsAnyLetterOfAStream) {
  LetterBook book(LetterOrder::kEvent, 100, 1000);
  LetterSummary summary{.position = {1, 1}, .stream = "a", .type = "t", .due = 1h};
  book.Add(summary, 0, true);
  summary.position = {2, 2};
  summary.due = 1s;
  book.Add(summary, 0, true);
  EXPECT_EQ(book.Next(1s, 0s)->position, (Position{2, 2}));
  EXPECT_EQ(book.CheckInvariants(), "");
}

TEST_F(LetterBookTest, PassesOverWhatMayNotBeCalledAndSaysWhenTheNextIsDue) {
  const auto barred = Add("a", 5, LetterState::kHealing, 0s);
  Add("b", 6, LetterState::kHealing, 10s);
  const auto may = [&](const LetterBook::Id& id) { return id != barred; };

  EXPECT_EQ(book.Next(5s, 0s, may), std::nullopt);
  EXPECT_EQ(book.NextAt(0s), 0s);
  EXPECT_EQ(book.DueAfter(5s), 10s);
  EXPECT_EQ(book.Next(10s, 0s, may)->position, (Position{6, 6}));
  EXPECT_EQ(book.DueAfter(10s), std::nullopt);
  EXPECT_EQ(book.ToProbeWith(may)->position, (Position{6, 6}));
}

TEST_F(LetterBookTest, ProbesWithTheLetterCalledLeastOften) {
  const auto first = Add("a", 5);
  Add("b", 6);
  book.BeginCall(first);
  book.EndCall(first, LetterState::kHealing, FailureClass::kUnknown, 0s, 0s, 1);
  EXPECT_EQ(book.ToProbeWith()->position, (Position{6, 6}));
}

}  // namespace
}  // namespace catchup
