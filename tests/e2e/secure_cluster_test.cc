#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "tests/e2e/cluster_site.h"
#include "tests/source/cluster/users.h"
#include "tests/test_files.h"

// The real program at a cluster whose nodes have certificates and ask who calls: everything that
// goes to any of them, the questions for the others among it, is encrypted and shows a user, and
// each is known by the name that it advertises (protocol notes, 5.2).

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

class SecureClusterTest : public ClusterTest {
 protected:
  SecureClusterTest() {
    std::filesystem::create_directory(site_.file("tls"));
    const std::string command = CATCHUP_TEST_CA " '" + site_.file("tls").string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
    grpc::SslServerCredentialsOptions options;
    options.pem_key_cert_pairs.push_back(
        {ReadFile(site_.file("tls/named.key")), ReadFile(site_.file("tls/named.pem"))});
    cluster_ = std::make_unique<Cluster>(log_->address(), grpc::SslServerCredentials(options));
    for (int node = 0; node < Cluster::kNodes; ++node) {
      cluster_->Rename(node, "localhost");
    }
    cluster_->AskForUsers(
        AskForUsers({{"reader", {"s3cret", true, false}}, {"writer", {"s3cret", false, true}}}));
    PutSecret("reader:s3cret");
    site_.UseTestProgram(20);
  }

  void PutSecret(const std::string& line) {
    WriteFile(site_.file("secret.new"), line);
    ASSERT_EQ(::chmod(site_.file("secret.new").c_str(), 0400), 0);
    std::filesystem::rename(site_.file("secret.new"), site_.file("secret"));
  }
  // At these nodes, as the user of the file.
  std::unique_ptr<Process> RunAt(const std::vector<int>& nodes) {
    return Run(cluster_->uri(nodes, kCa) + "\"\ncredentials_file = \"./secret");
  }

  static constexpr char kCa[] = "&tlsCaFile=tls/ca.pem";
};

TEST_F(SecureClusterTest, GoesOnAtTheNewLeaderWhenTheOldOneIsKilled) {
  const auto host = RunAt({1, 2});
  ExpectOneMore(host.get());
  EXPECT_EQ(host->Log().Last("Node found", "", "source"), cluster_->address(0));
  cluster_->Kill(0);
  cluster_->Elect(2);
  ExpectOneMore(host.get());
  EXPECT_EQ(host->Log().Last("Node found", "", "source"), cluster_->address(2));
  ExpectStops(host.get());
}

TEST_F(SecureClusterTest, ANodeThatAdvertisesANameThatItsCertificateLacksIsNotConnectedTo) {
  cluster_->Rename(0, "127.0.0.1");
  const auto host = RunAt({1, 2});
  EXPECT_TRUE(AwaitState(host.get(), "waiting", "Hostname Verification Check failed"))
      << host->Errors();
  EXPECT_EQ(host->Log().Last("Node found", "", "source"), cluster_->address(0));
  cluster_->Rename(0, "localhost");
  ExpectOneMore(host.get());
  ExpectStops(host.get());
}

TEST_F(SecureClusterTest, WaitsForTheRightCredentialsAndGoesOnByItself) {
  PutSecret("reader:s3cret-of-old");
  const auto host = RunAt({0, 1, 2});
  EXPECT_TRUE(AwaitState(host.get(), "waiting", "credentials: refused (")) << host->Errors();
  PutSecret("reader:s3cret");
  ExpectOneMore(host.get());
  ExpectStops(host.get());
}

TEST_F(SecureClusterTest, AnAppendGoesToTheLeaderAsItsUser) {
  PutSecret("writer:s3cret");
  WriteFile(site_.file("events.jsonl"), EventLine("t", "x") + "\n");
  const Finished written = site_.Catchup({"append", "--to", cluster_->uri({1, 2}, kCa),
                                          "--credentials-file", "./secret", "events.jsonl"});
  EXPECT_EQ(written.exit, 0) << written.err;
  EXPECT_EQ(cluster_->calls(0, "/event_store.client.streams.Streams/BatchAppend"), 1);
}

}  // namespace
}  // namespace catchup::e2e
