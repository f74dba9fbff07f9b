#include <catchup/plugin.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <limits>

#include "host/runner/loop.h"
#include "tests/runner/spawned_runner.h"

namespace catchup {
namespace {

using testing::HasSubstr;

bool ExitedWith(int status, RunnerExit code) {
  return WIFEXITED(status) && WEXITSTATUS(status) == static_cast<int>(code);
}

TEST(RunnerTest, HandlesEventsAndEndsCleanly) {
  SpawnedRunner runner({});
  const Outcome ready = runner.Next();
  EXPECT_EQ(ready.kind, OutcomeKind::kReady);
  EXPECT_EQ(ready.max_events, 1u);
  EXPECT_FALSE(ready.position_mode);

  runner.Give("ok");
  EXPECT_TRUE(runner.Settled(runner.Give("ok")));

  const int status = runner.Stop();
  EXPECT_EQ(runner.Next().kind, OutcomeKind::kStopped);
  EXPECT_TRUE(ExitedWith(status, RunnerExit::kClean)) << status;
  EXPECT_TRUE(runner.HasLine("stop"));
  EXPECT_TRUE(runner.HasLine("destroy"));
  EXPECT_EQ(runner.Errors(), "");
}

TEST(RunnerTest, PluginSeesItsIdentityAndConfiguration) {
  SpawnedRunner::Options options;
  options.settings = {
      {"database", SettingKind::kTable, ""},    {"database.host", SettingKind::kText, "db.example"},
      {"empty", SettingKind::kText, ""},        {"nothing", SettingKind::kList, ""},
      {"servers", SettingKind::kList, ""},      {"servers.0", SettingKind::kText, "first"},
      {"servers.1", SettingKind::kNumber, "2"}, {"\"a.b\"", SettingKind::kBoolean, "true"}};
  SpawnedRunner runner(options);
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);

  EXPECT_TRUE(runner.HasLine("create a-group/plain lane 2 {}"));
  EXPECT_TRUE(runner.HasLine("config database.host 1 db.example"));
  EXPECT_TRUE(runner.HasLine("config servers.0 1 first"));
  EXPECT_TRUE(runner.HasLine("config servers.1 2 2"));
  EXPECT_TRUE(runner.HasLine("config \"a.b\" 3 true"));
  EXPECT_TRUE(runner.HasLine("config a.b 0 "));
  EXPECT_TRUE(runner.HasLine("config empty 1 "));
  EXPECT_TRUE(runner.HasLine("config absent 0 "));
  EXPECT_TRUE(runner.HasLine("config databas 0 "));
  EXPECT_TRUE(runner.HasLine("config database 4 "));
  EXPECT_TRUE(runner.HasLine("config servers 5 "));
  EXPECT_TRUE(runner.HasLine("config nothing 5 "));
  EXPECT_TRUE(runner.HasLine("config a..b -1 "));
}

TEST(RunnerTest, PluginIsNotCalledWithoutAnEvent) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const std::uint64_t calls = runner.ring().call().number;

  EXPECT_TRUE(runner.Sleeps());
  EXPECT_EQ(runner.ring().call().number, calls);
}

TEST(RunnerTest, LogLinesArriveWhole) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  EXPECT_TRUE(runner.Settled(runner.Give("say", "hello \"there\"")));
  EXPECT_TRUE(runner.HasLine("hello \"there\""));
  // A level that does not exist becomes the nearest; the line is not lost.
  EXPECT_TRUE(runner.HasLine("a-stream"));
}

struct StatusCase {
  const char* type;
  std::int32_t status;
  const char* text;
};

class RunnerStatusTest : public testing::TestWithParam<StatusCase> {};

