// Who is in a cluster, as its nodes say (protocol notes, 2.7 and 5.2).
#include "host/source/client/gossip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "host/base/text.h"
#include "host/source/embedded/log_server.h"
#include "host/source/proto/gossip.pb.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using namespace std::chrono_literals;
using event_store::client::gossip::ClusterInfo;
using event_store::client::gossip::MemberInfo;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string Bytes(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(HexValue(hex[i]) << 4 | HexValue(hex[i + 1])));
  }
  return bytes;
}

// "ADDRESS STATE", and "dead" behind it where it is.
std::vector<std::string> Words(const std::vector<ClusterMember>& members) {
  std::vector<std::string> words;
  for (const ClusterMember& member : members) {
    words.push_back(member.address + " " + member.state_name + (member.alive ? "" : " dead"));
  }
  return words;
}

MemberInfo* Add(ClusterInfo* info, const std::string& host, std::uint32_t port,
                MemberInfo::VNodeState state = MemberInfo::Leader) {
  MemberInfo* const member = info->add_members();
  member->set_state(state);
  member->set_is_alive(true);
  member->mutable_http_end_point()->set_address(host);
  member->mutable_http_end_point()->set_port(port);
  return member;
}

std::vector<std::string> Parsed(const ClusterInfo& info) {
  const auto members = ParseGossip(info.SerializeAsString());
  EXPECT_TRUE(members.ok());
  return members.ok() ? Words(*members) : std::vector<std::string>();
}

// Recorded at a real cluster of three, before and after its leader was killed.
TEST(ParseGossipTest, ReadsWhatARealClusterSays) {
  const auto before = ParseGossip(
      Bytes("0a360a170a1508fe8b9589b6b6d1d82e10f2b2e6edc082fbb58a01109bafcda1d5bcf21f180620012a0e0a"
            "093132372e302e302e3110cb100a360a170a1508e990e5f59ef09a9f4010b4cbabc4d9c2ccb58001109692"
            "86a0d5bcf21f180620012a0e0a093132372e302e302e3110ca100a370a180a1608ae9e95d7b9b1f3e8aa01"
            "10baa29abe9491b3978c0110aeeccda1d5bcf21f180820012a0e0a093132372e302e302e3110c910"));
  ASSERT_TRUE(before.ok());
  EXPECT_THAT(Words(*before), ElementsAre("127.0.0.1:2123 Follower", "127.0.0.1:2122 Follower",
                                          "127.0.0.1:2121 Leader"));
  EXPECT_EQ((*before)[2].state, ClusterMember::State::kLeader);
  const auto after = ParseGossip(
      Bytes("0a360a170a1508fe8b9589b6b6d1d82e10f2b2e6edc082fbb58a0110b8c2d6bcd5bcf21f180620012a0e0a"
            "093132372e302e302e3110cb100a360a170a1508e990e5f59ef09a9f4010b4cbabc4d9c2ccb5800110e184"
            "d7bcd5bcf21f180820012a0e0a093132372e302e302e3110ca100a350a180a1608ae9e95d7b9b1f3e8aa01"
            "10baa29abe9491b3978c0110b9f9c3b4d5bcf21f18022a0e0a093132372e302e302e3110c910"));
  ASSERT_TRUE(after.ok());
  EXPECT_THAT(Words(*after), ElementsAre("127.0.0.1:2123 Follower", "127.0.0.1:2122 Leader",
                                         "127.0.0.1:2121 Unknown dead"));
  EXPECT_EQ((*after)[2].state, ClusterMember::State::kOther);
}

TEST(ParseGossipTest, TakesTheAddressThatANodeAdvertises) {
  ClusterInfo info;
  Add(&info, "db-1.example", 2113);
  Add(&info, "fd00::1", 2114);
  Add(&info, "[fd00::2]", 2115);
  EXPECT_THAT(Parsed(info), ElementsAre("db-1.example:2113 Leader", "[fd00::1]:2114 Leader",
                                        "[fd00::2]:2115 Leader"));
}

TEST(ParseGossipTest, LeavesOutMembersThatNoClientCouldConnectTo) {
  ClusterInfo info;
  info.add_members();
  Add(&info, "no port", 2113);
  Add(&info, "a", 0);
  Add(&info, "a", 65536);
  Add(&info, "", 2113);
  EXPECT_THAT(Parsed(info), IsEmpty());
}

