#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "host/base/uuid.h"
#include "host/store/letter_store.h"
#include "tests/e2e/harness.h"
#include "tests/store/letters.h"

// `catchup dlq` on a host that runs: what it shows of a group's letters, and what it lets operators
// decide.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

void ExpectSays(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(text.find(part), std::string::npos) << "wanted: " << part << "\nfound: " << text;
  }
}

std::string Orders(std::string_view stream, std::string_view data, std::string_view type = "t") {
  return EventLine(stream, type, data);
}

class RunningDlqTest : public ::testing::Test {
 protected:
  void Configure(const std::string& keys = "") {
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\n" + keys));
  }

  void Run() {
    host_ = site_.Start({"run", "host.toml"});
    ASSERT_TRUE(WaitUntil([&] { return fs::exists(site_.file("state/admin.sock")); }))
        << host_->Errors();
  }

  Finished Dlq(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }

  // The letters, once there are so many.
  std::vector<JsonObject> Letters(std::size_t count) {
    std::vector<JsonObject> letters;
    EXPECT_TRUE(WaitUntil([&] {
      const Finished listed = Dlq({"list", "g", "--json"});
      letters.clear();
      WriteFile(site_.file("listed"), listed.out);
      for (std::string line : ReadLines(site_.file("listed"))) {
        const auto begin = line.find('{');
        const auto end = line.rfind('}');
        if (begin != std::string::npos && end != std::string::npos) {
          letters.push_back(ParseJsonObject(line.substr(begin, end - begin + 1)));
        }
      }
      return listed.exit == 0 && letters.size() == count;
    })) << Dlq({"list", "g"}).out
        << host_->Errors();
    return letters;
  }

  bool WaitForState(const std::string& state) {
    return WaitUntil([&] { return host_->Log().Last("State changed", "g", "state") == state; });
  }

  void End() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }

  Site site_;
  std::unique_ptr<Process> host_;
};

constexpr const char* kReject = R"({"do":"reject","text":"no such article"})";

// Misbehaves until the file `mended` exists in the plugin's folder.
std::string UntilMended(const std::string& what) {
  return R"({"do":")" + what + R"(","text":"no such article","until":"mended"})";
}

TEST_F(RunningDlqTest, ListsAndShowsTheLettersOfAGroupThatRuns) {
  site_.Append({Orders("a", kReject), Orders("a", "{}"), Orders("b", "{}")});
  Configure();
  Run();
  const std::vector<JsonObject> letters = Letters(2);
  EXPECT_EQ(letters[0].at("state"), "dead");
  EXPECT_EQ(letters[0].at("class"), "domain");
  EXPECT_EQ(letters[0].at("stream"), "a");
  EXPECT_EQ(letters[0].at("attempts"), "1");
  EXPECT_EQ(letters[0].at("plugin"), "trouble.so");
  EXPECT_FALSE(letters[0].at("pluginVersion").empty()) << "as the plugin says of itself";
  EXPECT_EQ(letters[0].at("pluginSha256").size(), 64u);
  EXPECT_EQ(letters[0].at("nextTryAt"), "null");
  EXPECT_EQ(letters[1].at("state"), "follower");
  EXPECT_EQ(letters[1].at("class"), "null");

  ExpectSays(Dlq({"list", "g"}).out, {"ID ", "dead      domain ", "a@0  t  "});
  const Finished shown = Dlq({"show", "g", letters[0].at("id")});
  EXPECT_EQ(shown.exit, 0) << shown.err;
  ExpectSays(shown.out, {"stream       a@0\n", "state        dead since ", "no such article",
                         "\ncall         ", "\"data\":{\"do\":\"reject\""});
  const JsonObject json = ParseJsonObject(Dlq({"show", "g", letters[0].at("id"), "--json"}).out);
  EXPECT_EQ(json.at("id"), letters[0].at("id"));
  ExpectSays(json.at("event"), {"\"stream\":\"a\""});
  End();
  // By the file, the same.
  EXPECT_EQ(Letters(2), letters);
}

