#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/dev_server.h"
#include "tests/e2e/harness.h"

// A group whose place lies beyond the end of the log: events that are appended up to there would be
// skipped in silence, so the group is halted, or failed where that is its `start`, and says what
// lies where (protocol notes, 3.6).

namespace catchup::e2e {
namespace {

using testing::_;
using testing::ElementsAre;
using testing::HasSubstr;

using Strings = std::vector<std::string>;

class LogEndTest : public testing::Test {
 protected:
  LogEndTest() { site_.UseTestProgram(10); }

  static Strings Events(const std::string& stream, int count) {
    return Strings(static_cast<std::size_t>(count), EventLine(stream, "x"));
  }

  // "commit:prepare" of a line that the group's jsonl has written.
  std::string PositionOf(std::size_t line) const {
    const JsonObject event = ParseJsonObject(ReadLines(site_.data("copy", "out.jsonl")).at(line));
    return event.at("commit") + ":" + event.at("prepare");
  }

  // Runs until caught up, which must end with the group in that state for a reason with these
  // parts.
  void ExpectEnd(const std::string& state, const Strings& parts) {
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 1) << run.err;
    const HostLog log = run.Log();
    EXPECT_EQ(log.Last("Group ended", "copy", "state"), state) << run.err;
    EXPECT_EQ(log.Last("Group ended", "copy", "processedCount"), "0");
    for (const JsonObject& change : log.With("State changed", "copy")) {
      EXPECT_NE(change.at("state"), "caught up");
    }
    const std::string reason = log.Last("Group ended", "copy", "reason");
    for (const std::string& part : parts) {
      EXPECT_THAT(reason, HasSubstr(part)) << part << " in: " << reason;
    }
  }

  Site site_;
};

TEST_F(LogEndTest, AStartBeyondItFailsTheGroupAndIsNamed) {
  site_.Append(Events("s", 3));
  site_.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"9999999:9999999\""));
  ExpectEnd("failed", {"the log ends at ", "before 9999999:9999999, the group's `start`"});
  // Nothing was read, so the file alone puts it right.
  site_.Configure(JsonlGroup("copy"));
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "copy").size(), 3u);
}

// No event lies there, and the node says so: nothing is tried a second time.
TEST_F(LogEndTest, APlaceInsideARecordFailsTheGroup) {
  site_.Append(Events("s", 5));
  site_.Configure(JsonlGroup("probe"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const JsonObject event = ParseJsonObject(ReadLines(site_.data("probe", "out.jsonl")).at(1));
  const std::string inside = std::to_string(std::stoull(event.at("commit")) + 1);
  site_.Configure(
      JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"" + inside + ":" + inside + "\""));
  ExpectEnd("failed", {"the log has no event at " + inside + ":" + inside, "the group's `start`"});
}

TEST_F(LogEndTest, AnEmptyLogEndsBeforeEveryStartButTheZero) {
  site_.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"300:300\""));
  ExpectEnd("failed", {"the log is empty, before 300:300, the group's `start`"});
  site_.Configure(JsonlGroup("copy", "prefixes = [\"\"]\nstart = \"0:0\""));
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  site_.Append(Events("s", 1));
  EXPECT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_EQ(Written(site_, "copy"), (Strings{"s@0 x"}));
}

TEST_F(LogEndTest, ACheckpointOfALogThatWasMadeAnewHaltsTheGroupAndStays) {
  site_.Append(Events("s", 5));
  site_.Configure(JsonlGroup("copy"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const std::string last = PositionOf(4);

  std::filesystem::remove_all(site_.file("log"));
  site_.Append(Events("new", 2));

  ExpectEnd("halted", {"lineage regressed: ", "catchup reset copy --to beginning",
                       "before " + last + ", where the group's checkpoint stands"});
  ExpectEnd("halted", {"before " + last});  // It stands where it stood.
  // What the reason says helps, and loses nothing.
  ASSERT_EQ(site_.Catchup({"reset", "copy", "--to", "beginning", "--config", "host.toml"}).exit, 0);
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  EXPECT_THAT(Written(site_, "copy"), ElementsAre(_, _, _, _, _, "new@0 x", "new@1 x"));
}

TEST_F(LogEndTest, ALogRestoredFromAnOlderBackupHaltsTheGroup) {
  site_.Append(Events("s", 2));
  std::filesystem::copy(site_.file("log"), site_.file("backup"),
                        std::filesystem::copy_options::recursive);
  site_.Append(Events("s", 2));
  site_.Configure(JsonlGroup("copy"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  std::filesystem::remove_all(site_.file("log"));
  std::filesystem::rename(site_.file("backup"), site_.file("log"));
  ExpectEnd("halted", {"the log ends at " + PositionOf(1) + ", before " + PositionOf(3)});
}

// The host runs on while the server's log is put back and its events come anew.
TEST_F(LogEndTest, ALogRestoredUnderARunningHostHaltsTheGroup) {
  site_.Append(Events("s", 4));
  DevServer server(&site_);
  server.Serve();
  site_.Configure(JsonlGroup("copy"), server.uri());
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "state") == "caught up";
  })) << host->Errors();

  server.Kill();
  std::filesystem::remove_all(site_.file("log"));
  site_.Append(Events("new", 1));
  server.Serve();

  // The host stays, for commands.
  ASSERT_TRUE(WaitUntil([&] {
    return host->Log().Last("Group ended", "copy", "state") == "halted";
  })) << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  const std::string reason = host->Log().Last("Group ended", "copy", "reason");
  EXPECT_THAT(reason, HasSubstr("before " + PositionOf(3)));
  EXPECT_EQ(Written(site_, "copy").size(), 4u);
}

// order_totals keeps its position in its own database, together with the totals.
TEST_F(LogEndTest, APositionThatThePluginHoldsHaltsTheGroupAndBecomesNoCheckpoint) {
  const std::string group =
      "[groups.totals]\nplugin = \"order_totals.so\"\nprefixes = [\"order-\"]\nconfig = { database "
      "= "
      "\"" +
      site_.file("totals.db").string() + "\" }\n";
  const std::string order = R"({"orderId":"7","customerId":"c","amountCents":5})";
  site_.Append(Strings(5, EventLine("order-7", "order-placed", order)));
  site_.Configure(group);
  const Finished first = site_.RunUntilCaughtUp();
  ASSERT_EQ(first.exit, 0) << first.err;
  const std::string place = first.Log().Last("Group ended", "totals", "position");

  // Log and state are new, the plugin's store is not.
  std::filesystem::remove_all(site_.file("log"));
  std::filesystem::remove_all(site_.file("state"));
  site_.Append(Strings(2, EventLine("order-7", "order-placed", order)));
  const Finished second = site_.RunUntilCaughtUp();
  EXPECT_EQ(second.exit, 1) << second.err;
  const std::string reason = second.Log().Last("Group ended", "totals", "reason");
  EXPECT_THAT(reason, HasSubstr("before " + place + ", the position that the plugin holds"));
  EXPECT_THAT(reason, HasSubstr("catchup reset totals --to beginning"));
  EXPECT_EQ(second.Log().Last("Group ended", "totals", "position"), "none");
}

}  // namespace
}  // namespace catchup::e2e
