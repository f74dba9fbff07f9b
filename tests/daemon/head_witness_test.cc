#include "host/daemon/source/head_witness.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

namespace catchup {
namespace {

Position At(std::uint64_t place) { return {place, place}; }
Witness EventAt(std::uint64_t place) { return {At(place), {}, place, "stream"}; }

TEST(HeadWitnessTest, IsOneOnceACheckpointHasPassedIt) {
  HeadWitness head;
  head.Saw(EventAt(50));

  EXPECT_EQ(head.PassedAt(At(49), EventAt(10)), EventAt(10));
  EXPECT_EQ(head.PassedAt(At(50), EventAt(10)), EventAt(50));
}

TEST(HeadWitnessTest, IsOneWhereNothingWasHandled) {
  HeadWitness head;
  head.Saw(EventAt(50));

  EXPECT_EQ(head.PassedAt(At(60), std::nullopt), EventAt(50));
}

TEST(HeadWitnessTest, GivesWayToWhatWasHandledBehindIt) {
  HeadWitness head;
  head.Saw(EventAt(50));

  EXPECT_EQ(head.PassedAt(At(60), EventAt(55)), EventAt(55));
}

TEST(HeadWitnessTest, IsOneOnce) {
  HeadWitness head;
  head.Saw(EventAt(50));
  (void)head.PassedAt(At(60), std::nullopt);

  EXPECT_EQ(head.PassedAt(At(70), std::nullopt), std::nullopt);
}

TEST(HeadWitnessTest, StaysTheSameUntilItIsPassedHoweverFastTheLogGrows) {
  HeadWitness head;
  head.Saw(EventAt(50));
  head.Saw(EventAt(500));

  EXPECT_EQ(head.PassedAt(At(60), std::nullopt), EventAt(50));
  head.Saw(EventAt(900));
  EXPECT_EQ(head.PassedAt(At(900), std::nullopt), EventAt(900));
}

TEST(HeadWitnessTest, IsNotTakenWhereACheckpointHasPassedAlready) {
  HeadWitness head;
  (void)head.PassedAt(At(60), std::nullopt);
  head.Saw(EventAt(50));
  head.Saw(EventAt(60));
  head.Saw(std::nullopt);

  EXPECT_EQ(head.PassedAt(At(70), std::nullopt), std::nullopt);
}

TEST(HeadWitnessTest, IsForgottenAtANewConnection) {
  HeadWitness head;
  head.Saw(EventAt(50));
  head.Forget();

  EXPECT_EQ(head.PassedAt(At(60), std::nullopt), std::nullopt);
}

}  // namespace
}  // namespace catchup