TEST_F(RunningDlqTest, FiltersAndPagesHoldForARunningHostToo) {
  std::vector<std::string> lines;
  for (int i = 0; i < 600; ++i) {
    lines.push_back(Orders("s-" + std::to_string(i % 10), kReject, i % 2 == 0 ? "even" : "odd"));
  }
  site_.Append(lines);
  Configure("dead_letters = { order = \"event\" }\n");
  Run();
  const std::vector<JsonObject> letters = Letters(600);
  for (std::size_t i = 1; i < letters.size(); ++i) {
    EXPECT_LT(std::stoull(letters[i - 1].at("commit")), std::stoull(letters[i].at("commit")));
  }
  const auto exported = [&](std::vector<std::string> filters) {
    filters.insert(filters.begin(), {"export", "g"});
    WriteFile(site_.file("exported"), Dlq(filters).out);
    return ReadLines(site_.file("exported")).size();
  };
  EXPECT_EQ(exported({}), 600u);
  EXPECT_EQ(exported({"--type", "even"}), 300u);
  EXPECT_EQ(exported({"--stream", "s-3"}), 60u);
  EXPECT_EQ(exported({"--state", "healing"}), 0u);
  EXPECT_EQ(exported({"--limit", "300"}), 300u);
  EXPECT_EQ(exported({"--older", "1h"}), 0u);
  EXPECT_EQ(exported({"--newer", "1h", "--class", "domain", "--limit", "599"}), 599u);
  EXPECT_EQ(Dlq({"list", "g", "--type", "other"}).out,
            "none of the 600 dead letters of group g is meant\n");
  End();
}

// The payloads do not fit into one page.
TEST_F(RunningDlqTest, WhatIsExportedFromARunningHostIsTheEventToTheByte) {
  const std::string spaced = R"({ "do" : "reject", "n": 1.0e2, "u":"\u00e9" })";
  const std::string large = R"({"do":"reject","text":")" + std::string(700u << 10, 'x') + "\"}";
  site_.Append({Orders("a", spaced), Orders("b", large), Orders("c", large)});
  Configure();
  Run();
  Letters(3);
  const auto payloads = [&] {
    const Finished exported = Dlq({"export", "g"});
    EXPECT_EQ(exported.exit, 0) << exported.err;
    WriteFile(site_.file("exported.jsonl"), exported.out);
    std::vector<std::string> found;
    for (const std::string& line : ReadLines(site_.file("exported.jsonl"))) {
      found.push_back(line.substr(line.find("\"data\":")));
    }
    return found;
  };
  const std::vector<std::string> wanted = {"\"data\":" + spaced + "}", "\"data\":" + large + "}",
                                           "\"data\":" + large + "}"};
  EXPECT_TRUE(payloads() == wanted);
  End();
  fs::remove_all(site_.file("state"));
  fs::remove_all(site_.file("log"));
  const Finished appended = site_.Catchup({"append", "--to", "embedded:log", "exported.jsonl"});
  ASSERT_EQ(appended.exit, 0) << appended.err;
  Run();
  Letters(3);
  EXPECT_TRUE(payloads() == wanted);
  End();
}

TEST_F(RunningDlqTest, ARetryCallsThroughTheGroupsRunnerAndTellsWhatCameOfIt) {
  site_.Append({Orders("a", UntilMended("reject")), Orders("a", "{}"), Orders("b", kReject),
                Orders("b", "{}")});
  Configure();
  Run();
  const std::vector<JsonObject> letters = Letters(4);
  const Finished failed = Dlq({"retry", "g", letters[0].at("id")});
  EXPECT_EQ(failed.exit, 1);
  EXPECT_EQ(failed.out, letters[0].at("id") + "  failed (domain), now dead: no such article\n");
  EXPECT_EQ(Letters(4)[0].at("attempts"), "2");

  const Finished behind = Dlq({"retry", "g", letters[1].at("id")});
  EXPECT_EQ(behind.exit, 1);
  ExpectSays(behind.err, {"it waits behind " + letters[0].at("id"), "an earlier letter"});

  WriteFile(site_.data("g", "mended"), "");
  const Finished all = Dlq({"retry", "g", "--all"});
  EXPECT_EQ(all.exit, 1) << "stream b's letter fails";
  EXPECT_EQ(all.out, letters[0].at("id") + "  healed\n" + letters[1].at("id") + "  healed\n" +
                         letters[2].at("id") + "  failed (domain), now dead: no such article\n" +
                         letters[3].at("id") +
                         "  not tried: an earlier letter of its stream failed\n"
                         "2 healed, 1 failed, 1 not tried\n");
  Letters(2);
  const Finished json = Dlq({"retry", "g", "--stream", "b", "--json"});
  ExpectSays(json.out, {"[{", "\"result\":\"failed\"", "\"result\":\"not tried\""});
  EXPECT_EQ(Dlq({"retry", "g", "--stream", "a"}).out, "group g has no such letters\n");
  End();
  const auto delivered = Delivered(site_, "g");
  EXPECT_EQ(std::count(delivered.begin(), delivered.end(), "a@1 ok 1"), 1) << "once, in order";
}

