#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/e2e/harness.h"

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(HelpTest, EveryCommandExplainsItself) {
  Site site;
  const Finished all = site.Catchup({"--help"});
  EXPECT_EQ(all.exit, 0);
  for (const char* command :
       {"run", "stop", "start", "reset", "check", "append", "dev-server", "try", "dlq"}) {
    EXPECT_THAT(all.out, HasSubstr(command));
    const Finished one = site.Catchup({command, "--help"});
    EXPECT_EQ(one.exit, 0);
    EXPECT_THAT(one.out, HasSubstr(command));
    EXPECT_EQ(one.err, "");
  }
}

TEST(HelpTest, DevServerSaysWhatItIsFor) {
  Site site;
  const Finished help = site.Catchup({"dev-server", "--help"});
  EXPECT_THAT(help.out, HasSubstr("development and tests"));
  EXPECT_THAT(help.out, HasSubstr("not for"));
  EXPECT_THAT(help.out, HasSubstr("127.0.0.1:2113"));
}

TEST(HelpTest, AppendSaysHowToGoOnAfterAnInterruption) {
  Site site;
  const Finished help = site.Catchup({"append", "--help"});
  EXPECT_THAT(help.out, HasSubstr("--resume TOKEN"));
  EXPECT_THAT(help.out, HasSubstr("--from-line M then goes on exactly"));
}

TEST(HelpTest, ResetNamesEveryPlaceToGoTo) {
  Site site;
  const Finished help = site.Catchup({"reset", "--help"});
  for (const char* place : {"beginning", "last-good", "commit:prepare"}) {
    EXPECT_THAT(help.out, HasSubstr(place));
  }
}

TEST(HelpTest, TrySaysWhereThePluginWorksAndWhenItStops) {
  Site site;
  const Finished help = site.Catchup({"try", "--help"});
  EXPECT_THAT(help.out, HasSubstr("made if it is missing"));
  EXPECT_THAT(help.out, HasSubstr("DIED"));
  EXPECT_THAT(help.out, HasSubstr("HELD"));
  EXPECT_THAT(help.out, HasSubstr("--batch"));
}

TEST(HelpTest, VersionNamesCommitAndAbi) {
  Site site;
  const Finished version = site.Catchup({"--version"});
  EXPECT_EQ(version.exit, 0);
  EXPECT_THAT(version.out, HasSubstr("catchup 0."));
  EXPECT_THAT(version.out, HasSubstr("commit "));
  EXPECT_THAT(version.out, HasSubstr("ABI 1.0"));
}

TEST(HelpTest, WhatCannotBeUnderstoodIsAUsageError) {
  Site site;
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {},
           {"fly"},
           {"run", "--fast"},
           {"check", "--fast"},
           {"append", "events.jsonl"},
           {"append", "--to", "embedded:log", "--from-line", "0", "events.jsonl"},
           {"try", "only.so"}}) {
    const Finished refused = site.Catchup(arguments);
    EXPECT_EQ(refused.exit, 2) << (arguments.empty() ? "nothing" : arguments[0]);
    EXPECT_NE(refused.err, "");
  }
}

// What a user puts in the wrong place is repeated, but for what the terminal's log should not keep.
TEST(HelpTest, APasswordInTheWrongPlaceIsNotRepeated) {
  const std::string uri = "kurrentdb://admin:s3cret@a:2113";
  Site site;
  WriteFile(site.file("e.jsonl"), "");
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
           {uri},
           {"run", uri},
           {"check", uri},
           {"stop", "g", "--config", uri},
           {"append", "--to", uri, "e.jsonl"},
           {"append", "--to", "embedded:log", uri},
           {"append", "--to", "embedded:log", "e.jsonl", uri},
           {"append", "--to", "embedded:log", "--uri", uri, "e.jsonl"},
           {"append", "--to", "embedded:log", "--uri=" + uri, "e.jsonl"},
           {"append", "--to", "embedded:log", "--credentials-file", "admin:s3cret", "e.jsonl"},
           {"dev-server", "--listen", uri},
           {"dev-server", "--data", uri}}) {
    const Finished refused = site.Catchup(arguments);
    EXPECT_NE(refused.exit, 0) << testing::PrintToString(arguments);
    EXPECT_NE(refused.err, "") << testing::PrintToString(arguments);
    EXPECT_THAT(refused.err, Not(HasSubstr("s3cret"))) << testing::PrintToString(arguments);
  }
}

TEST(HelpTest, ACommandThatDoesNotExistIsNamedWithThoseThatDo) {
  Site site;
  const std::string wanted =
      ": wanted run, stop, start, reset, check, append, dev-server, try or dlq\nRun with --help "
      "for more information.\n";
  EXPECT_EQ(site.Catchup({"status"}).err, "unknown command \"status\"" + wanted);
  EXPECT_EQ(site.Catchup({"chek", "host.toml"}).err, "unknown command \"chek\"" + wanted);
  EXPECT_EQ(site.Catchup({}).err, "no command" + wanted);
  const std::string of_dlq =
      ": wanted list, show, export, retry, drop, park or unpark\nRun with --help for more "
      "information.\n";
  EXPECT_EQ(site.Catchup({"dlq", "lst", "g"}).err, "unknown command of dlq \"lst\"" + of_dlq);
  EXPECT_EQ(site.Catchup({"dlq"}).err, "no command of dlq" + of_dlq);
  EXPECT_EQ(site.Catchup({"dlq"}).exit, 2);
}

// As a shell makes it of a variable that is not set: no option that was not given, which would run
// every group or append once more what is in the log.
TEST(HelpTest, AnEmptyTextIsAUsageError) {
  Site site;
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {"run", "host.toml", "--group", ""},
           {"append", "--to", "embedded:events", "--resume", "", "events.jsonl"},
           {"append", "--to", "", "events.jsonl"},
           {"try", "plugin.so", "events.jsonl", "--work", ""},
           {"try", "plugin.so", "events.jsonl", "--projection", ""},
           {"dev-server", "--data", ""},
           {"check", ""}}) {
    const Finished refused = site.Catchup(command);
    EXPECT_EQ(refused.exit, 2) << command.front();
    EXPECT_THAT(refused.err, HasSubstr("empty"));
  }
  EXPECT_FALSE(std::filesystem::exists(site.file("events")));
}

}  // namespace
}  // namespace catchup::e2e
