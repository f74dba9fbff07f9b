#include "host/base/witness.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

constexpr Uuid kOther{{9}};

// An event of "order-1", the eighth of its stream.
Witness Handled() { return {{900, 900}, Uuid{{1, 2, 3}}, 7, "order-1"}; }

TEST(WitnessTest, TheSameEventAtItsPlaceProves) {
  EXPECT_EQ(Judge(Handled(), FirstRecord{{900, 900}, Handled().event_id}), Testimony::kProved);
}

TEST(WitnessTest, AnotherEventAtItsPlaceRefutes) {
  EXPECT_EQ(Judge(Handled(), FirstRecord{{900, 900}, kOther}), Testimony::kRefuted);
}

// Whoever follows links has handled the event that the link names.
TEST(WitnessTest, ALinkAtItsPlaceIsNoAnswerUnlessItIsTheEventItself) {
  EXPECT_EQ(Judge(Handled(), FirstRecord{{900, 900}, kOther, true}), Testimony::kAskStream);
  EXPECT_EQ(Judge(Handled(), FirstRecord{{900, 900}, Handled().event_id, true}),
            Testimony::kProved);
}

// Scavenged, or a record of another log that no read shows lies there.
TEST(WitnessTest, NothingAtItsPlaceLeavesItToTheStream) {
  EXPECT_EQ(Judge(Handled(), FirstRecord{{1000, 1000}, kOther}), Testimony::kAskStream);
  EXPECT_EQ(Judge(Handled(), FirstRecord{{900, 899}, kOther}), Testimony::kAskStream);
  EXPECT_EQ(Judge(Handled(), std::nullopt), Testimony::kAskStream);
}

TEST(WitnessTest, AStreamWhoseNameWasTooLongToKeepIsNotAsked) {
  Witness nameless = Handled();
  nameless.stream.clear();
  EXPECT_EQ(Judge(nameless, std::nullopt), Testimony::kNone);
  EXPECT_EQ(Judge(nameless, FirstRecord{{900, 900}, kOther}), Testimony::kRefuted);
}

TEST(WitnessTest, ItsStreamProvesRefutesOrSaysNothing) {
  using Kind = StreamRevision::Kind;
  EXPECT_EQ(Judge(Handled(), StreamRevision{Kind::kEvent, Handled().event_id}), Testimony::kProved);
  EXPECT_EQ(Judge(Handled(), StreamRevision{Kind::kEvent, kOther}), Testimony::kRefuted);
  EXPECT_EQ(Judge(Handled(), StreamRevision{Kind::kEndsBelow, {}}), Testimony::kRefuted);
  EXPECT_EQ(Judge(Handled(), StreamRevision{Kind::kGone, {}}), Testimony::kNone);
}

}  // namespace
}  // namespace catchup
