// A leader that the network has left to itself, in its own words (protocol notes, 3.13 [M]): it
// calls itself Unknown in its own gossip, refuses appends whoever they are meant for, serves reads
// of what it has, and leaves what is open at it open and silent.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/gossip.pb.h"
#include "tests/source/cluster/cluster.h"
#include "tests/source/embedded/log_client.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using event_store::client::gossip::ClusterInfo;
using event_store::client::gossip::MemberInfo;
using test::LogClient;
namespace wire = test::wire;

class IsolatedLeaderTest : public testing::Test {
 protected:
  IsolatedLeaderTest() {
    embedded::ServerOptions options;
    options.directory = folder_.path();
    log_ = *embedded::EmbeddedServer::Start(options);
    cluster_ = std::make_unique<Cluster>(log_->address());
    leader_ = std::make_unique<LogClient>(cluster_->address(0));
    leader_->MustAppend("orders", {{}});
  }

  const TemporaryFolder folder_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<LogClient> leader_;
};

TEST_F(IsolatedLeaderTest, RefusesAppends) {
  cluster_->Isolate(0);

  wire::AppendResp reply;
  const grpc::Status status = leader_->Append("orders", {{}}, &reply);

  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "Server Is Not Ready");
}

TEST_F(IsolatedLeaderTest, CallsItselfUnknownAndTheOthersDead) {
  cluster_->Isolate(0);

  test::RawCall call(leader_->channel(), "/event_store.client.gossip.Gossip/Read");
  ASSERT_TRUE(call.Send(""));
  call.HalfClose();
  ClusterInfo info;
  ASSERT_TRUE(info.ParseFromString(call.Receive().value_or("none")));

  ASSERT_EQ(info.members_size(), Cluster::kNodes);
  for (int node = 0; node < Cluster::kNodes; ++node) {
    EXPECT_EQ(info.members(node).state(), MemberInfo::Unknown) << node;
    EXPECT_EQ(info.members(node).is_alive(), node == 0) << node;
  }
}

TEST_F(IsolatedLeaderTest, ServesReadsThatDoNotRequireTheLeader) {
  cluster_->Isolate(0);

  std::vector<wire::ReadResp> frames;
  EXPECT_TRUE(leader_->Read(LogClient::ReadAll(), &frames).ok());
  EXPECT_EQ(frames.size(), 1u);
}

}  // namespace
}  // namespace catchup
