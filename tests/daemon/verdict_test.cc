#include "host/daemon/verdict.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <vector>

namespace catchup {
namespace {

using std::chrono::milliseconds;
using Wish = Verdict::Wish;

class VerdictTest : public testing::Test {
 protected:
  Wish Told(int number, milliseconds at) {
    ReceivedSignal signal;
    signal.number = number;
    return verdict_.Told(signal, Verdict::TimePoint{} + at);
  }
  static Verdict::GroupEnd Ended(GroupState state, bool checkpoint_safe = true) {
    Verdict::GroupEnd end;
    end.status.state = state;
    end.status.finished = true;
    end.checkpoint_safe = checkpoint_safe;
    return end;
  }

  Verdict verdict_;
};

TEST_F(VerdictTest, IsASuccessOnceEveryGroupHasStopped) {
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped), Ended(GroupState::kStopped)}),
            EXIT_SUCCESS);
}

TEST_F(VerdictTest, IsAFailureWhereOneGroupFailedOrWasGivenUp) {
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped), Ended(GroupState::kFailed)}),
            EXIT_FAILURE);
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kGivenUp)}), EXIT_FAILURE);
}

// A supervisor that stops a host asks whether it may lose something, not how its groups are.
TEST_F(VerdictTest, IsASuccessOfAStopEvenWhereAGroupHadFailed) {
  EXPECT_EQ(Told(SIGTERM, milliseconds(0)), Wish::kStop);
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kFailed)}), EXIT_SUCCESS);
}

TEST_F(VerdictTest, IsAFailureWhileSomethingHandledIsNotDurable) {
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped, false)}), EXIT_FAILURE);
  Told(SIGTERM, milliseconds(0));
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped, false)}), EXIT_FAILURE);
}

TEST_F(VerdictTest, TakesASecondSignalForForceWhichIsNoSuccess) {
  EXPECT_EQ(Told(SIGTERM, milliseconds(0)), Wish::kStop);
  EXPECT_EQ(Told(SIGINT, milliseconds(50)), Wish::kForce);
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped)}), EXIT_FAILURE);
}

// A supervisor may tell the process and its group: both signals arrive at once.
TEST_F(VerdictTest, TakesTwoSignalsWithinFiftyMillisecondsForOne) {
  EXPECT_EQ(Told(SIGTERM, milliseconds(0)), Wish::kStop);
  EXPECT_EQ(Told(SIGTERM, milliseconds(49)), Wish::kSaidBefore);
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped)}), EXIT_SUCCESS);
}

TEST_F(VerdictTest, IsAFailureWhereALimitOfTheSystemAskedForTheStop) {
  EXPECT_EQ(Told(SIGXCPU, milliseconds(0)), Wish::kStop);
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped)}), EXIT_FAILURE);
}

TEST_F(VerdictTest, IsAFailureWhereTheWaitWasGivenUp) {
  Told(SIGTERM, milliseconds(0));
  verdict_.GaveUpWaiting();
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped)}), EXIT_FAILURE);
}

TEST_F(VerdictTest, IsAFailureWhereTheStateDirectoryWasLost) {
  verdict_.LostState();
  EXPECT_EQ(verdict_.ExitCode({Ended(GroupState::kStopped)}), EXIT_FAILURE);
}

}  // namespace
}  // namespace catchup
