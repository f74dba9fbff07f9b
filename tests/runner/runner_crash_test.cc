#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <sstream>

#include "host/base/unique_fd.h"
#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

// A frame of the report: "catchup-runner: at ADDRESS FILE+OFFSET".
struct Frame {
  std::uint64_t address = 0;
  std::string file;
  std::uint64_t offset = 0;
};

// Those of the report that lie in `file`.
std::vector<Frame> FramesIn(const std::string& report, const std::string& file) {
  std::vector<Frame> frames;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string prefix, at, address, place;
    words >> prefix >> at >> address >> place;
    const std::size_t plus = place.rfind("+0x");
    if (at == "at" && plus != std::string::npos && place.substr(0, plus) == file) {
      frames.push_back({std::stoull(address, nullptr, 16), file,
                        std::stoull(place.substr(plus + 1), nullptr, 16)});
    }
  }
  return frames;
}

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
    bad_ = runner_.WriteTo("bad-stream", 42, type);
    runner_.ring().Publish();
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
           " in call handle, event " + std::to_string(bad_) +
           ", stream \"bad-stream\" revision 42, plugin fixture 1.2.3, lane 2";
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
  EXPECT_EQ(FirstLine(runner_.Errors()), ReportOf(SIGSEGV));
}

TEST_F(RunnerCrashTest, AbortIsReportedAndStaysTrue) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("abort"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  ExpectChargedToTheEvent();
  EXPECT_EQ(FirstLine(runner_.Errors()), ReportOf(SIGABRT));
}

// What resolves the report later: addresses in the plugin's file, and where that lay.
TEST_F(RunnerCrashTest, ReportHasReturnAddressesAndLoadAddresses) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv"));
  (void)runner_.Ended();
  const std::string report = runner_.Errors();

  const std::vector<Frame> frames = FramesIn(report, "fixture.so");
  ASSERT_FALSE(frames.empty()) << report;
  EXPECT_FALSE(FramesIn(report, "catchup-runner").empty()) << report;
  std::ostringstream module;
  module << "0x" << std::hex << frames[0].address - frames[0].offset << " "
         << FixturePath("fixture");
  EXPECT_NE(report.find(module.str()), std::string::npos) << module.str() << " in " << report;
  std::ostringstream resolve;
  resolve << "addr2line -fi -e '" << FixturePath("fixture") << "' 0x" << std::hex
          << frames[0].offset;
  EXPECT_NE(RunCommand(resolve.str()).text.find("Crash"), std::string::npos) << report;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_TRUE(line.starts_with("catchup-runner: ")) << line;
  }
}

TEST_F(RunnerCrashTest, StackOverflowIsReported) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("overflow"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  const std::string report = runner_.Errors();
  EXPECT_EQ(FirstLine(report), ReportOf(SIGSEGV));
  EXPECT_GT(FramesIn(report, "fixture.so").size(), 10u) << report;
}

TEST_F(RunnerCrashTest, ReportIsNotLostWithStandardError) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv-without-stderr"));
  (void)runner_.Ended();
  EXPECT_EQ(FirstLine(runner_.Errors()), ReportOf(SIGSEGV));
}

TEST_F(RunnerCrashTest, CrashOfAThreadOfThePluginIsReported) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv-elsewhere"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  const std::string report = runner_.Errors();
  EXPECT_EQ(FirstLine(report), ReportOf(SIGSEGV));
  EXPECT_FALSE(FramesIn(report, "fixture.so").empty()) << report;
}

// The rest of it still comes, and the first signal stays the verdict.
TEST_F(RunnerCrashTest, CrashOfTheReportItselfOnlyCostsItsPart) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("abort-without-event"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  const std::string report = runner_.Errors();
  EXPECT_FALSE(FramesIn(report, "fixture.so").empty()) << report;
  EXPECT_NE(report.find("catchup-runner: modules 0x"), std::string::npos) << report;
}

TEST(RunnerCrashReportTest, EscapesAndCutsTheStreamsName) {
  const std::string longest(256, 's');
  for (const auto& [stream, shown] :
       {std::pair<std::string, std::string>{"a\n\"b\"\\\x7f\xc3\xa4",
                                            "\"a\\x0a\\x22b\\x22\\x5c\\x7f\xc3\xa4\""},
        {longest, "\"" + longest + "\""},
        {longest + "s", "\"" + longest + "\"..."},
        {std::string(256, '\n') + "s", "\\x0a\"..."}}) {
    SpawnedRunner runner({});
    ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
    runner.WriteTo(stream, 18446744073709551615u, "segv");
    runner.ring().Publish();
    (void)runner.Ended();
    const std::string line = FirstLine(runner.Errors());
    EXPECT_TRUE(line.ends_with(shown + " revision 18446744073709551615, plugin fixture 1.2.3, "
                                       "lane 2"))
        << line;
  }
}

// The call has not said how far it got.
TEST(RunnerCrashReportTest, NamesTheFirstEventOfABatch) {
  SpawnedRunner runner({.projection = "batch"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  ASSERT_TRUE(runner.Sleeps());
  const std::uint64_t first = runner.WriteTo("first-stream", 7, "ok");
  runner.Write("ok");
  runner.Write("segv");
  runner.ring().Publish();
  (void)runner.Ended();
  EXPECT_EQ(FirstLine(runner.Errors()),
            "catchup-runner: group a-group: signal 11 in call handle_batch, event " +
                std::to_string(first) +
                ", first of 3, stream \"first-stream\" revision 7, plugin fixture 1.2.3, lane 2");
}

// Libraries install handlers of their own as they are loaded.
TEST(RunnerCrashReportTest, TakesTheSignalsBackFromAConstructor) {
  SpawnedRunner runner({.plugin = "broken_takes_signals", .projection = "only"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  runner.Give("anything");
  (void)runner.Ended();
  EXPECT_NE(runner.Errors().find("signal 6 in call handle, event 1"), std::string::npos);
}

// The code alone says nothing: what tells a set-up failure is the runner's record of it.
TEST_F(RunnerCrashTest, ExitWithTheCodeOfASetupFailureIsChargedToItsEvent) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("exit-81"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 81);
  ExpectChargedToTheEvent();
  EXPECT_FALSE(runner_.HasOutcome());
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
  EXPECT_EQ(FirstLine(runner_.Errors()), ReportOf(SIGABRT));
}

TEST_F(RunnerCrashTest, DeathBetweenTwoCallsIsChargedToNone) {
  ASSERT_EQ(runner_.Next().kind, OutcomeKind::kReady);
  ASSERT_TRUE(runner_.Settled(runner_.Give("ok")));
  ASSERT_EQ(kill(runner_.process().pid(), SIGABRT), 0);
  EXPECT_TRUE(WIFSIGNALED(runner_.Ended()));
  EXPECT_FALSE(runner_.ring().call().running());
  EXPECT_EQ(FirstLine(runner_.Errors()),
            "catchup-runner: group a-group: signal 6 in call none, event 0, plugin fixture 1.2.3, "
            "lane 2");
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
  const auto told = host->PollOutcome();
  ASSERT_TRUE(told.ok() && told.value().has_value());
  EXPECT_EQ(told.value()->kind, OutcomeKind::kFailure);
  EXPECT_EQ(told.value()->status, kRunnerSetupFailed);
  EXPECT_EQ(told.value()->call, CallKind::kNone);
  EXPECT_EQ(told.value()->text, "the host is gone");
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