// The filter leaves out the letter that one of them waits behind.
TEST_F(RunningDlqTest, ARetryOfSeveralGoesOnBehindOneThatIsRefusedAndSaysSo) {
  site_.Append({Orders("a", kReject), Orders("a", "{}", "u"),
                Orders("b", UntilMended("reject"), "u"), Orders("b", "{}", "u")});
  Configure();
  Run();
  const std::vector<JsonObject> letters = Letters(4);
  WriteFile(site_.data("g", "mended"), "");
  const std::string why =
      "it waits behind " + letters[0].at("id") + ", an earlier letter of its stream";

  const Finished some = Dlq({"retry", "g", "--all", "--type", "u"});
  EXPECT_EQ(some.exit, 1) << some.err;
  EXPECT_EQ(some.out, letters[1].at("id") + "  refused: " + why + "\n" + letters[2].at("id") +
                          "  healed\n" + letters[3].at("id") +
                          "  healed\n2 healed, 0 failed, 0 not tried, 1 refused\n");
  EXPECT_EQ(some.err, "");
  Letters(2);
  const Finished json = Dlq({"retry", "g", "--all", "--type", "u", "--json"});
  EXPECT_EQ(json.exit, 1);
  ExpectSays(json.out, {"[{", "\"result\":\"refused\"", why});
  // Alone it is an error.
  const Finished one = Dlq({"retry", "g", letters[1].at("id")});
  EXPECT_EQ(one.exit, 1);
  ExpectSays(one.err, {why});
  EXPECT_EQ(one.out, "");
  End();
}

TEST_F(RunningDlqTest, WhatCannotBeRetriedIsRefusedAndSaysWhatToDo) {
  site_.Append({Orders("a", kReject)});
  Configure();
  Run();
  const std::string id = Letters(1)[0].at("id");
  EXPECT_EQ(Dlq({"retry", "g"}).exit, 2);
  const Finished kinds = Dlq({"retry", "g", "--type", "u", "--state", "dead"});
  EXPECT_EQ(kinds.exit, 2);
  ExpectSays(kinds.err, {"--state, --type alone: wanted --all beside it"});
  EXPECT_EQ(Dlq({"retry", "g", "10"}).exit, 2);
  EXPECT_EQ(Dlq({"retry", "g", "--all", "--timeout", "soon"}).exit, 2);
  const Finished unknown = Dlq({"retry", "h", id});
  EXPECT_EQ(unknown.exit, 2);
  ExpectSays(unknown.err, {"no such group", "h"});
  const Finished missing = Dlq({"retry", "g", "1:1"});
  EXPECT_EQ(missing.exit, 1);
  ExpectSays(missing.err, {"group g has no letter 1:1: `catchup dlq list g` shows those it has"});

  ASSERT_EQ(site_.Catchup({"stop", "g", "--config", "host.toml"}).exit, 0);
  const Finished stopped = Dlq({"retry", "g", "--all"});
  EXPECT_EQ(stopped.exit, 1);
  ExpectSays(stopped.err, {"group g is stopped", "catchup start g first"});
  EXPECT_EQ(Letters(1)[0].at("id"), id) << "reading goes on";
  End();
  const Finished none = Dlq({"retry", "g", "--all"});
  EXPECT_EQ(none.exit, 1);
  ExpectSays(none.err, {"no host runs on state directory "});
}

TEST_F(RunningDlqTest, WhileTheBreakerIsOpenARetryIsRefused) {
  site_.Append({Orders("a", kReject), Orders("b", UntilMended("retry"))});
  Configure("breaker = { failures = 1, open = \"60s\", max_open = \"60s\" }\n");
  Run();
  const std::string id = Letters(1)[0].at("id");
  ASSERT_TRUE(WaitForState("waiting")) << host_->Errors();
  Finished refused;
  ASSERT_TRUE(WaitUntil([&] {
    refused = Dlq({"retry", "g", id});
    return refused.err.find("breaker is open") != std::string::npos;
  })) << refused.err;
  EXPECT_EQ(refused.exit, 1);
  End();
}

