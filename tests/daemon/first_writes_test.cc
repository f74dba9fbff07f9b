#include "host/daemon/store/first_writes.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

using Step = FirstWrites::Step;

FirstWrites::Ready Runner(SpawnNumber spawn, std::optional<Position> loaded = {}) {
  FirstWrites::Ready ready;
  ready.spawn = spawn;
  ready.outcome.loaded = loaded;
  return ready;
}

const PositionReset kToSeven{.to = Position{7, 7}};

TEST(FirstWritesTest, NothingIsMissingWhereNothingHasChanged) {
  FirstWrites writes;
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kTell);
}

TEST(FirstWritesTest, AChangedFilterIsWrittenOnceBeforeTheFirstEvent) {
  FirstWrites writes;
  writes.Set(true, {});
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kFilter);
  writes.OnWritten(Step::kFilter);
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kTell);
}

// Its position was made with the old one, so the engine refuses it; the new one must not be
// written.
TEST(FirstWritesTest, AChangedFilterIsNotWrittenForAPluginThatHoldsAPosition) {
  FirstWrites writes;
  writes.Set(true, {});
  EXPECT_EQ(writes.OnReady(Runner(1, Position{3, 3}), false), Step::kTell);
}

TEST(FirstWritesTest, AResetIsWrittenAfterTheFilterAndToldToRunnersUntilThen) {
  FirstWrites writes;
  writes.Set(true, kToSeven);
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kFilter);
  writes.OnWritten(Step::kFilter);
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kReset);
  EXPECT_TRUE(writes.reset().has_value());
  writes.OnWritten(Step::kReset);
  EXPECT_FALSE(writes.reset().has_value());
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kTell);
}

TEST(FirstWritesTest, OtherLanesRunnersWaitForWhatIsBeingWritten) {
  FirstWrites writes;
  writes.Set(false, kToSeven);
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kReset);
  EXPECT_EQ(writes.OnReady(Runner(2), false), Step::kWait);
  EXPECT_EQ(writes.OnReady(Runner(3), false), Step::kWait);
  writes.OnWritten(Step::kReset);
  const auto waited = writes.TakeWaiting();
  ASSERT_EQ(waited.size(), 2u);
  EXPECT_EQ(waited[0].spawn, 2u);
  EXPECT_EQ(waited[1].spawn, 3u);
  EXPECT_EQ(writes.OnReady(waited[0], false), Step::kTell);
  EXPECT_TRUE(writes.TakeWaiting().empty());
}

TEST(FirstWritesTest, WhereTheWritersRunnerIsGoneTheNextOneOfThoseThatWaitedWrites) {
  FirstWrites writes;
  writes.Set(false, kToSeven);
  EXPECT_EQ(writes.OnReady(Runner(1), false), Step::kReset);
  EXPECT_EQ(writes.OnReady(Runner(2), false), Step::kWait);
  const auto waited = writes.TakeWaiting();
  ASSERT_EQ(waited.size(), 1u);
  EXPECT_EQ(writes.OnReady(waited[0], false), Step::kReset);
}

TEST(FirstWritesTest, ARunnerThatTheEngineRefusesWaitsForNothing) {
  FirstWrites writes;
  writes.Set(true, kToSeven);
  EXPECT_EQ(writes.OnReady(Runner(1), true), Step::kTell);
  EXPECT_EQ(writes.OnReady(Runner(2), false), Step::kFilter);
  EXPECT_EQ(writes.OnReady(Runner(3), true), Step::kTell);
}

}  // namespace
}  // namespace catchup
