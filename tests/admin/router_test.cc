#include "host/admin/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

using testing::HasSubstr;

// Two routes that say what they were given.
Router MakeRouter() {
  Router router;
  router.Add("GET", "/api/groups", [](const Router::Call&, const HttpReply& reply) {
    reply({200, "all", {}});
  });
  router.Add("POST", "/api/groups/{group}/stop", [](const Router::Call& call, const auto& reply) {
    std::string said = "stop " + call.path.at("group");
    for (const auto& [name, value] : call.query) {
      said += " " + name + "=" + value;
    }
    reply({200, said + " " + call.request.body, {}});
  });
  return router;
}

HttpResponse Ask(const std::string& method, const std::string& target,
                 const std::string& body = "") {
  HttpResponse got;
  int answers = 0;
  MakeRouter().Route({method, target, body, {}}, [&](HttpResponse response) {
    got = std::move(response);
    ++answers;
  });
  EXPECT_EQ(answers, 1);
  return got;
}

TEST(RouterTest, HandsNamesAndParametersDecodedToTheHandler) {
  EXPECT_EQ(Ask("GET", "/api/groups").body, "all");
  EXPECT_EQ(Ask("POST", "/api/groups/a%2Fb%20c/stop?x=%3D1&y&x=2", "body").body,
            "stop a/b c x=2 y= body");
}

TEST(RouterTest, APathThatIsNoneNamesThoseThatAre) {
  for (const char* target : {"/", "/api", "/api/groups/", "/api/groups/a/stop/",
                             "/api/groups//stop", "/api/groups/a/stop/b", "/API/groups", "//"}) {
    const HttpResponse response = Ask("POST", target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_THAT(response.body, HasSubstr("wanted one of /api/groups, /api/groups/{group}/stop"));
  }
}

TEST(RouterTest, AWrongMethodNamesThoseOfThePath) {
  const HttpResponse response = Ask("GET", "/api/groups/a/stop");
  EXPECT_EQ(response.status, 405);
  EXPECT_EQ(response.allow, "POST");
  EXPECT_EQ(response.body, R"({"error":"method \"GET\" of \"/api/groups/a/stop\", wanted POST"})");
}

TEST(RouterTest, ATargetThatIsNoPathIsRefused) {
  for (const char* target :
       {"", "api", "*", "http://x/api/groups", "/api/groups?%", "/api?x=%g0"}) {
    EXPECT_EQ(Ask("GET", target).status, 400) << target;
  }
  // In a part it fits no name.
  EXPECT_EQ(Ask("POST", "/api/groups/%/stop").status, 404);
}

TEST(RouterTest, AnswersAreJsonWhateverBytesCome) {
  std::string target = "/\"\\\x01\xff";
  target.push_back('\0');
  EXPECT_EQ(Ask("GET", target).body.find('\xff'), std::string::npos);
  EXPECT_EQ(Ask("GET", "/" + std::string(100'000, 'x')).body.size() < 1'000, true);
}

TEST(PercentTest, IsReadBackAsItWas) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    bytes.push_back(static_cast<char>(i));
  }
  std::string decoded;
  ASSERT_TRUE(DecodePercent(EncodePercent(bytes), &decoded));
  EXPECT_EQ(decoded, bytes);
  EXPECT_EQ(EncodePercent("orders-2.x_y~z"), "orders-2.x_y~z");
  for (const char* bad : {"%", "%1", "%zz", "a%2"}) {
    EXPECT_FALSE(DecodePercent(bad, &decoded)) << bad;
  }
}

}  // namespace
}  // namespace catchup