TEST_P(RunnerStatusTest, FailureIsReportedWithItsEventAndTextAndNothingMoreIsTaken) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const std::uint64_t good = runner.Write("ok");
  const std::uint64_t bad = runner.Write(GetParam().type);
  const std::uint64_t behind = runner.Give("ok");

  EXPECT_FALSE(runner.Settled(behind));
  const Outcome failure = runner.Next();

  EXPECT_EQ(failure.kind, OutcomeKind::kFailure);
  EXPECT_EQ(failure.call, CallKind::kHandle);
  EXPECT_EQ(failure.ticket, bad);
  EXPECT_EQ(failure.status, GetParam().status);
  EXPECT_EQ(failure.text, GetParam().text);
  EXPECT_EQ(runner.ring().PollSettled().value(), good);
  EXPECT_FALSE(runner.process().HasEnded());
  const bool contract = failure.status == kRunnerContract;
  EXPECT_TRUE(ExitedWith(runner.Stop(), contract ? RunnerExit::kContract : RunnerExit::kClean));
  EXPECT_TRUE(runner.HasLine("destroy"));
}

INSTANTIATE_TEST_SUITE_P(
    Statuses, RunnerStatusTest,
    testing::Values(StatusCase{"retry", CATCHUP_RETRY, "come again"},
                    StatusCase{"reject", CATCHUP_REJECT, "never"},
                    StatusCase{"failed", CATCHUP_FAILED, "broken pipe"},
                    StatusCase{"failed-silently", CATCHUP_FAILED, ""},
                    StatusCase{"fatal", CATCHUP_FATAL, "cannot go on"},
                    StatusCase{"status-7", kRunnerContract,
                               "returned 7: wanted one of CATCHUP_OK … CATCHUP_FATAL"},
                    StatusCase{"status-minus-1", kRunnerContract,
                               "returned -1: wanted one of CATCHUP_OK … CATCHUP_FATAL"},
                    StatusCase{"error-elsewhere", kRunnerContract,
                               "called set_error from another thread: wanted the instance's own"},
                    StatusCase{"config-elsewhere", kRunnerContract,
                               "called config_get from another thread: wanted the instance's own"},
                    StatusCase{
                        "extension-elsewhere", kRunnerContract,
                        "called get_extension from another thread: wanted the instance's own"}),
    [](const auto& tested) {
      std::string name = tested.param.type;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

TEST(RunnerTest, AThreadOfThePluginMayLogWhileItRuns) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  EXPECT_TRUE(runner.Settled(runner.Give("log-elsewhere")));
  EXPECT_TRUE(runner.HasLine("logged elsewhere"));
  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kClean));
}

// The line is not lost: it may say why the thread is there.
TEST(RunnerTest, AThreadThatLogsBeforeStartBreaksTheContract) {
  SpawnedRunner runner({.settings = {{"log-in-create", SettingKind::kText, "yes"}}});
  const Outcome failure = runner.Next();
  EXPECT_EQ(failure.kind, OutcomeKind::kFailure);
  EXPECT_EQ(failure.call, CallKind::kCreate);
  EXPECT_EQ(failure.status, kRunnerContract);
  EXPECT_EQ(failure.text,
            "called log from another thread before start or after stop: wanted none by then");
  EXPECT_TRUE(runner.HasLine("logged elsewhere"));
}

// Nobody asks for an outcome any more: its exit tells.
TEST(RunnerTest, ACallFromAThreadThatMayNotWhileItStopsBreaksTheContract) {
  for (const char* misdeed : {"error-in-stop", "log-in-destroy"}) {
    SCOPED_TRACE(misdeed);
    SpawnedRunner runner({.settings = {{misdeed, SettingKind::kText, "yes"}}});
    ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
    EXPECT_TRUE(runner.Settled(runner.Give("ok")));
    EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kContract));
    EXPECT_TRUE(
        std::any_of(runner.lines().begin(), runner.lines().end(), [](const std::string& line) {
          return line.rfind("against the contract: called ", 0) == 0;
        }));
  }
}

// All events are in the ring before the runner starts, so that the batches are known.
TEST(RunnerBatchTest, HandsOutAsManyAsTheTableAllows) {
  SpawnedRunner runner({.projection = "batch"});
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    last = runner.Write("ok");
  }
  runner.ring().Publish();
  const Outcome ready = runner.Next();
  EXPECT_EQ(ready.max_events, 8u);
  EXPECT_TRUE(runner.Settled(last));
  EXPECT_TRUE(runner.HasLine("batch of 8"));
  EXPECT_FALSE(runner.HasLine("batch of 9"));
}