TEST_F(RunningDlqTest, ADropIsForGoodAndItsReasonIsKept) {
  site_.Append({Orders("a", kReject), Orders("a", "{}")});
  Configure();
  Run();
  const std::string id = Letters(2)[0].at("id");
  EXPECT_EQ(Dlq({"drop", "g", id}).exit, 2) << "without a reason";
  EXPECT_EQ(Dlq({"drop", "g", id, "--reason", " "}).exit, 2);
  const Finished unknown = Dlq({"drop", "g", "1:1", "--reason", "x"});
  EXPECT_EQ(unknown.exit, 1);
  ExpectSays(unknown.err, {"group g has no letter 1:1: `catchup dlq list g` shows those it has"});

  const Finished dropped = Dlq({"drop", "g", id, "--reason", "a duplicate of order 7"});
  EXPECT_EQ(dropped.exit, 0) << dropped.err;
  EXPECT_EQ(dropped.out, "g: letter " + id + " of stream a dropped\n");
  Letters(0);  // Its follower was handed on.
  const HostLog log = host_->Log();
  ExpectSays(log.Last("Dead letter dropped", "g", "reason"), {"a duplicate of order 7"});
  for (const auto& [member, value] :
       {std::pair("class", "domain"), std::pair("attempt", "1"), std::pair("delayMs", "0"),
        std::pair("method", "Group.Engine")}) {
    EXPECT_EQ(log.Last("Dead letter written", "g", member), value);
    EXPECT_EQ(log.Last("Dead letter dropped", "g", member), value);
  }
  ExpectSays(Dlq({"list", "g", "--dropped"}).out,
             {id + "  a@0  t  dropped ", ": a duplicate of order 7\n"});
  ExpectSays(Dlq({"show", "g", id}).out, {"state        dropped ", "a duplicate of order 7\n"});
  End();
  const JsonObject kept = ParseJsonObject(Dlq({"show", "g", id, "--json"}).out);
  EXPECT_EQ(kept.at("state"), "dropped");
  EXPECT_EQ(kept.at("reason"), "a duplicate of order 7");
}

TEST_F(RunningDlqTest, AStoppedGroupsLettersCanBeDropped) {
  site_.Append({Orders("a", kReject)});
  Configure();
  Run();
  const std::string id = Letters(1)[0].at("id");
  ASSERT_EQ(site_.Catchup({"stop", "g", "--config", "host.toml"}).exit, 0);
  const Finished dropped = Dlq({"drop", "g", id, "--reason", "no use"});
  EXPECT_EQ(dropped.exit, 0);
  EXPECT_EQ(dropped.out, "g: letter " + id + " of stream a dropped\n");
  Letters(0);
  for (const auto& [member, value] :
       {std::pair("class", "domain"), std::pair("attempt", "1"), std::pair("delayMs", "0"),
        std::pair("stream", "a"), std::pair("eventType", "t")}) {
    EXPECT_EQ(host_->Log().Last("Dead letter dropped", "g", member), value);
  }
  EXPECT_EQ(Dlq({"drop", "g", id, "--reason", "no use"}).exit, 1);
  End();
}

TEST_F(RunningDlqTest, AnEventThatWaitsIsParkedAndItsReasonIsTheLetters) {
  site_.Append({Orders("ok", "{}"), Orders("a", UntilMended("retry"))});
  Configure();
  Run();
  ASSERT_TRUE(WaitForState("waiting")) << host_->Errors();
  const std::string place = host_->Log().Last("Call failed", "g", "position");
  const Finished refused = Dlq({"park", "g", "--event", "5:5", "--reason", "x"});
  EXPECT_EQ(refused.exit, 1);
  const Finished later = Dlq({"park", "g", "--event", "99999999:99999999", "--reason", "x"});
  EXPECT_EQ(later.exit, 1);
  ExpectSays(later.err, {"no event of the group that has come lies at 99999999:99999999", place});
  EXPECT_EQ(Dlq({"park", "g", "--event", place}).exit, 2) << "without a reason";

  const Finished parked = Dlq({"park", "g", "--event", place, "--reason", "the shop is gone"});
  EXPECT_EQ(parked.exit, 0) << parked.err;
  const JsonObject letter = Letters(1)[0];
  EXPECT_EQ(letter.at("id"), place);
  EXPECT_EQ(letter.at("state"), "dead");
  EXPECT_EQ(letter.at("class"), "by-hand");
  EXPECT_EQ(letter.at("reason"), "parked by hand: the shop is gone");
  ASSERT_TRUE(WaitForState("caught up")) << host_->Errors();
  const Finished settled = Dlq({"park", "g", "--event", "5:5", "--reason", "x"});
  EXPECT_EQ(settled.exit, 1);
  ExpectSays(settled.err, {"is settled"});
  const auto again = [&] { return Dlq({"park", "g", "--event", place, "--reason", "x"}); };
  const std::string already =
      "the event at " + place + " is a dead letter already: `catchup dlq show g " + place + "`";
  EXPECT_EQ(again().exit, 1);
  ExpectSays(again().err, {already});
  ASSERT_EQ(site_.Catchup({"stop", "g", "--config", "host.toml"}).exit, 0);
  EXPECT_EQ(again().exit, 1);
  ExpectSays(again().err, {already});
  End();
}

