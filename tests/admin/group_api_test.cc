#include "host/admin/group_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace catchup {
namespace {

using testing::HasSubstr;

// A host that notes what it is asked for and answers what the test says.
class NotingHost final : public HostControl {
 public:
  void StopGroup(const std::string& group, const std::string& by, ControlReply reply) override {
    asked.push_back("stop " + group + " by " + by);
    reply(answer);
  }
  void StartGroup(const std::string& group, const StartOrder& order, const std::string&,
                  ControlReply reply) override {
    asked.push_back("start " + group + (order.accept_filter ? " accept-filter" : "") +
                    (order.take_over ? " take-over" : ""));
    reply(answer);
  }
  void ResetGroup(const std::string& group, const ResetTarget& target, const std::string&,
                  ControlReply reply) override {
    asked.push_back("reset " + group + " to " +
                    (target.kind == ResetTarget::Kind::kPosition ? FormatPosition(target.position)
                     : target.kind == ResetTarget::Kind::kBeginning ? "beginning"
                                                                    : "last-good"));
    reply(answer);
  }
  void ReadLetters(const std::string&, LetterRead, ControlReply reply) override { reply(answer); }
  void OrderLetter(const std::string&, const LetterCommand&, const std::string&,
                   ControlReply reply) override {
    reply(answer);
  }

  std::vector<std::string> asked;
  ControlAnswer answer;
};

class GroupApiTest : public ::testing::Test {
 protected:
  GroupApiTest() { AddGroupRoutes(&host_, &router_); }

  HttpResponse Ask(const std::string& target, const std::string& body = "") {
    HttpResponse got;
    HttpRequest request{"POST", target, body, {}};
    request.peer.pid = 7;
    request.peer.user = 1000;
    router_.Route(request, [&](HttpResponse response) { got = std::move(response); });
    return got;
  }

  NotingHost host_;
  Router router_;
};

TEST_F(GroupApiTest, HandsEachCommandOn) {
  EXPECT_EQ(Ask("/api/groups/a/stop").status, 200);
  EXPECT_EQ(Ask("/api/groups/a/start", " {} ").status, 200);
  EXPECT_EQ(Ask("/api/groups/b/start", R"({"takeOver":true,"acceptFilter":true})").status, 200);
  EXPECT_EQ(Ask("/api/groups/b/reset", R"({"to":"beginning"})").status, 200);
  EXPECT_EQ(Ask("/api/groups/b/reset", R"({"to":"12:7"})").status, 200);
  EXPECT_EQ(Ask("/api/groups/b/reset", R"({"to":"last-good"})").status, 200);
  EXPECT_EQ(host_.asked,
            (std::vector<std::string>{"stop a by user 1000, pid 7", "start a",
                                      "start b accept-filter take-over", "reset b to beginning",
                                      "reset b to 12:7", "reset b to last-good"}));
}

TEST_F(GroupApiTest, AnswersWithTheGroupAsItIsThen) {
  host_.answer.group = "a";
  host_.answer.state = GroupState::kWaiting;
  host_.answer.reason = "bytes of \xff others";
  host_.answer.text = "more to say";
  EXPECT_EQ(Ask("/api/groups/a/start").body,
            "{\"group\":\"a\",\"note\":\"more to say\",\"reason\":\"bytes of \xef\xbf\xbd "
            "others\",\"state\":\"waiting\"}");
}

TEST_F(GroupApiTest, EachKindOfRefusalHasItsStatus) {
  using Kind = ControlAnswer::Kind;
  for (const auto& [kind, status] :
       {std::pair(Kind::kNoSuchGroup, 404), std::pair(Kind::kRefused, 409),
        std::pair(Kind::kFailed, 503), std::pair(Kind::kEnding, 503),
        std::pair(Kind::kTimedOut, 504)}) {
    host_.answer.kind = kind;
    host_.answer.text = "why";
    const HttpResponse response = Ask("/api/groups/a/stop");
    EXPECT_EQ(response.status, status);
    EXPECT_THAT(response.body, HasSubstr("\"error\":\"why\""));
  }
  host_.answer.kind = Kind::kRefused;
  host_.answer.expected = true;
  EXPECT_THAT(Ask("/api/groups/a/start").body, HasSubstr("\"expected\":true"));
}

TEST_F(GroupApiTest, ABodyThatIsNotUnderstoodIsNotActedOn) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"stop", "{\"now\":true}"},
      {"stop", "[]"},
      {"stop", "{"},
      {"start", "{\"acceptFilter\":1}"},
      {"start", "{\"takeover\":true}"},
      {"start", std::string(50'000, '[')},
      {"start", "\xff"},
      {"reset", ""},
      {"reset", "{\"to\":5}"},
      {"reset", "{\"to\":\"end\"}"},
      {"reset", "{\"to\":\"5:6\"}"},
      {"reset", "{\"to\":\"5:5\",\"and\":\"more\"}"},
  };
  for (const auto& [command, body] : cases) {
    const HttpResponse response = Ask("/api/groups/a/" + command, body);
    EXPECT_EQ(response.status, 400) << command << " " << body.substr(0, 60);
    EXPECT_THAT(response.body, HasSubstr("wanted"));
  }
  EXPECT_TRUE(host_.asked.empty()) << host_.asked.front();
}

}  // namespace
}  // namespace catchup
