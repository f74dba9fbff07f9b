#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <sstream>

#include "host/base/unique_fd.h"
#include "host/ring/contract/crash_line.h"
#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// The reports among what a runner wrote, and what else it wrote.
struct Told {
  std::vector<CrashRecord> reports;
  std::string rest;

  explicit Told(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const std::size_t mark = line.find(kCrashMark);
      const auto report = mark == std::string::npos ? std::optional<CrashRecord>()
                                                    : ParseCrashLine(line.substr(mark));
      EXPECT_LE(line.size() - std::min(mark, line.size()), kMaxCrashLine);
      if (report.has_value()) {
        reports.push_back(*report);
        line.resize(mark);
      }
      rest += line + "\n";
    }
  }
  // The one that counts.
  CrashRecord last() const { return reports.empty() ? CrashRecord{} : reports.back(); }
};

std::vector<std::string> Words(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

// The offsets of the frames that lie in `file`.
std::vector<std::string> OffsetsIn(const CrashRecord& report, const std::string& file) {
  std::vector<std::string> offsets;
  for (const std::string& frame : Words(report.frames)) {
    if (frame.starts_with(file + "+0x")) {
      offsets.push_back(frame.substr(file.size() + 1));
    }
  }
  return offsets;
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
    EXPECT_EQ(call.ticket, bad_);
    EXPECT_EQ(runner_.ring().PollSettled().value(), good_);
  }

  CrashRecord ExpectReportOf(int signal) {
    const CrashRecord report = Told(runner_.Errors()).last();
    EXPECT_EQ(report.pid, runner_.process().pid());
    EXPECT_EQ(report.signal, signal);
    EXPECT_EQ(report.call, "handle");
    EXPECT_EQ(report.ticket, bad_);
    EXPECT_EQ(report.events, 1u);
    EXPECT_EQ(report.stream, "bad-stream");
    EXPECT_EQ(report.revision, 42u);
    EXPECT_EQ(report.plugin, "fixture 1.2.3");
    EXPECT_EQ(report.lane, 2u);
    return report;
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
  (void)ExpectReportOf(SIGSEGV);
}

TEST_F(RunnerCrashTest, AbortIsReportedAndStaysTrue) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("abort"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  ExpectChargedToTheEvent();
  (void)ExpectReportOf(SIGABRT);
}

// What resolves the report later: offsets in files, and which files those were.
TEST_F(RunnerCrashTest, ReportHasOffsetsInModulesAndTheirBuildIds) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv"));
  (void)runner_.Ended();
  const CrashRecord report = ExpectReportOf(SIGSEGV);

  const std::vector<std::string> offsets = OffsetsIn(report, "fixture.so");
  ASSERT_FALSE(offsets.empty()) << report.frames;
  EXPECT_FALSE(OffsetsIn(report, "catchup-runner").empty()) << report.frames;
  // The first frame is where it crashed, not the report's own.
  EXPECT_THAT(report.frames, StartsWith("fixture.so+"));
  const std::string resolve = "addr2line -fi -e '" + FixturePath("fixture") + "' " + offsets[0];
  EXPECT_THAT(RunCommand(resolve).text, HasSubstr("Crash")) << report.frames;
  const std::string notes = RunCommand("readelf -n '" + FixturePath("fixture") + "'").text;
  bool found = false;
  for (const std::string& module : Words(report.modules)) {
    if (module.starts_with("fixture.so=")) {
      found = true;
      EXPECT_THAT(notes, HasSubstr("Build ID: " + module.substr(module.find('=') + 1)))
          << module << "\n"
          << notes;
    }
  }
  EXPECT_TRUE(found) << report.modules;
}

// A call that crashes deep in somebody's library: what the plugin called is what helps its author.
TEST_F(RunnerCrashTest, ReportHasFramesOfThePluginHoweverDeepTheCrashIs) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("abort-deep-in-libc"));
  (void)runner_.Ended();
  const CrashRecord report = ExpectReportOf(SIGABRT);
  EXPECT_FALSE(OffsetsIn(report, "fixture.so").empty()) << report.frames;
  EXPECT_THAT(report.frames, HasSubstr(" ... fixture.so+"));
  EXPECT_THAT(report.modules, StartsWith("fixture.so="));
}

// What the plugin prints beside it, in a line that it never ends, costs the report nothing.
TEST_F(RunnerCrashTest, ReportIsWholeBesideUnfinishedOutput) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv-after-output"));
  (void)runner_.Ended();
  const std::string text = runner_.Errors();
  EXPECT_FALSE(Told(text).last().frames.empty()) << text;
  EXPECT_THAT(Told(text).rest, HasSubstr("no line feed")) << text;
}

TEST_F(RunnerCrashTest, StackOverflowIsReported) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("overflow"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  const CrashRecord report = ExpectReportOf(SIGSEGV);
  EXPECT_GT(OffsetsIn(report, "fixture.so").size(), 10u) << report.frames;
}

TEST_F(RunnerCrashTest, ReportIsNotLostWithStandardError) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv-without-stderr"));
  (void)runner_.Ended();
  (void)ExpectReportOf(SIGSEGV);
}

