#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <filesystem>
#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/store/checkpoint_store.h"
#include "tests/e2e/harness.h"

// A log that is not the one that a group has read, or lacks what it has read: who goes on, who does
// not, and how an operator has it go on (protocol notes, 3.6).

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

using Strings = std::vector<std::string>;

// A group that has handled s@0 and s@1 in one run, and s@2 and s@3 in the next, with a backup of
// the log from between them.
class LineageTest : public testing::Test {
 protected:
  LineageTest() {
    site_.UseTestProgram(10);
    site_.Append(Events("s", 2));
    site_.Configure(JsonlGroup("copy"));
    EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
    fs::copy(log(), backup(), fs::copy_options::recursive);
    site_.Append(Events("s", 2));
    EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
    EXPECT_EQ(Handled(), (Strings{"s@0 x", "s@1 x", "s@2 x", "s@3 x"}));
    last_handled_ = PositionOf(3);
  }

  fs::path log() const { return site_.file("log"); }
  fs::path backup() const { return site_.file("backup"); }

  static Strings Events(const std::string& stream, int count) {
    return Strings(static_cast<std::size_t>(count), EventLine(stream, "x"));
  }
  void RestoreBackup() {
    fs::remove_all(log());
    fs::rename(backup(), log());
  }
  Strings Handled() const { return Written(site_, "copy"); }
  // What the group has handled beyond the four.
  Strings Fresh() const {
    const Strings all = Handled();
    return {all.begin() + 4, all.end()};
  }
  // "commit:prepare" of the n-th event that the group has handled.
  std::string PositionOf(std::size_t n) const {
    const JsonObject event = ParseJsonObject(ReadLines(site_.data("copy", "out.jsonl")).at(n));
    return event.at("commit") + ":" + event.at("prepare");
  }

  // The places of the events by which the group knows the log, newest first, where only "s" is let
  // through.
  Strings Known() const {
    EventFilter filter;
    filter.match = EventFilter::Match::kStreamName;
    filter.prefixes = {"s"};
    const auto found = CheckpointStore::Inspect(site_.file("state/groups"), "copy", filter);
    Strings places;
    for (const Witness& witness : found.value().record.value().witnesses) {
      places.push_back(FormatPosition(witness.position));
    }
    return places;
  }

