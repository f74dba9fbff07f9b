#include "host/daemon/watch/signal_watch.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

constexpr SignalWatch::Limits kLong{std::chrono::hours(1), std::chrono::hours(1)};

// Each test in a process of its own, since signals are one for a process.
class SignalWatchTest : public testing::Test {
 protected:
  SignalWatchTest() { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(SignalWatchTest, KeepsASignalForWhoeverDeliversIt) {
  EXPECT_EXIT(
      {
        BlockHostSignals();
        const auto watch = *SignalWatch::Start(kLong);
        kill(getpid(), SIGTERM);
        const auto first = watch->AwaitStop(kPatience);
        Told<int> told;
        watch->Deliver([&](const ReceivedSignal& signal, auto) { told.Tell(signal.number); });
        kill(getpid(), SIGINT);
        _exit(first.has_value() && first->number == SIGTERM && told.Await(0) == SIGTERM &&
                      told.Await(1) == SIGINT
                  ? 0
                  : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(SignalWatchTest, TakesNoSignalOfAnotherMeaningForAStop) {
  EXPECT_EXIT(
      {
        BlockHostSignals();
        const auto watch = *SignalWatch::Start(kLong);
        kill(getpid(), SIGHUP);
        kill(getpid(), SIGTERM);
        const auto first = watch->AwaitStop(kPatience);
        _exit(first.has_value() && first->number == SIGTERM ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

// Whatever the rest of the process does.
TEST_F(SignalWatchTest, EndsTheProcessWhenAStopOutlastsItsLimit) {
  EXPECT_EXIT(
      {
        BlockHostSignals();
        const auto watch =
            *SignalWatch::Start({std::chrono::milliseconds(10), std::chrono::hours(1)});
        kill(getpid(), SIGTERM);
        std::this_thread::sleep_for(kPatience);
        _exit(7);
      },
      testing::ExitedWithCode(EXIT_FAILURE), "did not end in time");
}

TEST_F(SignalWatchTest, EndsTheProcessWithItsVerdictWhenItsOwnEndOutlastsItsLimit) {
  EXPECT_EXIT(
      {
        BlockHostSignals();
        const auto watch =
            *SignalWatch::Start({std::chrono::hours(1), std::chrono::milliseconds(10)});
        watch->Ending(EXIT_SUCCESS);
        std::this_thread::sleep_for(kPatience);
        _exit(7);
      },
      testing::ExitedWithCode(EXIT_SUCCESS), "did not end in time");
}

}  // namespace
}  // namespace catchup
