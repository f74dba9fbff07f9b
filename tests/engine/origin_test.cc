#include "host/engine/origin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/driver.h"

namespace catchup {
namespace {

using Whose = Origin::Whose;

StartPoint Recorded(std::optional<Position> start, std::optional<Position> checkpoint) {
  StartPoint point;
  point.recorded_start = start;
  point.checkpoint = checkpoint;
  return point;
}

TEST(OriginTest, WithoutAPositionOfThePluginsTheCheckpointCountsAndElseTheRecordedStart) {
  const auto at_checkpoint = Origin::Choose(Recorded(P(2), P(7)), false, {});
  EXPECT_EQ(at_checkpoint.place, P(7));
  EXPECT_EQ(at_checkpoint.whose, Whose::kCheckpoint);
  EXPECT_EQ(at_checkpoint.durable, P(7));

  const auto at_start = Origin::Choose(Recorded(P(2), {}), false, {});
  EXPECT_EQ(at_start.place, P(2));
  EXPECT_EQ(at_start.whose, Whose::kStart);
  EXPECT_EQ(at_start.durable, std::nullopt);
  EXPECT_EQ(at_start.covered, P(2)) << "a start that is recorded needs no checkpoint";
}

TEST(OriginTest, WhatThePluginHoldsWinsOverACheckpointBehindIt) {
  const auto choice = Origin::Choose(Recorded({}, P(7)), true, P(9));
  EXPECT_EQ(choice.place, P(9));
  EXPECT_EQ(choice.whose, Whose::kPlugin);
  EXPECT_FALSE(choice.plugin_behind);
  EXPECT_EQ(choice.durable, P(7));
  EXPECT_EQ(choice.covered, P(7)) << "the checkpoint is to follow";
}

TEST(OriginTest, WhatThePluginHoldsWinsOverACheckpointAheadOfIt) {
  const auto choice = Origin::Choose(Recorded({}, P(7)), true, P(3));
  EXPECT_EQ(choice.place, P(3));
  EXPECT_TRUE(choice.plugin_behind);
  EXPECT_EQ(choice.durable, P(3));
  EXPECT_EQ(choice.covered, std::nullopt) << "the checkpoint is to be put back";
}

TEST(OriginTest, APluginThatHoldsNothingBeginsAtTheRecordedStartWhateverTheCheckpointSays) {
  const auto choice = Origin::Choose(Recorded(P(2), P(7)), true, {});
  EXPECT_EQ(choice.place, P(2));
  EXPECT_EQ(choice.whose, Whose::kStart);
  EXPECT_TRUE(choice.plugin_behind);
}

TEST(OriginTest, IsNotSeenAnyMoreOnceThePluginStandsElsewhere) {
  Origin origin;
  EXPECT_FALSE(origin.begun());
  origin.Begin(Origin::Choose(Recorded({}, P(7)), false, {}));
  origin.OnSeen();
  EXPECT_TRUE(origin.begun() && origin.seen());
  origin.Move(P(3), Whose::kPlugin);
  EXPECT_TRUE(origin.begun());
  EXPECT_FALSE(origin.seen());
}

TEST(OriginTest, SaysWhosePlaceTheLogDoesNotHave) {
  using testing::HasSubstr;
  Origin origin;
  origin.Begin(Origin::Choose(Recorded(P(2), {}), false, {}));
  EXPECT_THAT(origin.Describe(P(2)), HasSubstr("2:2, the group's `start`"));
  EXPECT_THAT(origin.Describe(P(5)), HasSubstr("5:5, up to where it was read before"));

  origin.Begin(Origin::Choose(Recorded({}, P(7)), false, {}));
  EXPECT_THAT(origin.Describe(P(7)), HasSubstr("7:7, where the group's checkpoint stands"));

  origin.Begin(Origin::Choose(Recorded({}, {}), true, P(9)));
  EXPECT_THAT(origin.Describe(P(9)), HasSubstr("9:9, the position that the plugin holds"));
}

}  // namespace
}  // namespace catchup