// Up to the failing event the batch is applied, whatever the batches were.
TEST(RunnerBatchTest, LeadingEventsOfAFailedBatchAreSettled) {
  SpawnedRunner runner({.projection = "batch"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  runner.Write("ok");
  const std::uint64_t good = runner.Write("ok");
  const std::uint64_t bad = runner.Write("retry");
  runner.Write("ok");
  runner.ring().Publish();

  const Outcome failure = runner.Next();

  EXPECT_EQ(failure.call, CallKind::kHandleBatch);
  EXPECT_EQ(failure.status, CATCHUP_RETRY);
  EXPECT_EQ(failure.ticket, bad);
  EXPECT_EQ(failure.text, "come again");
  EXPECT_EQ(runner.ring().PollSettled().value(), good);
}

// The events behind a failed one are not handled before the host has said what becomes of that.
TEST(RunnerEpochTest, TakesNothingAfterAFailureBeforeTheHostBeginsAnEpoch) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const std::uint64_t good = runner.Write("ok");
  const std::uint64_t bad = runner.Write("failed");
  runner.Give("say", "of the old epoch");
  EXPECT_EQ(runner.Next().ticket, bad);
  ASSERT_TRUE(runner.Sleeps());
  EXPECT_EQ(runner.ring().PollSettled().value(), good);
  EXPECT_TRUE(runner.ring().idle());

  ASSERT_TRUE(runner.ring().BeginEpoch().ok());
  const std::uint64_t again = runner.Write("retry");
  runner.Give("say", "discarded as well");
  EXPECT_EQ(runner.Next().ticket, again);
  ASSERT_TRUE(runner.ring().BeginEpoch().ok());
  EXPECT_TRUE(runner.Settled(runner.Give("say", "of the new one")));

  EXPECT_FALSE(runner.HasLine("of the old epoch"));
  EXPECT_FALSE(runner.HasLine("discarded as well"));
  EXPECT_TRUE(runner.HasLine("of the new one"));
  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kClean));
}

TEST(RunnerEpochTest, FailureSaysWhichEventsItsCallWasFor) {
  SpawnedRunner runner({.projection = "batch"});
  runner.Write("ok");
  const std::uint64_t bad = runner.Write("retry");
  const std::uint64_t last = runner.Write("ok");
  runner.ring().Publish();
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const Outcome failure = runner.Next();
  EXPECT_EQ(failure.call_first, 1u);
  EXPECT_EQ(failure.ticket, bad);
  EXPECT_EQ(failure.call_last, last);
}

TEST(RunnerEpochTest, AnEventToBeCalledForAloneSharesNoCall) {
  SpawnedRunner runner({.projection = "batch"});
  runner.Write("ok");
  runner.Write("ok");
  runner.WriteAlone("ok", 2);
  runner.Write("ok");
  runner.Write("ok");
  const std::uint64_t bad = runner.WriteAlone("retry", 3);
  runner.ring().Publish();
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);

  const Outcome failure = runner.Next();

  EXPECT_EQ(failure.ticket, bad);
  EXPECT_EQ(failure.call, CallKind::kHandle);
  EXPECT_EQ(failure.call_first, bad);
  EXPECT_EQ(failure.call_last, bad);
  EXPECT_EQ(std::count(runner.lines().begin(), runner.lines().end(), "batch of 2"), 2);
}

TEST(RunnerEpochTest, APositionKeeperIsGivenABatchOfOne) {
  SpawnedRunner runner({.projection = "keeper"});
  runner.WriteAlone("ok", 2);
  const std::uint64_t last = runner.WriteAlone("ok", 2);
  runner.ring().Publish();
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  EXPECT_TRUE(runner.Settled(last));
  EXPECT_TRUE(runner.HasLine("at 1 -1 -> 100 token 7"));
  EXPECT_TRUE(runner.HasLine("at 1 100 -> 200 token 7"));
}