TEST(ParseGossipTest, ServesFromNoStateThatItDoesNotKnow) {
  ClusterInfo info;
  Add(&info, "a", 1, static_cast<MemberInfo::VNodeState>(77));
  const auto members = ParseGossip(info.SerializeAsString());
  ASSERT_TRUE(members.ok());
  EXPECT_EQ(members->front().state, ClusterMember::State::kOther);
  EXPECT_EQ(members->front().state_name, "state 77");
}

TEST(ParseGossipTest, TakesNoMoreMembersThanAClusterHas) {
  ClusterInfo info;
  for (std::uint32_t port = 1; port <= 100; ++port) {
    Add(&info, "a", port);
  }
  EXPECT_EQ(Parsed(info).size(), kMaxClusterMembers);
}

TEST(ParseGossipTest, RefusesWhatIsNoAnswer) {
  EXPECT_EQ(ParseGossip("\xff\xff\xff").status().code(), Status::Code::kInvalid);
}

class GossipQuestionTest : public testing::Test {
 protected:
  using Members = Answer<std::vector<ClusterMember>>;

  std::unique_ptr<GossipQuestion> Ask(const ConnectionOptions& options) {
    return std::make_unique<GossipQuestion>(
        options, threads_, [this](const Members& members) { told_.set_value(members); });
  }
  Members Await() { return told_.get_future().get(); }

  const std::shared_ptr<SourceThreads> threads_ = *SourceThreads::Start(1);
  std::promise<Members> told_;
};

TEST_F(GossipQuestionTest, ASingleNodeAnswersAsTheLeaderOfItself) {
  const TemporaryFolder folder;
  embedded::ServerOptions options;
  options.directory = folder.path();
  const auto log = *embedded::EmbeddedServer::Start(options);
  const auto question = Ask(To(log->address()));
  const Members members = Await();
  ASSERT_TRUE(members.ok()) << members.end().text;
  EXPECT_THAT(Words(*members), ElementsAre(log->address() + " Leader"));
}

TEST_F(GossipQuestionTest, WaitsNoLongerForASilentNodeThanItsDeadline) {
  FakeServer silent([](FakeCall* call) { call->AwaitCancel(); });
  ConnectionOptions options = To(silent.address());
  options.deadline = 100ms;
  const auto question = Ask(options);
  const Members members = Await();
  ASSERT_FALSE(members.ok());
  EXPECT_THAT(members.end().text, HasSubstr(silent.address() + ": DEADLINE_EXCEEDED"));
}

TEST_F(GossipQuestionTest, IsCutShortWithItsAnswerWhenNobodyWantsIt) {
  FakeServer silent([](FakeCall* call) { call->AwaitCancel(); });
  auto question = Ask(To(silent.address()));
  question.reset();
  auto told = told_.get_future();
  ASSERT_EQ(told.wait_for(0s), std::future_status::ready);
  EXPECT_THAT(told.get().end().text, HasSubstr("CANCELLED"));
}

TEST_F(GossipQuestionTest, SaysWhereNobodyListens) {
  const auto question = Ask(To("127.0.0.1:1"));
  const Members members = Await();
  ASSERT_FALSE(members.ok());
  EXPECT_EQ(members.end().kind, EndClass::kDropped);
  EXPECT_FALSE(members.end().answered);
}

TEST_F(GossipQuestionTest, AnAnswerThatIsNoneIsAFailure) {
  FakeServer confused([](FakeCall* call) {
    call->Read();
    call->Write("\xff\xff\xff");
  });
  const auto question = Ask(To(confused.address()));
  EXPECT_FALSE(Await().ok());
}

TEST_F(GossipQuestionTest, ShowsTheCredentialsAndAsksNobodyWithoutThoseThatAreWanted) {
  std::promise<std::string> shown;
  FakeServer node([&](FakeCall* call) {
    shown.set_value(call->Header("authorization"));
    call->Read();
    call->Write(ClusterInfo().SerializeAsString());
  });
  ConnectionOptions options = To(node.address());
  options.authorization = [] { return Result<std::string>("Basic YTpi"); };
  const auto question = Ask(options);
  EXPECT_TRUE(Await().ok());
  EXPECT_EQ(shown.get_future().get(), "Basic YTpi");

  told_ = {};
  options.authorization = [] { return Result<std::string>(Status::Denied("no such file")); };
  const auto refused = Ask(options);
  const Members members = Await();
  EXPECT_EQ(members.end().kind, EndClass::kCredentials);
  EXPECT_THAT(members.end().text, HasSubstr("no such file"));
}

}  // namespace
}  // namespace catchup