// The breaker is open for longer than any test lasts.
TEST_F(RunningDlqTest, WhatIsParkedByHandDoesNotWaitForTheBreaker) {
  for (const std::string lanes : {"1", "2"}) {
    site_.Append({Orders("a" + lanes, R"({"do":"retry","text":"no such article"})")});
    Configure("lanes = " + lanes +
              "\nbreaker = { failures = 1, open = \"1h\", max_open = \"1h\" }\n");
    Run();
    ASSERT_TRUE(WaitForState("waiting")) << host_->Errors();
    const std::string place = host_->Log().Last("Call failed", "g", "position");
    const Finished parked = Dlq({"park", "g", "--event", place, "--reason", "no use"});
    EXPECT_EQ(parked.exit, 0) << parked.err;
    EXPECT_EQ(parked.out, "g: the event at " + place + " is a dead letter\n");
    EXPECT_EQ(Letters(lanes == "1" ? 1 : 2).back().at("id"), place);
    EXPECT_EQ(host_->Log().Last("State changed", "g", "state"), "waiting");
    End();
  }
}

TEST_F(RunningDlqTest, WhatIsParkedByHandBeforeItsTurnIsAnsweredWithWhatItWaitsFor) {
  site_.Append({Orders("a", UntilMended("retry")), Orders("b", "{}")});
  site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\n") + JsonlGroup("copy"));
  Run();
  ASSERT_TRUE(WaitForState("waiting")) << host_->Errors();
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() == 2; })) << host_->Errors();
  std::vector<std::string> places;
  for (const std::string& line : ReadLines(site_.data("copy", "out.jsonl"))) {
    const JsonObject event = ParseJsonObject(line);
    places.push_back(event.at("commit") + ":" + event.at("prepare"));
  }
  const Finished parked = Dlq({"park", "g", "--event", places[1], "--reason", "no use"});
  EXPECT_EQ(parked.exit, 0) << parked.err;
  ExpectSays(parked.out,
             {"the event at " + places[1] + " becomes a dead letter when its turn comes",
              "events before it, from " + places[0] + " on"});
  Letters(0);
  WriteFile(site_.data("g", "mended"), "");
  EXPECT_EQ(Letters(1)[0].at("id"), places[1]);
  End();
}

TEST_F(RunningDlqTest, ATypeIsParkedUntilItIsUnparkedOverARestart) {
  Configure();
  Run();
  ASSERT_TRUE(WaitForState("caught up")) << host_->Errors();
  const Finished not_parked = Dlq({"unpark", "g", "--type", "bad"});
  EXPECT_EQ(not_parked.exit, 1);
  ExpectSays(not_parked.err,
             {"events of type \"bad\" are not held", "`catchup dlq list g --held`"});
  const Finished parked = Dlq({"park", "g", "--type", "bad", "--reason", "being mended"});
  EXPECT_EQ(parked.exit, 0) << parked.err;
  ExpectSays(parked.out,
             {"events of type \"bad\" are parked without a call until catchup dlq unpark"});
  site_.Append({Orders("a", "{}", "bad"), Orders("b", "{}", "good")});
  const JsonObject letter = Letters(1)[0];
  EXPECT_EQ(letter.at("class"), "held");
  EXPECT_EQ(letter.at("nextTryAt"), "null") << "nobody but a person has it called";
  const JsonObject command = host_->Log().With("Command", "g").back();
  EXPECT_EQ(command.at("command"), "dlq park");
  EXPECT_EQ(command.at("eventType"), "bad");
  EXPECT_EQ(command.at("reason"), "being mended");
  ExpectSays(Dlq({"list", "g", "--held"}).out,
             {"bad  held since ", " by the operator: being mended (user "});
  End();
  ExpectSays(Dlq({"list", "g", "--held", "--json"}).out, {R"([{"type":"bad","by":"operator",)"});
  Run();
  site_.Append({Orders("c", "{}", "bad")});
  Letters(2);
  const Finished freed = Dlq({"unpark", "g", "--type", "bad"});
  EXPECT_EQ(freed.exit, 0) << freed.err;
  Letters(0);
  End();
}

