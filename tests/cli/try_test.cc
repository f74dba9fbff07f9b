#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "host/base/unique_fd.h"
#include "tests/cli/noexec_mount.h"
#include "tests/e2e/harness.h"

// `catchup try`: a plugin over a file of events, without a server.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;
using Strings = std::vector<std::string>;

Strings Split(const std::string& text) {
  Strings lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end == std::string::npos ? text.size() : end + 1;
  }
  return lines;
}

class TryTest : public testing::Test {
 protected:
  void Events(const Strings& lines) {
    std::string text;
    for (const std::string& line : lines) {
      text += line + '\n';
    }
    WriteFile(site_.file("events.jsonl"), text);
  }

  // With the events file and, before it, the plugin.
  Finished Try(const fs::path& plugin, Strings more = {}) {
    Strings arguments = {"try", plugin.string(), "events.jsonl"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return site_.Catchup(arguments);
  }

  Site site_;
  const fs::path scripted_ = fs::path(FIXTURE_DIRECTORY) / "scripted.so";
  const fs::path batching_ = fs::path(RUNNER_FIXTURE_DIRECTORY) / "fixture.so";
  const fs::path jsonl_ = fs::path(PLUGIN_DIRECTORY) / "jsonl.so";
  const fs::path totals_ = fs::path(PLUGIN_DIRECTORY) / "order_totals.so";
};

TEST_F(TryTest, SaysWhatBecameOfEachEvent) {
  Events({EventLine("a", "ok"), EventLine("b", "ok"), "", EventLine("a", "ok")});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_EQ(Split(tried.out), (Strings{"1  a@0  ok  OK", "2  b@0  ok  OK", "4  a@1  ok  OK"}));
}

TEST_F(TryTest, GoesOnAfterARefusalAndExitsWithOne) {
  Events({EventLine("a", "reject"), EventLine("a", "failed"), EventLine("a", "retry"),
          EventLine("a", "ok")});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1) << tried.err;
  EXPECT_EQ(Split(tried.out),
            (Strings{"1  a@0  reject  REJECT  no such customer",
                     "2  a@1  failed  FAILED  something went wrong",
                     "3  a@2  retry  RETRY  the database is away", "4  a@3  ok  OK"}));
}

TEST_F(TryTest, JsonHasOneObjectPerEvent) {
  Events({EventLine("a", "ok"), EventLine("a", "reject")});
  const Finished tried = Try(scripted_, {"--json"});
  EXPECT_EQ(tried.exit, 1);
  const Strings lines = Split(tried.out);
  ASSERT_EQ(lines.size(), 2u) << tried.out;
  EXPECT_EQ(ParseJsonObject(lines[1]), (JsonObject{{"line", "2"},
                                                   {"stream", "a"},
                                                   {"revision", "1"},
                                                   {"type", "reject"},
                                                   {"status", "REJECT"},
                                                   {"text", "no such customer"}}));
}

TEST_F(TryTest, ACrashIsReportedForItsEventAndEndsTheTrial) {
  Events({EventLine("a", "ok"), EventLine("a", "abort"), EventLine("a", "ok")});
  const Finished tried = Try(scripted_, {"--json"});
  EXPECT_EQ(tried.exit, 1);
  const Strings lines = Split(tried.out);
  ASSERT_EQ(lines.size(), 2u) << tried.out;
  const JsonObject died = ParseJsonObject(lines[1]);
  EXPECT_EQ(died.at("status"), "DIED");
  EXPECT_THAT(died.at("text"), HasSubstr("SIGABRT"));
  EXPECT_EQ(tried.err.substr(tried.err.rfind("events.jsonl")),
            "events.jsonl: 1 event behind line 2 was not fed\n");
}

TEST_F(TryTest, ACrashInTheLastEventLeavesNothingToSay) {
  Events({EventLine("a", "abort"), ""});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1);
  EXPECT_THAT(tried.err, Not(HasSubstr("not fed")));
}