// A host that answers a failure at once finds room, also where there is only room for one event.
TEST(RunnerEpochTest, ThereIsRoomOnceAFailureIsTold) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const std::string large(kMaxInlineRecord, 'd');
  const std::uint64_t failed = runner.Write("failed", large);
  // Holds the runner in the wake-up that comes with the failure, for as long as nobody reads it.
  const int wake = runner.ring().descriptors().host_wake;
  const int flags = fcntl(wake, F_GETFL);
  ASSERT_EQ(fcntl(wake, F_SETFL, flags & ~O_NONBLOCK), 0);
  runner.ring().DrainWake();
  const std::uint64_t full = std::numeric_limits<std::uint64_t>::max() - 1;
  ASSERT_EQ(write(wake, &full, sizeof full), static_cast<ssize_t>(sizeof full));
  runner.ring().Publish();
  std::optional<Outcome> failure;
  while (!failure.has_value() && !runner.process().HasEnded()) {
    failure = runner.ring().PollOutcome().value();
  }
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->ticket, failed);
  EXPECT_EQ(runner.ring().PollSettled().value(), 0u);

  ASSERT_TRUE(runner.ring().BeginEpoch().ok());
  const std::uint64_t next = runner.Write("ok", large);

  runner.ring().DrainWake();
  runner.ring().Publish();
  EXPECT_TRUE(runner.Settled(next));
}

TEST(RunnerBatchTest, CountThatDoesNotFitItsStatusBreaksTheContract) {
  for (const char* type : {"false-count", "short-ok"}) {
    SCOPED_TRACE(type);
    SpawnedRunner runner({.projection = "batch"});
    ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
    const std::uint64_t first = runner.Write(type);
    runner.Write("ok");
    runner.Write("ok");
    runner.ring().Publish();

    const Outcome failure = runner.Next();

    EXPECT_EQ(failure.status, kRunnerContract) << failure.text;
    EXPECT_EQ(failure.ticket, first);
    EXPECT_THAT(failure.text, HasSubstr("events applied: wanted "));
    EXPECT_EQ(runner.ring().PollSettled().value(), 0u);
    EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kContract));
  }
}

// A status that is none says nothing about the count beside it.
TEST(RunnerBatchTest, StatusThatIsNoneIsNamedWhateverItsCount) {
  SpawnedRunner runner({.projection = "batch"});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const std::uint64_t first = runner.Write("nonsense");
  runner.Write("ok");
  runner.ring().Publish();

  const Outcome failure = runner.Next();

  EXPECT_EQ(failure.status, kRunnerContract) << failure.text;
  EXPECT_EQ(failure.ticket, first);
  EXPECT_THAT(failure.text, HasSubstr("returned 77: wanted one of"));
  EXPECT_EQ(runner.ring().PollSettled().value(), 0u);
  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kContract));
}

TEST(RunnerKeeperTest, ReportsTheStoredPositionAndGoesOnFromIt) {
  SpawnedRunner runner(
      {.projection = "keeper", .settings = {{"stored", SettingKind::kNumber, "50"}}});
  const Outcome ready = runner.Next();
  EXPECT_TRUE(ready.position_mode);
  EXPECT_EQ(ready.max_events, 4u);
  ASSERT_TRUE(ready.loaded.has_value());
  EXPECT_EQ(ready.loaded->commit, 50u);
  EXPECT_EQ(ready.loaded->prepare, 49u);

  ASSERT_TRUE(runner.Settled(runner.Give("ok")));
  ASSERT_TRUE(runner.Settled(runner.Give("ok")));
  ASSERT_TRUE(runner.Settled(runner.Advance(1000)));

  EXPECT_TRUE(runner.HasLine("at 1 50 -> 100 token 7"));
  EXPECT_TRUE(runner.HasLine("at 1 100 -> 200 token 7"));
  EXPECT_TRUE(runner.HasLine("at 0 200 -> 1000 token 7"));
}

TEST(RunnerKeeperTest, WithoutAStoredPositionThereIsNoPrevious) {
  SpawnedRunner runner({.projection = "keeper"});
  EXPECT_FALSE(runner.Next().loaded.has_value());
  ASSERT_TRUE(runner.Settled(runner.Give("ok")));
  EXPECT_TRUE(runner.HasLine("at 1 -1 -> 100 token 7"));
}

