#include "host/engine/source_link.h"

#include <gtest/gtest.h>

#include "tests/engine/driver.h"

// The calls of a group, by themselves.

namespace catchup {
namespace {

class SourceLinkTest : public testing::Test {
 protected:
  Turn Now() {
    commands.clear();
    return Turn({.now = now, .random = 250}, &commands);
  }
  SourceLink::Place Behind(std::optional<Position> reached, std::optional<Position> event = {}) {
    return {.reached = reached, .event = event, .words = "its place"};
  }
  // A call that goes on behind `place` and whose server is asked where its log ends.
  void Connect(const SourceLink::Place& place) {
    Turn turn = Now();
    link.Connect(place.reached, turn);
    link.OnServer(server, place, turn);
  }
  SourceLink::Found End(std::optional<Position> end, const SourceLink::Place& place) {
    Turn turn = Now();
    return link.OnEnd(end, place, turn);
  }
  void Frame() {
    Turn turn = Now();
    link.OnFrame(turn);
  }
  void Drop(EndClass end = EndClass::kDropped) {
    Turn turn = Now();
    link.OnEnded({.kind = end, .text = "reset"}, P(5), turn);
  }

  SourceLink link;
  ServerTraits server;
  Commands commands;
  std::chrono::nanoseconds now = 1h;
};

TEST_F(SourceLinkTest, OpensAtOnceWhereTheLogBegins) {
  Turn turn = Now();
  link.Connect({}, turn);
  EXPECT_EQ(Find(commands, Kind::kConnect)->number, 1u);
  EXPECT_TRUE(link.connecting());
  EXPECT_TRUE(link.OnServer({}, Behind({}), turn).placed);
  EXPECT_TRUE(link.open());
  EXPECT_EQ(Find(commands, Kind::kSubscribe)->from, std::nullopt);
}

TEST_F(SourceLinkTest, IsNotOpenedSoonerThanTheServerAskedForWhoeverWantsIt) {
  Connect(Behind({}));
  Turn turn = Now();
  link.OnEnded({.kind = EndClass::kDropped, .answered = true, .retry_after = 20s, .text = "busy"},
               {}, turn);
  link.ConnectAt(now);
  EXPECT_EQ(link.connect_at(), now + 20s);
  link.ConnectAt(now + 1min);
  EXPECT_EQ(link.connect_at(), now + 1min);
}

TEST_F(SourceLinkTest, HoldsAPlaceAgainstTheEndOfTheLogFirst) {
  Connect(Behind(P(77)));
  EXPECT_EQ(Find(commands, Kind::kReadEnd)->from, P(77));
  EXPECT_TRUE(End(P(77), Behind(P(77))).placed);
  EXPECT_EQ(Find(commands, Kind::kSubscribe)->from, P(77));
}

TEST_F(SourceLinkTest, LooksAgainWhereTheLogEndsBeforeThePlaceAndThenGivesUp) {
  const SourceLink::Place place = Behind(P(77));
  const std::chrono::nanoseconds since = now;
  std::string failed;
  while (failed.empty() && now - since < 1min) {
    Connect(place);
    failed = End(P(50), place).failed;
    EXPECT_FALSE(link.has_call());
    if (failed.empty()) {
      ASSERT_EQ(link.connect_at(), now + 500ms);
      now += 500ms;
    }
  }
  EXPECT_EQ(now - since, 3s);
  EXPECT_EQ(failed, "the log ends at 50:50, before its place");
}

TEST_F(SourceLinkTest, WantsWhatLayBeyondTheEndWhenTheLogHasGrown) {
  const SourceLink::Place place = Behind(P(77), P(70));
  Connect(place);
  End(P(50), place);
  Connect(place);
  EXPECT_FALSE(End(P(90), place).placed);
  EXPECT_EQ(Find(commands, Kind::kProbe)->from, P(70));
  Turn turn = Now();
  EXPECT_TRUE(link.OnProbed(P(70), place, turn).placed);
  EXPECT_TRUE(link.open());
  EXPECT_EQ(link.trouble(), "");
}

TEST_F(SourceLinkTest, StepsBackToTheLastEventOnAnOldServerWhereNoRecordLies) {
  server = kOld;
  const SourceLink::Place place = Behind(P(10), P(5));
  Connect(place);
  End(P(90), place);
  EXPECT_EQ(Find(commands, Kind::kProbe)->from, P(10));
  Turn turn = Now();
  EXPECT_TRUE(link.OnProbed(P(12), place, turn).step_back);
  EXPECT_EQ(Find(commands, Kind::kProbe)->from, P(5));
  Turn again = Now();
  EXPECT_FALSE(link.OnProbed(P(5), place, again).step_back);
  EXPECT_EQ(Find(commands, Kind::kSubscribe)->from, P(5));
}

TEST_F(SourceLinkTest, IsBlockedOnceAMessageWasTooLargeTwiceAtOnePlace) {
  const auto too_large_behind = [this](std::optional<Position> reached) {
    Connect(Behind({}));
    Turn turn = Now();
    link.OnEnded({.kind = EndClass::kTooLarge, .text = "18 MiB"}, reached, turn);
    EXPECT_EQ(link.connect_at(), now + 30s);
    return link.trouble();
  };
  EXPECT_EQ(too_large_behind(P(5)), "subscription refused (18 MiB); next try in 30.0s");
  EXPECT_TRUE(too_large_behind(P(5)).starts_with(
      "blocked: what comes behind 5:5 is too large (18 MiB); wanted "))
      << link.trouble();
  EXPECT_TRUE(too_large_behind(P(7)).starts_with("subscription refused"));
  link.Forget();
  EXPECT_TRUE(too_large_behind({}).starts_with("subscription refused"));
  EXPECT_TRUE(too_large_behind({}).starts_with("blocked: what comes behind the beginning is "));
}

TEST_F(SourceLinkTest, BacksOffAndIsBackToBaseAfterAHealthyCall) {
  Connect(Behind({}));
  Drop();
  EXPECT_EQ(link.connect_at(), now + 200ms);
  EXPECT_FALSE(link.Is(1));
  Connect(Behind({}));
  EXPECT_TRUE(link.Is(2));
  Drop();
  EXPECT_EQ(link.connect_at(), now + 400ms);
  Connect(Behind({}));
  Frame();
  Drop();
  EXPECT_EQ(link.connect_at(), now + 200ms);
  Connect(Behind({}));
  Drop(EndClass::kRights);
  EXPECT_EQ(link.connect_at(), now + 10s);
}

TEST_F(SourceLinkTest, TheFirstFrameEndsTheTrouble) {
  Connect(Behind({}));
  Drop();
  EXPECT_TRUE(Contains(link.trouble(), "reset"));
  Connect(Behind({}));
  EXPECT_FALSE(link.live());
  Frame();
  EXPECT_TRUE(link.live());
  EXPECT_TRUE(link.been_live());
  EXPECT_EQ(link.trouble(), "");
}

TEST_F(SourceLinkTest, IsLiveWhereTheHeadWas) {
  Connect(Behind({}));
  EXPECT_FALSE(link.OnHead(P(20)));
  EXPECT_FALSE(link.OnPosition(P(19)));
  EXPECT_TRUE(link.OnPosition(P(20)));
  Connect(Behind({}));
  EXPECT_FALSE(link.knows_head()) << "of the call before";
  link.OnPosition(P(30));
  EXPECT_TRUE(link.OnHead(P(28))) << "a frame had overtaken it";
}

TEST_F(SourceLinkTest, ACancelledCallIsFollowedByNone) {
  Connect(Behind({}));
  Turn turn = Now();
  link.Cancel(turn);
  EXPECT_EQ(Find(commands, Kind::kCancelSubscription)->number, 1u);
  Turn again = Now();
  link.Cancel(again);
  EXPECT_TRUE(commands.empty());
  link.ConnectAt(now);
  link.Cancel(again);
  EXPECT_EQ(link.connect_at(), std::nullopt);
}

}  // namespace
}  // namespace catchup