TEST_F(RunningDlqTest, AResetTakesTheLettersBehindItWithItAndSaysSo) {
  site_.Append({Orders("a", kReject), Orders("b", kReject), Orders("c", "{}")});
  Configure();
  Run();
  const std::string first = Letters(2)[0].at("id");
  const auto ask = [this](std::vector<std::string> words) {
    words.insert(words.end(), {"--config", "host.toml"});
    return site_.Catchup(words);
  };
  ASSERT_EQ(ask({"stop", "g"}).exit, 0);
  ExpectSays(ask({"reset", "g", "--to", first}).out,
             {" to " + first + "; 1 dead letter behind that goes, since its event comes again\n"});
  ExpectSays(ask({"reset", "g", "--to", "beginning"}).out,
             {"; 2 dead letters behind that go, since their events come again\n"});
  EXPECT_EQ(Dlq({"list", "g", "--json"}).out.find("[]"), std::string::npos) << "not before a start";
  End();
  Run();
  ASSERT_TRUE(host_->WaitForLog("Group ended", "g")) << host_->Errors();
  EXPECT_FALSE(host_->Log().With("Group ended", "g").at(0).contains("dlqCount"))
      << "nobody has read them";

  ASSERT_EQ(ask({"start", "g"}).exit, 0);
  ASSERT_TRUE(host_->WaitForLog("Dead letters removed", "g")) << host_->Errors();
  EXPECT_EQ(host_->Log().Last("Dead letters removed", "g", "removedCount"), "2");
  Letters(2);
  End();
}

// Where the host writes no letter by itself, an operator can.
TEST_F(RunningDlqTest, AHaltedGroupWaitsForACommandAndParksAtItsNextStart) {
  site_.Append({Orders("a", kReject), Orders("b", "{}")});
  Configure("dead_letters = { order = \"halt\" }\n");
  Run();
  ASSERT_TRUE(host_->WaitForLog("Group ended", "g")) << host_->Errors();
  const std::string place = host_->Log().Last("Call failed", "g", "position");
  ExpectSays(host_->Log().Last("Group ended", "g", "reason"),
             {"no such article", "catchup start g", "catchup dlq park g --event " + place + " "});
  EXPECT_TRUE(host_->Running()) << "it waits for a command";
  const Finished parked = Dlq({"park", "g", "--event", place, "--reason", "no use"});
  EXPECT_EQ(parked.exit, 0) << parked.err;
  ASSERT_EQ(site_.Catchup({"start", "g", "--config", "host.toml"}).exit, 0);
  EXPECT_EQ(Letters(1)[0].at("reason"), "parked by hand: no use");
  ASSERT_TRUE(WaitForState("caught up")) << host_->Errors();
  End();
}

TEST_F(RunningDlqTest, WhereNoHostRunsAnEventIsParkedByTheNextOne) {
  site_.Append({Orders("a", kReject)});
  Configure("dead_letters = { order = \"halt\" }\n");
  Run();
  ASSERT_TRUE(WaitForState("halted")) << host_->Errors();
  const std::string place = host_->Log().Last("Call failed", "g", "position");
  End();
  EXPECT_EQ(Dlq({"park", "g", "--event", place, "--reason", "no use"}).exit, 0);
  EXPECT_EQ(Dlq({"park", "g", "--type", "t", "--reason", "no use"}).exit, 1);
  Run();
  EXPECT_EQ(Letters(1)[0].at("id"), place);
  End();
}

TEST_F(RunningDlqTest, AHostThatDiesLeavesNoCommandWaiting) {
  site_.Append({Orders("a", R"({"do":"hang"})"), Orders("b", kReject)});
  Configure("handler_timeout = \"10m\"\n");
  Run();
  ASSERT_TRUE(host_->WaitForLog("Projection started", "g"));
  auto waiting = site_.Start({"dlq", "retry", "g", "--all", "--config", "host.toml"});
  host_->Signal(SIGKILL);
  host_->Wait();
  EXPECT_NE(waiting->Wait(), 128 + SIGKILL);
  EXPECT_EQ(Dlq({"list", "g"}).exit, 0);
}

}  // namespace
}  // namespace catchup::e2e