TEST_F(RunnerCrashTest, CrashOfAThreadOfThePluginIsReported) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("segv-elsewhere"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  const CrashRecord report = ExpectReportOf(SIGSEGV);
  EXPECT_FALSE(OffsetsIn(report, "fixture.so").empty()) << report.frames;
}

// The rest of it still comes, and the first signal stays the verdict.
TEST_F(RunnerCrashTest, CrashOfTheReportItselfOnlyCostsItsPart) {
  ASSERT_NO_FATAL_FAILURE(CrashAt("abort-without-event"));
  const int status = runner_.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  const CrashRecord report = Told(runner_.Errors()).last();
  EXPECT_EQ(report.signal, SIGABRT);
  EXPECT_EQ(report.stream, "");
  EXPECT_FALSE(OffsetsIn(report, "fixture.so").empty()) << report.frames;
}

TEST(RunnerCrashReportTest, EscapesAndCutsTheStreamsName) {
  const std::string longest(300, 's');
  for (const auto& [stream, shown] :
       {std::pair<std::string, std::string>{"a\n\"b\"\\\t\x7f\xc3\xa4",
                                            "a\\x0a\"b\"\\x5c\\x09\\x7f\xc3\xa4"},
        {longest, longest},
        {longest + "s", longest}}) {
    SpawnedRunner runner({});
    ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
    runner.WriteTo(stream, 18446744073709551615u, "segv");
    runner.ring().Publish();
    (void)runner.Ended();
    const CrashRecord report = Told(runner.Errors()).last();
    EXPECT_EQ(report.stream, shown);
    EXPECT_EQ(report.revision, 18446744073709551615u);
    EXPECT_FALSE(report.frames.empty());
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
  const CrashRecord report = Told(runner.Errors()).last();
  EXPECT_EQ(report.call, "handle_batch");
  EXPECT_EQ(report.ticket, first);
  EXPECT_EQ(report.events, 3u);
  EXPECT_EQ(report.stream, "first-stream");
  EXPECT_EQ(report.revision, 7u);
}

// A runtime that takes a signal as it is loaded keeps it: put back, the report would break the
// runtime's recovery. This one hands nothing on, so there is no report; the death stays true.
TEST(RunnerCrashReportTest, LeavesASignalToAConstructorThatTookIt) {
  SpawnedRunner runner({.plugin = "broken_takes_signals", .projection = "only"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  runner.Give("anything");
  const int status = runner.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGABRT);
  EXPECT_EQ(runner.Errors(), "");
}

TEST(RunnerCrashReportTest, AFaultThatThePluginsRuntimeRecoversFromIsNoCrash) {
  SpawnedRunner runner({.plugin = "own_handlers", .projection = "only"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  EXPECT_TRUE(runner.Settled(runner.Give("recover")));
  EXPECT_TRUE(runner.Settled(runner.Give("recover")));
  const int status = runner.Stop();
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(runner.Errors(), "");
}

// The runtime's handler runs with the signal blocked when it hands on what is not its own.
TEST(RunnerCrashReportTest, AFaultThatThePluginsRuntimeHandsOnIsReported) {
  SpawnedRunner runner({.plugin = "own_handlers", .projection = "only"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  EXPECT_TRUE(runner.Settled(runner.Give("recover")));
  runner.Give("segv");
  const int status = runner.Ended();
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGSEGV);
  const CrashRecord report = Told(runner.Errors()).last();
  EXPECT_EQ(report.signal, SIGSEGV);
  EXPECT_EQ(report.ticket, 2u);
}

TEST(RunnerCrashReportTest, ThePlaceIsToldWhereNoUnwinderPassesThePluginsHandler) {
  SpawnedRunner runner({.plugin = "opaque_handlers", .projection = "only"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  runner.Give("segv");
  EXPECT_TRUE(WIFSIGNALED(runner.Ended()));
  const CrashRecord report = Told(runner.Errors()).last();
  EXPECT_THAT(report.frames, StartsWith("opaque_handlers.so+0x"));
  EXPECT_THAT(report.frames, HasSubstr(" ... "));
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
  (void)ExpectReportOf(SIGABRT);
}

TEST_F(RunnerCrashTest, DeathBetweenTwoCallsIsChargedToNone) {
  ASSERT_EQ(runner_.Next().kind, OutcomeKind::kReady);
  ASSERT_TRUE(runner_.Settled(runner_.Give("ok")));
  ASSERT_EQ(kill(runner_.process().pid(), SIGABRT), 0);
  EXPECT_TRUE(WIFSIGNALED(runner_.Ended()));
  EXPECT_FALSE(runner_.ring().call().running());
  const CrashRecord report = Told(runner_.Errors()).last();
  EXPECT_EQ(report.signal, SIGABRT);
  EXPECT_EQ(report.call, "none");
  EXPECT_EQ(report.ticket, 0u);
  EXPECT_EQ(report.events, 0u);
  EXPECT_EQ(report.stream, "");
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