// Whoever writes into a pipe may keep it open for long.
TEST_F(TryTest, TheRestOfAPipeIsNotWaitedFor) {
  const fs::path input = site_.file("input");
  ASSERT_EQ(::mkfifo(input.c_str(), 0600), 0);
  const auto process = site_.Start({"try", scripted_.string(), "input"});
  const UniqueFd writer(::open(input.c_str(), O_WRONLY | O_CLOEXEC));
  ASSERT_TRUE(writer.valid());
  const std::string line = EventLine("a", "abort") + '\n';
  ASSERT_EQ(::write(writer.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
  EXPECT_EQ(process->Wait(), 1);
  EXPECT_THAT(process->Errors(), HasSubstr("input: the events behind line 1 were not fed\n"));
}

TEST_F(TryTest, AStatusThatDoesNotExistIsReported) {
  Events({EventLine("a", "unknown-status")});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1);
  EXPECT_THAT(tried.out, HasSubstr("7"));
}

TEST_F(TryTest, ASetUpThatRefusesIsReportedWithItsText) {
  Events({EventLine("a", "ok")});
  for (const char* call : {"create", "start"}) {
    const Finished tried = Try(scripted_, {"--set", "refuse=\"" + std::string(call) + "\""});
    EXPECT_EQ(tried.exit, 1);
    EXPECT_EQ(tried.out, "");
    EXPECT_THAT(tried.err, HasSubstr("refused in " + std::string(call) + ", as configured"));
  }
}

TEST_F(TryTest, ACrashInTheSetUpIsReported) {
  Events({EventLine("a", "ok")});
  const Finished tried = Try(scripted_, {"--set", "refuse=\"crash\""});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_THAT(tried.err, HasSubstr("SIGABRT"));
}

TEST_F(TryTest, SettingsReachThePlugin) {
  Events({EventLine("a", "ok")});
  const Finished tried =
      Try(scripted_, {"--set", "greeting.text=\"hello\"", "--set", "sizes=[1, 2]"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_THAT(tried.err, HasSubstr("greeting is hello"));
  EXPECT_THAT(tried.err, HasSubstr("\"sizes\":[1,2]"));
}

TEST_F(TryTest, ASettingThatIsNoTomlIsAUsageError) {
  Events({EventLine("a", "ok")});
  const Finished tried = Try(scripted_, {"--set", "greeting=hello there"});
  EXPECT_EQ(tried.exit, 2);
  EXPECT_THAT(tried.err, HasSubstr("--set"));
}

TEST_F(TryTest, WorkIsThePluginsDirectoryAndItsFilesStay) {
  Events({EventLine("a", "x", "{\"n\":1}"), EventLine("a", "y")});
  fs::create_directory(site_.file("work"));
  const Finished tried = Try(jsonl_, {"--set", "file=\"out.jsonl\"", "--work", "work"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  const Strings lines = ReadLines(site_.file("work/out.jsonl"));
  ASSERT_EQ(lines.size(), 2u);
  const JsonObject second = ParseJsonObject(lines[1]);
  EXPECT_EQ(second.at("revision"), "1");
  EXPECT_EQ(second.at("commit"), "2000");
  EXPECT_EQ(second.at("prepare"), "2000");
}

TEST_F(TryTest, WorkIsMadeWhereItIsMissing) {
  Events({EventLine("a", "x")});
  const Finished tried = Try(jsonl_, {"--set", "file=\"out.jsonl\"", "--work", "new/work"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_EQ(ReadLines(site_.file("new/work/out.jsonl")).size(), 1u);
}

TEST_F(TryTest, ALinkToNothingInPlaceOfWorkIsNamed) {
  Events({EventLine("a", "x")});
  std::filesystem::create_symlink("gone", site_.file("work"));
  const Finished tried = Try(scripted_, {"--work", "work"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.err, "--work work is a link to nothing, wanted a directory\n");
}

TEST_F(TryTest, AFileInPlaceOfWorkIsNamed) {
  Events({EventLine("a", "x")});
  const Finished tried = Try(scripted_, {"--work", "events.jsonl"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.err, "--work events.jsonl: found a file, wanted a directory\n");
  const Finished below = Try(scripted_, {"--work", "events.jsonl/below"});
  EXPECT_EQ(below.exit, 1);
  EXPECT_EQ(below.err, "--work events.jsonl/below: Not a directory\n");
}

TEST_F(TryTest, WithoutWorkNothingIsLeftBehind) {
  Events({EventLine("a", "where")});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 0) << tried.err;
  const std::size_t at = tried.err.find("in /");
  ASSERT_NE(at, std::string::npos) << tried.err;
  const std::string directory = tried.err.substr(at + 3, tried.err.find(',', at) - at - 3);
  EXPECT_FALSE(fs::exists(directory)) << directory;
}

TEST_F(TryTest, TheProjectionIsChosenByName) {
  Events({EventLine("a", "ok")});
  EXPECT_EQ(Try(scripted_, {"--projection", "scripted"}).exit, 0);
  const Finished other = Try(scripted_, {"--projection", "other"});
  EXPECT_EQ(other.exit, 1);
  EXPECT_THAT(other.err, HasSubstr("other"));
  EXPECT_THAT(other.err, HasSubstr("scripted"));
}

TEST_F(TryTest, ThePositionIsUsedOnlyWhenAskedFor) {
  Events({EventLine("o", "order-placed",
                    "{\"orderId\":\"1\",\"customerId\":\"ann\",\"amountCents\":5}"),
          EventLine("o", "order-placed", "{\"orderId\":\"2\"}")});
  for (const bool with_position : {false, true}) {
    SCOPED_TRACE(with_position);
    Strings more = {"--set", "database=\"totals.db\""};
    if (with_position) {
      more.push_back("--with-position");
    }
    const Finished tried = Try(totals_, more);
    EXPECT_EQ(tried.exit, 1) << tried.err;
    const Strings lines = Split(tried.out);
    ASSERT_EQ(lines.size(), 2u) << tried.out << tried.err;
    EXPECT_THAT(lines[0], HasSubstr("OK"));
    EXPECT_THAT(lines[1], HasSubstr("REJECT"));
    EXPECT_THAT(lines[1], HasSubstr("customerId"));
  }
}

TEST_F(TryTest, AMalformedLineIsNamedAfterTheEventsBeforeIt) {
  Events({EventLine("a", "ok"), "{]"});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(Split(tried.out).size(), 1u);
  EXPECT_THAT(tried.err, HasSubstr("events.jsonl:2: "));
}

// It keeps what it made of the good lines.
TEST_F(TryTest, AMalformedLineStopsThePluginInOrder) {
  Events({EventLine("a", "ok"), "{]"});
  fs::create_directory(site_.file("work"));
  const Finished tried = Try(scripted_, {"--work", "work"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_TRUE(fs::exists(site_.file("work/stopped"))) << tried.err;
}

TEST_F(TryTest, APositionThatThePluginDoesNotKeepIsRefused) {
  Events({EventLine("a", "ok")});
  const Finished tried = Try(scripted_, {"--with-position"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.out, "");
  EXPECT_THAT(
      tried.err,
      HasSubstr("scripted.so: offers no catchup.position/1, which --with-position asks for"));
}

TEST_F(TryTest, APluginThatIsNotThereOrIsNoneIsNamed) {
  Events({EventLine("a", "ok")});
  const Finished absent = Try(site_.file("absent.so"));
  EXPECT_EQ(absent.exit, 1);
  EXPECT_THAT(absent.err, HasSubstr("absent.so"));
  const Finished unresolved =
      Try(fs::path(RUNNER_FIXTURE_DIRECTORY) / "broken_undefined_symbol.so");
  EXPECT_EQ(unresolved.exit, 1);
  EXPECT_THAT(unresolved.err, HasSubstr(std::string(RUNNER_FIXTURE_DIRECTORY) +
                                        "/broken_undefined_symbol.so: undefined symbol"));
  const Finished no_entry = Try(fs::path(RUNNER_FIXTURE_DIRECTORY) / "no_entry.so");
  EXPECT_EQ(no_entry.exit, 1);
  EXPECT_THAT(no_entry.err, HasSubstr("catchup_plugin_entry"));
}

TEST_F(TryTest, AStartThatHangsIsEndedByItsLimitWhichTheMessageNames) {
  Events({EventLine("a", "ok")});
  const Finished tried =
      Try(scripted_, {"--set", "refuse=\"start-by-hanging\"", "--start-timeout", "200ms"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_THAT(tried.err, HasSubstr("start hung: it took longer than --start-timeout = 200ms"));
  const Finished wrong = Try(scripted_, {"--start-timeout", "soon"});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_THAT(
      wrong.err,
      HasSubstr("--start-timeout soon: wanted a duration from \"1ms\" to \"24h\", an integer and"));
}

TEST_F(TryTest, ATemporaryDirectoryThatNothingCanBeLoadedFromIsNamed) {
  Events({EventLine("a", "ok")});
  fs::create_directory(site_.file("tmp"));
  site_.SetEnv("TMPDIR", site_.file("tmp"));
  const NoexecMount mount(site_.file("tmp"));
  if (!mount.mounted()) {
    GTEST_SKIP() << "mounting is not allowed here";
  }
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.err, site_.file("tmp").string() +
                           " is mounted noexec, so no plugin can be loaded from there; set TMPDIR "
                           "to a directory where it can\n");
}

TEST_F(TryTest, ATemporaryDirectoryThatIsMissingIsNamed) {
  Events({EventLine("a", "ok")});
  site_.SetEnv("TMPDIR", "/nowhere/at/all");
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.err, "TMPDIR: /nowhere/at/all: wanted a directory\n");
}

// By the option that the user has, not by the key of a configuration.
TEST_F(TryTest, AskedForAProjectionItNamesTheOption) {
  Events({EventLine("a", "ok")});
  const Finished tried = Try(batching_, {});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_THAT(tried.err,
              HasSubstr("offers several projections (plain, batch, keeper): wanted --projection "
                        "to name one"));
}

TEST_F(TryTest, BatchHandsOverSoManyEventsACall) {
  Events({EventLine("a", "ok"), EventLine("b", "ok"), EventLine("a", "ok"), EventLine("a", "ok"),
          EventLine("a", "ok")});
  const Finished tried = Try(batching_, {"--projection", "batch", "--batch", "3"});
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_EQ(Split(tried.out), (Strings{"1  a@0  ok  OK", "2  b@0  ok  OK", "3  a@1  ok  OK",
                                       "4  a@2  ok  OK", "5  a@3  ok  OK"}));
  EXPECT_THAT(tried.err, HasSubstr("plugin: batch of 3\n"));
  EXPECT_THAT(tried.err, HasSubstr("plugin: batch of 2\n"));
  // Not more than the plugin's table says.
  Events(Strings(20, EventLine("a", "ok")));
  const Finished many = Try(batching_, {"--projection", "batch", "--batch", "20"});
  EXPECT_EQ(many.exit, 0) << many.err;
  EXPECT_THAT(many.err, HasSubstr("plugin: batch of 8\n"));
  EXPECT_THAT(many.err, HasSubstr("plugin: batch of 4\n"));
}

// As a host does: what was applied counts, the rest comes again one by one, through `handle`.
TEST_F(TryTest, AFailedBatchComesAgainOneByOne) {
  Events({EventLine("a", "ok"), EventLine("a", "reject"), EventLine("a", "ok"),
          EventLine("a", "failed"), EventLine("a", "ok")});
  const Finished tried = Try(batching_, {"--projection", "batch", "--batch", "5"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(Split(tried.out),
            (Strings{"1  a@0  ok  OK", "2  a@1  reject  REJECT  never", "3  a@2  ok  OK",
                     "4  a@3  failed  FAILED  broken pipe", "5  a@4  ok  OK"}));
  EXPECT_THAT(
      tried.err,
      HasSubstr(
          "handle_batch of 5 events: REJECT after 1, the rest comes again one by one: never"));
  EXPECT_THAT(tried.err, Not(HasSubstr("batch of 4")));
}

TEST_F(TryTest, ACrashInABatchIsTheFirstEventsAndTheOthersHaveNoAnswer) {
  Events(
      {EventLine("a", "ok"), EventLine("a", "ok"), EventLine("a", "abort"), EventLine("a", "ok")});
  const Finished tried = Try(batching_, {"--projection", "batch", "--batch", "2"});
  EXPECT_EQ(tried.exit, 1);
  const Strings lines = Split(tried.out);
  ASSERT_EQ(lines.size(), 3u) << tried.out;
  EXPECT_THAT(lines[2], HasSubstr("3  a@2  abort  DIED  "));
  EXPECT_THAT(tried.err, HasSubstr("events.jsonl: 1 event behind line 3 was not answered\n"));
}

TEST_F(TryTest, ABatchOfWrongSizeIsAUsageError) {
  Events({EventLine("a", "ok")});
  for (const char* size : {"0", "-1", "4097", "many"}) {
    EXPECT_EQ(Try(scripted_, {"--batch", size}).exit, 2) << size;
  }
}

// As a host would: what the plugin's own transaction holds is not handed over again.
TEST_F(TryTest, WithPositionGoesOnBehindTheOneThatThePluginHolds) {
  Events({EventLine("a", "ok"), EventLine("a", "ok"), EventLine("b", "ok")});
  const Strings with = {"--projection", "keeper", "--with-position", "--set", "stored=2001"};
  const Finished tried = Try(batching_, with);
  EXPECT_EQ(tried.exit, 0) << tried.err;
  EXPECT_EQ(Split(tried.out),
            (Strings{"1  a@0  ok  HELD  the plugin holds 2001:2000",
                     "2  a@1  ok  HELD  the plugin holds 2001:2000", "3  b@0  ok  OK"}));
  EXPECT_THAT(tried.err, HasSubstr("at 1 2001 -> 3000 token 1"));
}

TEST_F(TryTest, APositionThatIsNoPlaceIsRefusedAsByAHost) {
  Events({EventLine("a", "ok")});
  const Finished tried =
      Try(batching_, {"--projection", "keeper", "--with-position", "--set", "stored=\"-1\""});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.out, "");
  EXPECT_THAT(tried.err,
              HasSubstr("the plugin did not start: FAILED: load_position returned "
                        "18446744073709551615:18446744073709551614 is no place in a log"));
}

TEST_F(TryTest, TheSameFileTwiceChangesNothingWithPosition) {
  Events({EventLine("order-1", "order-placed",
                    "{\"orderId\":\"1\",\"customerId\":\"ann\",\"amountCents\":5}")});
  const Strings with = {"--with-position", "--work", "work", "--set", "database=\"t.db\""};
  const Finished first = Try(totals_, with);
  EXPECT_EQ(first.exit, 0) << first.err;
  EXPECT_EQ(first.out, "1  order-1@0  order-placed  OK\n");
  const Finished second = Try(totals_, with);
  EXPECT_EQ(second.exit, 0) << second.err;
  EXPECT_EQ(second.out, "1  order-1@0  order-placed  HELD  the plugin holds 1000:1000\n");
}

TEST_F(TryTest, AnEventAboveTheLimitIsNamedAndWhatStandsBeforeItIsHandled) {
  // 17 MiB with its names is the most there can be.
  Events({EventLine("a", "ok"), EventLine("a", "ok", '"' + std::string((17u << 20) - 4, 'x') + '"'),
          EventLine("a", "ok", '"' + std::string(18u << 20, 'x') + '"')});
  const Finished tried = Try(scripted_);
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(Split(tried.out).size(), 1u) << tried.out;
  EXPECT_EQ(tried.err.substr(tried.err.rfind("events.jsonl")),
            "events.jsonl:2: an event of 17825793 bytes with its names: wanted at most 17825792\n");
}

}  // namespace
}  // namespace catchup::e2e
