#include "host/admin/letter_api.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace catchup {
namespace {

// A host that notes what it is asked for; its groups have no letters.
class NotingHost final : public HostControl {
 public:
  void StopGroup(const std::string&, const std::string&, ControlReply) override {}
  void StartGroup(const std::string&, const StartOrder&, const std::string&,
                  ControlReply) override {}
  void ResetGroup(const std::string&, const ResetTarget&, const std::string&,
                  ControlReply) override {}
  void ReadLetters(const std::string& group, LetterRead read, ControlReply reply) override {
    if (group == "none") {
      answer.kind = ControlAnswer::Kind::kNoSuchGroup;
      reply(answer);
      return;
    }
    LetterReader empty(nullptr, "");
    read(&empty);
  }
  void OrderLetter(const std::string& group, const LetterCommand& command, const std::string&,
                   ControlReply reply) override {
    asked.push_back(std::string(LetterCommandName(command.kind)) + " " + group + " " +
                    (command.type.empty() ? FormatPosition(command.position) : command.type) + " " +
                    command.reason + " " + std::to_string(command.after));
    reply(answer);
  }

  std::vector<std::string> asked;
  ControlAnswer answer;
};

class LetterApiTest : public ::testing::Test {
 protected:
  LetterApiTest() { AddLetterRoutes(&host_, &router_); }

  HttpResponse Ask(const std::string& method, const std::string& target,
                   const std::string& body = "") {
    HttpResponse got;
    router_.Route({method, "/api/groups/" + target, body, {}},
                  [&](HttpResponse response) { got = std::move(response); });
    return got;
  }

  NotingHost host_;
  Router router_;
};

TEST_F(LetterApiTest, HandsEachDecisionOn) {
  EXPECT_EQ(Ask("POST", "g/letters/1:1/retry").status, 200);
  EXPECT_EQ(Ask("POST", "g/letters/1:1/retry", R"({"after":7})").status, 200);
  EXPECT_EQ(Ask("POST", "g/letters/1:1/drop", R"({"reason":"why"})").status, 200);
  EXPECT_EQ(Ask("POST", "g/park", R"({"event":"2:2","reason":"why"})").status, 200);
  EXPECT_EQ(Ask("POST", "g/park", R"({"type":"t","reason":"why"})").status, 200);
  EXPECT_EQ(Ask("POST", "g/unpark", R"({"type":"t"})").status, 200);
  EXPECT_EQ(host_.asked, (std::vector<std::string>{"dlq retry g 1:1  0", "dlq retry g 1:1  7",
                                                   "dlq drop g 1:1 why 0", "dlq park g 2:2 why 0",
                                                   "dlq park g t why 0", "dlq unpark g t  0"}));
}

TEST_F(LetterApiTest, WhatIsNotUnderstoodIsNotActedOn) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"letters/1/retry", ""},
      {"letters/x:y/retry", ""},
      {"letters/1:1/retry", R"({"after":-1})"},
      {"letters/1:1/retry", R"({"now":1})"},
      {"letters/1:1/drop", ""},
      {"letters/1:1/drop", R"({"reason":" "})"},
      {"letters/1:1/drop", R"({"reason":7})"},
      {"letters/1:1/drop", "{\"reason\":\"" + std::string(kMaxOperatorReason + 1, 'x') + "\"}"},
      {"park", R"({"reason":"why"})"},
      {"park", R"({"event":"1:1","type":"t","reason":"why"})"},
      {"park", R"({"event":"1","reason":"why"})"},
      {"park", R"({"type":"t"})"},
      {"unpark", "{}"},
  };
  for (const auto& [path, body] : cases) {
    const HttpResponse response = Ask("POST", "g/" + path, body);
    EXPECT_EQ(response.status, 400) << path << " " << body.substr(0, 60);
    EXPECT_NE(response.body.find("wanted"), std::string::npos) << response.body;
  }
  EXPECT_TRUE(host_.asked.empty());
  for (const char* query : {"state=ill", "class=infrastructure", "older=1", "after=5", "limit=0",
                            "view=all", "color=red"}) {
    const HttpResponse response = Ask("GET", std::string("g/letters?") + query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_NE(response.body.find("wanted"), std::string::npos) << response.body;
  }
}

TEST_F(LetterApiTest, ReadsPagesAndSingleLetters) {
  const HttpResponse page = Ask("GET", "g/letters?state=dead&limit=3&view=details&older=1h");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, R"({"group":"g","letters":[],"next":null,"count":0})");
  EXPECT_EQ(Ask("GET", "g/dropped").body, R"({"group":"g","dropped":[]})");
  EXPECT_EQ(Ask("GET", "g/held").body, R"({"group":"g","held":[]})");
  EXPECT_EQ(Ask("GET", "none/letters").status, 404);
  const HttpResponse missing = Ask("GET", "g/letters/1:1");
  EXPECT_EQ(missing.status, 409);
  EXPECT_NE(missing.body.find("group g has no letter 1:1"), std::string::npos);
}

TEST_F(LetterApiTest, ARetryIsAnsweredWithWhatCameOfIt) {
  LetterOutcome& outcome = host_.answer.letter.emplace();
  outcome.position = {1, 1};
  outcome.number = 12;
  EXPECT_NE(Ask("POST", "g/letters/1:1/retry")
                .body.find(R"("letter":{"after":12,"id":"1:1","result":"waiting"})"),
            std::string::npos);
  outcome.kind = LetterOutcome::Kind::kFailed;
  outcome.state = StoredState::kDead;
  outcome.failed = StoredClass::kDomain;
  outcome.text = "no";
  EXPECT_NE(Ask("POST", "g/letters/1:1/retry")
                .body.find(R"({"class":"domain","id":"1:1","reason":"no","result":"failed",)"
                           R"("state":"dead"})"),
            std::string::npos);
}

}  // namespace
}  // namespace catchup