TEST(RunnerKeeperTest, FailedCallSettlesNoneOfItsEvents) {
  SpawnedRunner runner({.projection = "keeper"});
  const std::uint64_t first = runner.Write("ok");
  runner.Write("failed");
  runner.ring().Publish();
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);

  const Outcome failure = runner.Next();

  EXPECT_EQ(failure.call, CallKind::kHandleAt);
  EXPECT_EQ(failure.ticket, first);
  EXPECT_EQ(runner.ring().PollSettled().value(), 0u);
}

TEST(RunnerKeeperTest, FencedTokenIsFatal) {
  SpawnedRunner runner({.projection = "keeper", .token = 99});
  const Outcome failure = runner.Next();
  EXPECT_EQ(failure.call, CallKind::kLoadPosition);
  EXPECT_EQ(failure.status, CATCHUP_FATAL);
  EXPECT_EQ(failure.text, "fenced: token 100 seen, ours 99");
}

TEST(RunnerTest, FailedCreateAndStartAreReportedWithTheirText) {
  for (const auto& [path, call] :
       {std::pair{"create", CallKind::kCreate}, std::pair{"start", CallKind::kStart}}) {
    SpawnedRunner runner({.settings = {{path, SettingKind::kNumber, "3"}}});
    const Outcome failure = runner.Next();
    EXPECT_EQ(failure.kind, OutcomeKind::kFailure);
    EXPECT_EQ(failure.call, call);
    EXPECT_EQ(failure.status, CATCHUP_FAILED);
    EXPECT_EQ(failure.ticket, 0u);
    EXPECT_EQ(failure.text, "as the configuration wants");
    EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kClean));
    // A failed create leaves nothing to destroy; a failed start is destroyed but not stopped.
    EXPECT_EQ(runner.HasLine("destroy"), call == CallKind::kStart);
    EXPECT_FALSE(runner.HasLine("stop"));
  }
}

TEST(RunnerTest, RejectFromCreateBreaksTheContract) {
  SpawnedRunner runner({.settings = {{"create", SettingKind::kNumber, "2"}}});
  const Outcome failure = runner.Next();
  EXPECT_EQ(failure.status, kRunnerContract);
  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kContract));
}

TEST(RunnerTest, CallThatAsksForAStopSeesIt) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  const std::uint64_t sequence = runner.Give("until-stop");
  runner.Give("ok");
  while (!runner.ring().call().running() && !runner.process().HasEnded()) {
    usleep(1000);
  }

  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kClean));

  EXPECT_TRUE(runner.HasLine("waiting for a stop"));
  // The call ended well; the event behind it was not begun.
  EXPECT_EQ(runner.ring().PollSettled().value(), sequence);
}

TEST(RunnerTest, IgnoresWhatAServiceManagerSendsToTheWholeGroup) {
  SpawnedRunner runner({});
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  ASSERT_EQ(kill(runner.process().pid(), SIGTERM), 0);
  ASSERT_EQ(kill(runner.process().pid(), SIGINT), 0);
  EXPECT_TRUE(runner.Settled(runner.Give("sigterm")));
  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kClean));
}

TEST(RunnerTest, LargestEventIsHandled) {
  SpawnedRunner runner({.projection = "batch"});
  const std::string data(kMaxEventBytes - 1024, 'd');  // And its names.
  ASSERT_EQ(runner.Next().kind, OutcomeKind::kReady);
  runner.Write("ok", data);
  runner.ring().Publish();
  EXPECT_TRUE(runner.Settled(runner.Give("ok")));
  EXPECT_TRUE(ExitedWith(runner.Stop(), RunnerExit::kClean));
}

TEST(RunnerTest, StopBeforeTheSetupIsClean) {
  const auto host = std::move(HostEnd::Create("test")).value();
  host->RequestStop();
  RingChild child(CATCHUP_RUNNER, {"a-group", std::to_string(getpid())}, host->descriptors());
  EXPECT_TRUE(ExitedWith(child.Wait(), RunnerExit::kClean));
}

}  // namespace
}  // namespace catchup
