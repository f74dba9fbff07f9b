#include <gtest/gtest.h>

#include <catchup/event_line.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "host/base/time_text.h"
#include "host/store/letter_store.h"
#include "tests/e2e/harness.h"
#include "tests/store/letters.h"

// `catchup dlq`, as users run it while no host does.

namespace catchup::e2e {
namespace {

void ExpectHas(const std::string& text, const std::string& word) {
  EXPECT_NE(text.find(word), std::string::npos) << "wanted \"" << word << "\" in: " << text;
}

class DlqTest : public testing::Test {
 protected:
  DlqTest() {
    site_.Configure(JsonlGroup("g"));
    std::filesystem::create_directories(site_.group("g"));
  }

  void Store(std::vector<Letter> letters) {
    auto store = OpenLetters(site_.group("g"));
    ASSERT_NE(store, nullptr);
    const Status stored = store->Insert(0, letters);
    ASSERT_TRUE(stored.ok()) << stored.message();
  }

  // Three letters: a healing one, its follower, and an old dead one.
  void StoreThree() {
    Letter old = MakeLetter(3, "order-2");
    old.head.state = StoredState::kDead;
    old.head.letter_class = StoredClass::kDomain;
    old.head.due_ticks = 0;
    Letter fresh = MakeLetter(1);
    fresh.head.written_ticks = NowTicks();
    Store({fresh, MakeFollower(2), old});
  }

  Finished Dlq(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }

  std::vector<std::string> Exported(std::vector<std::string> filters) {
    filters.insert(filters.begin(), {"export", "g"});
    const Finished exported = Dlq(filters);
    EXPECT_EQ(exported.exit, 0) << exported.err;
    WriteFile(site_.file("exported.jsonl"), exported.out);
    return ReadLines(site_.file("exported.jsonl"));
  }