  // Changes records of the log, which nobody has open.
  void ChangeLog(const std::string& statement) {
    sqlite3* database = nullptr;
    ASSERT_EQ(
        sqlite3_open_v2((log() / "events.db").c_str(), &database, SQLITE_OPEN_READWRITE, nullptr),
        SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, statement.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
        << sqlite3_errmsg(database);
    EXPECT_GT(sqlite3_changes(database), 0) << statement;
    sqlite3_close(database);
  }

  Finished Reset(const std::string& to) {
    return site_.Catchup({"reset", "copy", "--to", to, "--config", "host.toml"});
  }

  // The group halts before it has handled anything, for such a reason, at every start.
  void ExpectHalted(const Strings& parts) {
    for (int start = 0; start < 2; ++start) {
      const Finished run = site_.RunUntilCaughtUp();
      EXPECT_EQ(run.exit, 1) << run.err;
      const HostLog host = run.Log();
      EXPECT_EQ(host.Last("Group ended", "copy", "state"), "halted") << run.err;
      EXPECT_EQ(host.Last("Group ended", "copy", "processedCount"), "0");
      const std::string reason = host.Last("Group ended", "copy", "reason");
      for (const std::string& part : parts) {
        EXPECT_THAT(reason, HasSubstr(part));
      }
    }
    EXPECT_EQ(Fresh(), Strings()) << "of a log that is not known";
  }

  void ExpectGoesOn(const Strings& fresh) {
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
    EXPECT_EQ(Fresh(), fresh) << run.err;
  }

  Site site_;
  std::string last_handled_;
};

TEST_F(LineageTest, AnUnchangedLogIsReadOn) {
  site_.Append(Events("s", 1));
  ExpectGoesOn({"s@4 x"});
}

TEST_F(LineageTest, AnOlderCopyHaltsTheGroupUntilItIsResetToWhatBothShare) {
  RestoreBackup();
  ExpectHalted({"lineage regressed", "before " + last_handled_, "--to last-good"});

  const Finished reset = Reset("last-good");
  EXPECT_EQ(reset.exit, 0) << reset.err;
  EXPECT_THAT(reset.out, HasSubstr("from " + last_handled_ + " to " + PositionOf(1)));
  EXPECT_THAT(reset.out, HasSubstr("s@1"));
  EXPECT_THAT(reset.out, HasSubstr("what lies between comes again"));
  site_.Append(Events("new", 1));
  ExpectGoesOn({"new@0 x"});
}

TEST_F(LineageTest, AnOlderCopyThatHasGrownPastTheCheckpointHaltsTheGroup) {
  RestoreBackup();
  site_.Append(Events("s", 4));
  ExpectHalted({"lineage diverged", last_handled_, "--to last-good"});

  EXPECT_EQ(Reset("last-good").exit, 0);
  ExpectGoesOn({"s@2 x", "s@3 x", "s@4 x", "s@5 x"});
}

// Its records lie elsewhere, so the checkpoint's place lies within one.
TEST_F(LineageTest, AnOlderCopyWithOtherRecordsAtTheCheckpointHaltsTheGroup) {
  RestoreBackup();
  site_.Append({EventLine("other", "x", R"({"padding":"000000000"})")});
  site_.Append(Events("other", 5));
  ExpectHalted({"lineage diverged", last_handled_});
  EXPECT_EQ(Reset("last-good").exit, 0);
  ExpectGoesOn({"other@0 x", "other@1 x", "other@2 x", "other@3 x", "other@4 x", "other@5 x"});
}

// It has all that the group has handled: only the newest event of the log, seen by the way and
// passed since, tells it from the log. Of what the filter hides, places are announced once in 1,024
// and kept one announcement late.
TEST_F(LineageTest, AnOlderCopyThatLacksOnlyWhatTheFilterHidesHaltsTheGroup) {
  site_.Configure(JsonlGroup("copy", "match = \"stream_name\"\nprefixes = [\"s\"]"));
  ASSERT_EQ(site_.Catchup({"start", "copy", "--accept-filter", "--config", "host.toml"}).exit, 0);
  fs::remove_all(backup());
  fs::copy(log(), backup(), fs::copy_options::recursive);
  int hidden = 0;
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    site_.Append(Events("other", 600));
    hidden += 600;
    return Known().front() != last_handled_;
  })) << host->Errors();
  host->Signal(SIGTERM);
  ASSERT_EQ(host->Wait(), 0) << host->Errors();
  const std::string seen = Known().front();

  RestoreBackup();
  site_.Append(Events("another", hidden));
  ExpectHalted({"lineage diverged", "lay at " + seen});

  EXPECT_EQ(Reset("last-good").exit, 0);
  EXPECT_EQ(Known().front(), last_handled_);
  site_.Append(Events("s", 1));
  ExpectGoesOn({"s@4 x"});
}

TEST_F(LineageTest, AnotherLogHaltsTheGroupAndHasNoGoodPlace) {
  fs::remove_all(log());
  site_.Append(Events("s", 6));
  ExpectHalted({"lineage diverged", "--to beginning"});

  const Finished refused = Reset("last-good");
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("has none of the events by which group copy knows its own"));
  EXPECT_THAT(refused.err, HasSubstr(last_handled_));
  ExpectHalted({"lineage diverged"});

  EXPECT_EQ(Reset("beginning").exit, 0);
  ExpectGoesOn({"s@0 x", "s@1 x", "s@2 x", "s@3 x", "s@4 x", "s@5 x"});
}

// An operator's own place counts, whatever was handled before.
TEST_F(LineageTest, AResetToAPlaceOfAnotherLogIsNotContradicted) {
  fs::remove_all(log());
  site_.Append(Events("s", 6));
  EXPECT_EQ(Reset(PositionOf(0)).exit, 0);
  ExpectGoesOn({"s@1 x", "s@2 x", "s@3 x", "s@4 x", "s@5 x"});
}

// As a scavenge leaves it: their places are some, and no read shows anything there.
TEST_F(LineageTest, ALogThatWasScavengedIsReadOnWithAWarning) {
  ChangeLog("UPDATE records SET revision = NULL WHERE stream = 's'");
  site_.Append(Events("t", 1));
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Fresh(), (Strings{"t@0 x"}));
  const HostLog host = run.Log();
  EXPECT_EQ(host.With("Log not proven by its newest events", "copy").size(), 1u) << run.err;
}

TEST_F(LineageTest, WhereTheNewestIsScavengedAnOlderEventProvesTheLog) {
  site_.Append(Events("s", 1));
  ChangeLog("UPDATE records SET revision = NULL WHERE stream = 's' AND revision = 3");
  ExpectGoesOn({"s@4 x"});
}

