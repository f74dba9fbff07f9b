#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "host/base/unique_fd.h"
#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

// What the host learns of a death: how the process ended, what settled, which call it was in.
class RunnerCrashTest : public testing::Test {
 protected:
  // Two good events, then one of `type`.
  void CrashAt(const char* type) {
    ASSERT_EQ(runner_.Next().kind, OutcomeKind::kReady);
    runner_.Write("ok");
    good_ = runner_.Write("ok");
    ASSERT_TRUE([&] {
      runner_.ring().Publish();
      return runner_.Settled(good_);
    }());
    bad_ = runner_.Give(type);
  }

  void ExpectChargedToTheEvent() {
    const CallInProgress call = runner_.ring().call();
    EXPECT_TRUE(call.running());
    EXPECT_EQ(call.kind, CallKind::kHandle);
    EXPECT_EQ(call.sequence, bad_);
    EXPECT_EQ(runner_.ring().PollSettled().value(), good_);
  }

  std::string ReportOf(int signal) const {
    return "catchup-runner: group a-group: signal " + std::to_string(signal) +
           " in call handle, event " + std::to_string(bad_) + "\n";
  }

  SpawnedRunner runner_{{}};
  std::uint64_t good_ = 0;
  std::uint64_t bad_ = 0;
};

TEST_F(RunnerCrashTest, SegmentationFaultIsReportedAndStaysTrue) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  ExpectChargedToTheEvent();
  EXPECT_EQ(runner_.Errors(), ReportOf(SIGSEGV));
}

TEST_F(RunnerCrashTest, AbortIsReportedAndStaysTrue) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("abort"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  ExpectChargedToTheEvent();
  EXPECT_EQ(runner_.Errors(), ReportOf(SIGABRT));
}

TEST_F(RunnerCrashTest, ExitByThePluginIsChargedToItsEvent) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("exit"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 3);
  ExpectChargedToTheEvent();
}

TEST_F(RunnerCrashTest, ImmediateExitByThePluginIsChargedToItsEvent) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("_exit"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 4);
  ExpectChargedToTheEvent();
}

// The host ends a hang with SIGABRT, so that the report says where it was.
TEST_F(RunnerCrashTest, HangIsSeenFromOutsideAndEndedWithAReport) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("hang"));
  while (!runner_.ring().call().running() && !runner_.process().HasEnded()) {
    usleep(1000);
  }
  ExpectChargedToTheEvent();
  const std::uint64_t number = runner_.ring().call().number;

  // A polite stop does not help, and the call's number does not move.
  runner_.ring().RequestStop();
  EXPECT_FALSE(runner_.process().HasEnded());
  EXPECT_EQ(runner_.ring().call().number, number);
  ASSERT_EQ(kill(runner_.process().pid(), SIGABRT), 0);

  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  EXPECT_EQ(runner_.Errors(), ReportOf(SIGABRT));
}

TEST_F(RunnerCrashTest, DeathBetweenTwoCallsIsChargedToNone) {
  ASSERT_EQ(runner_.Next().kind, OutcomeKind::kReady);
  ASSERT_TRUE(runner_.Settled(runner_.Give("ok")));
  ASSERT_EQ(kill(runner_.process().pid(), SIGABRT), 0);
  EXPECT_TRUE(WIFSIGNALED(runner_.Ended()));
  EXPECT_FALSE(runner_.ring().call().running());
  EXPECT_EQ(runner_.Errors(), "catchup-runner: group a-group: signal 6 in call none, event 0\n");
}

TEST(RunnerParentTest, RefusesAParentThatIsNotItsHost) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const auto host = std::move(HostEnd::Create("test")).value();
  RingChild child(CATCHUP_RUNNER, {"a-group", "1"}, host->descriptors(),
                  ChildOutput{-1, write_end.get()});
  write_end.Reset();
  const int status = child.Wait();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 81);
  char text[200] = "";
  ASSERT_GT(read(read_end.get(), text, sizeof text - 1), 0);
  EXPECT_STREQ(text, "catchup-runner: group a-group: the host is gone\n");
}

// A real process between us and the runner, killed without any chance to clean up.
TEST(RunnerParentTest, RunnerDiesWithItsHost) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const auto unused = std::move(HostEnd::Create("test")).value();
  RingChild parent(RUNNER_PARENT, {CATCHUP_RUNNER, FixturePath("fixture")}, unused->descriptors(),
                   ChildOutput{write_end.get(), -1});
  write_end.Reset();
  char text[32] = "";
  ASSERT_GT(read(read_end.get(), text, sizeof text - 1), 0);
  const pid_t runner = std::atoi(text);
  ASSERT_GT(runner, 0);
  const UniqueFd watched(static_cast<int>(syscall(SYS_pidfd_open, runner, 0)));
  ASSERT_TRUE(watched.valid()) << std::strerror(errno);

  ASSERT_EQ(kill(parent.pid(), SIGKILL), 0);

  pollfd wait{watched.get(), POLLIN, 0};
  EXPECT_EQ(poll(&wait, 1, 30'000), 1);
}

}  // namespace
}  // namespace catchup