  Site site_;
};

TEST_F(DlqTest, AGroupWithoutALetterHasNone) {
  EXPECT_EQ(Dlq({"list", "g"}).out, "group g has no dead letters\n");
  EXPECT_EQ(Dlq({"list", "g", "--json"}).out, "[]\n");
  EXPECT_EQ(Dlq({"list", "g", "--dropped"}).out, "no letter of group g was dropped\n");
  EXPECT_EQ(Dlq({"list", "g", "--held"}).out, "no event type of group g is held\n");
  EXPECT_EQ(Dlq({"list", "g", "--held", "--json"}).out, "[]\n");
  const Finished exported = Dlq({"export", "g"});
  EXPECT_EQ(exported.exit, 0);
  EXPECT_EQ(exported.out, "");
  const Finished shown = Dlq({"show", "g", "10:10"});
  EXPECT_EQ(shown.exit, 1);
  EXPECT_EQ(shown.err,
            "catchup dlq show: group g has no letter 10:10: `catchup dlq list g` shows those it "
            "has\n");
  EXPECT_TRUE(std::filesystem::is_empty(site_.group("g")));
}

TEST_F(DlqTest, ListsLettersAsATable) {
  StoreThree();
  const std::string before = ReadFile(site_.group("g") / "letters.db");
  const Finished listed = Dlq({"list", "g"});
  EXPECT_EQ(listed.exit, 0) << listed.err;
  WriteFile(site_.file("table"), listed.out);
  const std::vector<std::string> lines = ReadLines(site_.file("table"));
  ASSERT_EQ(lines.size(), 4u) << listed.out;
  EXPECT_EQ(lines[0].rfind("ID ", 0), 0u);
  EXPECT_EQ(lines[1].rfind("10:10 ", 0), 0u);
  ExpectHas(lines[1], "  healing   unknown          4  ");
  ExpectHas(lines[1], "  order-1@1  order-placed  no such article");
  ExpectHas(lines[2], "  follower  -                0  ");
  ExpectHas(lines[3], "  dead      domain           4  ");
  EXPECT_EQ(ReadFile(site_.group("g") / "letters.db"), before);
}

TEST_F(DlqTest, ListsLettersAsJson) {
  StoreThree();
  const Finished listed = Dlq({"list", "g", "--json", "--state", "dead"});
  EXPECT_EQ(listed.exit, 0) << listed.err;
  EXPECT_EQ(
      listed.out,
      "[{\"id\":\"30:30\",\"group\":\"g\",\"stream\":\"order-2\",\"revision\":3,"
      "\"type\":\"order-placed\",\"eventId\":\"04000000-0000-0000-0000-000000000000\","
      "\"commit\":\"30\",\"prepare\":\"30\",\"state\":\"dead\",\"class\":\"domain\","
      "\"reason\":\"no such article\",\"attempts\":4,"
      "\"firstFailedAt\":\"2023-11-14T22:13:20.0000500Z\","
      "\"lastFailedAt\":\"2023-11-14T22:13:20.0000900Z\",\"nextTryAt\":null,"
      "\"plugin\":\"orders.so\",\"pluginVersion\":\"1.2.0\",\"pluginSha256\":\"" +
          [] {
            std::string digest;
            for (int i = 0; i < 32; ++i) digest += "ab";
            return digest;
          }() +
          "\"}]\n");
  const Finished all = Dlq({"list", "g", "--json"});
  ExpectHas(all.out, "\"nextTryAt\":\"2023-");
  ExpectHas(all.out, "\"state\":\"follower\",\"class\":null,");
}

TEST_F(DlqTest, FiltersSayWhichLettersAreMeant) {
  StoreThree();
  EXPECT_EQ(Exported({}).size(), 3u);
  EXPECT_EQ(Exported({"--state", "healing"}).size(), 1u);
  EXPECT_EQ(Exported({"--class", "domain"}).size(), 1u);
  EXPECT_EQ(Exported({"--stream", "order-1"}).size(), 2u);
  EXPECT_EQ(Exported({"--type", "order-placed"}).size(), 3u);
  EXPECT_EQ(Exported({"--type", "order-paid"}).size(), 0u);
  EXPECT_EQ(Exported({"--older", "1h"}).size(), 2u);
  EXPECT_EQ(Exported({"--newer", "1h"}).size(), 1u);
  EXPECT_EQ(Exported({"--limit", "2"}).size(), 2u);
  EXPECT_EQ(Dlq({"list", "g", "--type", "x"}).out,
            "none of the 3 dead letters of group g is meant\n");
}

TEST_F(DlqTest, ShowsALetterWholeWithEachCall) {
  Letter letter = MakeLetter(1);
  letter.cause.calls.push_back({17'000'000'000'000'900, StoredClass::kInfrastructure, "a\nb"});
  Store({letter});
  const Finished text = Dlq({"show", "g", "10:10"});
  EXPECT_EQ(text.exit, 0) << text.err;
  ExpectHas(text.out, "stream       order-1@1\n");
  ExpectHas(text.out, "reason       no such article\n");
  ExpectHas(text.out, "call         2023-11-14T22:13:20.0000500Z  unknown  no such article\n");
  ExpectHas(text.out, "call         2023-11-14T22:13:20.0000900Z  infrastructure  a\\nb\n");
  ExpectHas(text.out, ",\"data\":{\"n\":1},\"metadata\":{\"by\":\"me\"}}\n");
  const Finished json = Dlq({"show", "g", "10:10", "--json"});
  const JsonObject object = ParseJsonObject(json.out);
  EXPECT_EQ(object.at("id"), "10:10");
  EXPECT_EQ(object.at("traceId"), "0af7651916cd43dd8448eb211c80319c");
  ExpectHas(object.at("calls"), "\"class\":\"infrastructure\",\"text\":\"a\\nb\"");
  ExpectHas(object.at("event"), "\"data\":{\"n\":1}");
}

// The events that are exported, read back by the commands that take event files.
TEST_F(DlqTest, WhatIsExportedComesBackToTheByte) {
  std::vector<Letter> letters;
  const std::pair<std::string, bool> payloads[] = {{"{ \"n\" : 1.0e2, \"t\":\"\\u00e9\" }", true},
                                                   {"{\"a\":1}\n", true},
                                                   {std::string("\0\1\xff", 3), false},
                                                   {"", false},
                                                   {"", true},
                                                   {"not json", true},
                                                   {"[1, 2]", false},
                                                   {std::string(300'000, 'x'), false}};
  for (const auto& [payload, is_json] : payloads) {
    Letter letter = MakeLetter(letters.size() + 1, "s-" + std::to_string(letters.size()));
    letter.data = payload;
    letter.metadata = letters.size() % 2 == 0 ? "{\"k\":\"\xe2\x82\xac\"}" : "plain";
    letter.head.is_json = is_json;
    letters.push_back(letter);
  }
  Store(letters);
  ASSERT_EQ(Exported({}).size(), letters.size());

  const Finished appended = site_.Catchup({"append", "--to", "embedded:log", "exported.jsonl"});
  ASSERT_EQ(appended.exit, 0) << appended.err;
  std::filesystem::remove_all(site_.file("state"));
  ASSERT_EQ(site_.RunUntilCaughtUp().exit, 0);
  const Finished tried =
      site_.Catchup({"try", PLUGIN_DIRECTORY "/jsonl.so", "exported.jsonl", "--set",
                     "file=\"out.jsonl\"", "--work", site_.file("tried").string()});
  ASSERT_EQ(tried.exit, 0) << tried.err;

  for (const auto& file : {site_.data("g", "out.jsonl"), site_.file("tried") / "out.jsonl"}) {
    const std::vector<std::string> lines = ReadLines(file);
    ASSERT_EQ(lines.size(), letters.size()) << file;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      ParsedEventLine event;
      std::string error;
      ASSERT_TRUE(ParseEventLine(lines[i], &event, &error)) << error;
      EXPECT_EQ(event.stream, letters[i].head.stream);
      EXPECT_EQ(event.type, letters[i].head.type);
      EXPECT_EQ(event.id, letters[i].head.event_id.bytes);
      EXPECT_EQ(event.data, letters[i].data) << i;
      EXPECT_EQ(event.metadata, letters[i].metadata) << i;
      EXPECT_EQ(event.is_json, letters[i].head.is_json) << i;
    }
  }
}

TEST_F(DlqTest, WhatIsMissingOrWrongIsNamed) {
  StoreThree();
  const struct {
    std::vector<std::string> arguments;
    int exit;
    std::string text;
  } cases[] = {
      {{"list", "h"}, 2, "no such group: \"h\", wanted g\n"},
      {{"list", "../g"}, 2, "no such group: \"../g\", wanted g\n"},
      {{"show", "g", "11:11"}, 1, "group g has no letter 11:11: "},
      {{"show", "g", "10"}, 2, "letter 10: wanted COMMIT:PREPARE"},
      {{"show", "g", "x:y"}, 2, "letter x:y: wanted COMMIT:PREPARE"},
      {{"list", "g", "--state", "ill"}, 2, "--state ill: wanted healing, dead or follower\n"},
      {{"list", "g", "--class", "infrastructure"}, 2, "--class infrastructure: wanted domain, "},
      {{"list", "g", "--older", "1 day"}, 2, "--older 1 day: wanted "},
      {{"list", "g", "--newer", "-1h"}, 2, "--newer -1h: wanted "},
      {{"list", "g", "--limit", "0"}, 2, "wanted a number from 1"},
      {{"list", "g", "--stream", ""}, 2, "found an empty text"},
      {{"list"}, 2, "GROUP is required"},
      {{"drop", "g", "10:10"}, 2, "--reason is required"},
      {{"drop", "g", "10:10", "--reason", " "}, 2, "--reason is empty, wanted why\n"},
      {{"drop", "g", "10:10", "--reason", std::string(5'000, 'x')}, 2, "has 5000 bytes, wanted"},
      {{"drop", "g", "10:10", "--reason", "x"}, 1, "no host runs on state directory "},
      {{"retry", "g", "--all"}, 1, "no host runs on state directory "},
      {{"park", "g", "--type", "t", "--reason", "x"}, 1, "no host runs on state directory "},
      {{"unpark", "g", "--type", "t"}, 1, "no host runs on state directory "},
  };
  for (const auto& one : cases) {
    const Finished refused = Dlq(one.arguments);
    EXPECT_EQ(refused.exit, one.exit) << one.text << refused.err;
    EXPECT_EQ(refused.out, "");
    ExpectHas(refused.err, one.text);
  }
}

TEST_F(DlqTest, DamageIsNamedWithTheWayOut) {
  WriteFile(site_.group("g") / "letters.db", std::string(8192, 'x'));
  const Finished listed = Dlq({"list", "g"});
  EXPECT_EQ(listed.exit, 1);
  ExpectHas(listed.err, "state/groups/g/letters.db: ");
  ExpectHas(listed.err, "; restore the file from a backup, or stop the host and move ");
}

TEST_F(DlqTest, AFileInUseIsNotRead) {
  StoreThree();
  const auto holder = OpenLetters(site_.group("g"));
  const Finished listed = Dlq({"list", "g"});
  EXPECT_EQ(listed.exit, 1);
  EXPECT_EQ(listed.out, "");
  ExpectHas(listed.err, "another process has it open");
}

}  // namespace
}  // namespace catchup::e2e