// The log as restored, with a record that no read shows where the last handled event lay.
TEST_F(LineageTest, AnOlderCopyThatShowsNothingAtTheCheckpointHaltsTheGroup) {
  RestoreBackup();
  site_.Append(Events("s", 1));
  site_.Append(Events("h", 1));
  site_.Append(Events("s", 1));
  ChangeLog("UPDATE records SET revision = NULL WHERE stream = 'h'");
  ExpectHalted({"lineage diverged", last_handled_});
}

// Such as a node writes when it starts: the checkpoint may come to lie there, beyond every event.
TEST_F(LineageTest, ARecordThatNoReadShowsAtTheEndIsNoFault) {
  site_.Append(Events("h", 1));
  ChangeLog("UPDATE records SET revision = NULL WHERE stream = 'h'");
  ExpectGoesOn({});
  ExpectGoesOn({});
  site_.Append(Events("s", 1));
  ExpectGoesOn({"s@4 x"});
}

// A stream that is deleted, and not scavenged yet, still has its events in the log.
TEST_F(LineageTest, AnEventThatIsHiddenByADeleteStillProvesTheLog) {
  site_.Append({EventLine("$$s", "$metadata", R"({"$tb":9223372036854775807})")});
  site_.Append(Events("t", 1));
  ExpectGoesOn({"t@0 x"});
}

TEST_F(LineageTest, ARunningHostAsksTheServerForTheLastGoodPlace) {
  RestoreBackup();
  site_.Append(Events("s", 4));
  site_.Configure(JsonlGroup("copy") + JsonlGroup("other"));
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Has("Group ended", "copy") && Written(site_, "other").size() == 6;
  })) << host->Errors();

  const Finished reset = Reset("last-good");
  EXPECT_EQ(reset.exit, 0) << reset.err << host->Errors();
  EXPECT_THAT(reset.out, HasSubstr("copy: halted; from " + last_handled_ + " to "));
  EXPECT_EQ(Fresh(), Strings()) << "a reset lets nothing run";
  EXPECT_EQ(site_.Catchup({"start", "copy", "--config", "host.toml"}).exit, 0);
  EXPECT_TRUE(WaitUntil([&] { return Fresh().size() == 4; })) << host->Errors();
  EXPECT_EQ(Fresh(), (Strings{"s@2 x", "s@3 x", "s@4 x", "s@5 x"}));
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST_F(LineageTest, AServerThatDoesNotAnswerLeavesTheGroupWhereItIs) {
  site_.Configure(JsonlGroup("copy"), "kurrentdb://127.0.0.1:1?tls=false");
  const auto refuses = [&] {
    const Finished reset = Reset("last-good");
    EXPECT_EQ(reset.exit, 1) << reset.out;
    EXPECT_THAT(reset.err, HasSubstr("the log could not be asked: 127.0.0.1:1: UNAVAILABLE"));
  };
  refuses();
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host->WaitForLog("Subscription dropped", "copy"));
  ASSERT_EQ(site_.Catchup({"stop", "copy", "--config", "host.toml"}).exit, 0);
  refuses();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();

  site_.Configure(JsonlGroup("copy"));
  ASSERT_EQ(site_.Catchup({"start", "copy", "--config", "host.toml"}).exit, 0);
  site_.Append(Events("s", 1));
  ExpectGoesOn({"s@4 x"});
}

TEST_F(LineageTest, AGroupThatHasHandledNothingHasNoLastGoodPlace) {
  site_.Configure(JsonlGroup("copy") + JsonlGroup("idle", "prefixes = [\"none\"]"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const Finished refused =
      site_.Catchup({"reset", "idle", "--to", "last-good", "--config", "host.toml"});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, HasSubstr("group idle knows of no event that it has passed"));
}

// To ask a log is not to make one.
TEST_F(LineageTest, AResetToTheLastGoodPlaceOfALogThatIsNotThereMakesNone) {
  fs::remove_all(log());
  const Finished reset = Reset("last-good");
  EXPECT_EQ(reset.exit, 1);
  EXPECT_THAT(reset.err, HasSubstr("there is no event log in " + log().string() + "; wanted "));
  EXPECT_FALSE(fs::exists(log()));
}

TEST_F(LineageTest, AResetToTheLastGoodPlaceOfAnUnchangedLogRepeatsNothing) {
  const Finished reset = Reset("last-good");
  EXPECT_EQ(reset.exit, 0) << reset.err;
  EXPECT_THAT(reset.out, HasSubstr("nothing comes again"));
  site_.Append(Events("s", 1));
  ExpectGoesOn({"s@4 x"});
}

}  // namespace
}  // namespace catchup::e2e
