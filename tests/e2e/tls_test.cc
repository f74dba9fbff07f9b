#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"
#include "tests/e2e/scripted_node.h"
#include "tests/test_files.h"

// The real host at a server with TLS (protocol notes 5.1).

namespace catchup::e2e {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Strings = std::vector<std::string>;

class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    std::filesystem::create_directory(site_.file("tls"));
    const std::string command = CATCHUP_TEST_CA " '" + site_.file("tls").string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
  }

  // Shows the certificate `name` and wants one of the client.
  std::shared_ptr<grpc::ServerCredentials> Credentials(const std::string& name) const {
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = ReadFile(site_.file("tls/ca.pem"));
    options.pem_key_cert_pairs.push_back({ReadFile(site_.file("tls/" + name + ".key")),
                                          ReadFile(site_.file("tls/" + name + ".pem"))});
    return grpc::SslServerCredentials(options);
  }

  void Configure(const ScriptedNode& node, const std::string& options) {
    const std::string port = node.address().substr(node.address().rfind(':'));
    site_.Configure(JsonlGroup("copy"), "kurrentdb://localhost" + port + "?" + options +
                                            "&userCertFile=tls/client.pem"
                                            "&userKeyFile=tls/client.key");
  }

  Site site_;
};

TEST_F(TlsTest, ReadsFromAServerOfItsCa) {
  ScriptedNode node({100, 200}, Credentials("localhost"));
  Configure(node, "tlsCaFile=tls/ca.pem");
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 0) << checked.err;
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Written(site_, "copy"), (Strings{"s@0 x", "s@1 x"}));
}

TEST_F(TlsTest, WaitsForAServerThatIsNotTheOneMeantAndSaysWhy) {
  struct Wrong {
    std::string name;
    std::string why;
  };
  for (const Wrong& wrong : std::vector<Wrong>{{"elsewhere", "Hostname Verification Check failed"},
                                               {"expired", "certificate verify failed"},
                                               {"stranger", "certificate verify failed"}}) {
    ScriptedNode node({100}, Credentials(wrong.name));
    Configure(node, "tlsCaFile=tls/ca.pem");
    const auto host = site_.Start({"run", "host.toml"});
    EXPECT_TRUE(WaitUntil([&] {
      const HostLog log = host->Log();
      return log.Last("State changed", "copy", "state") == "waiting" &&
             log.Last("State changed", "copy", "reason").find(wrong.why) != std::string::npos;
    })) << wrong.name
        << host->Errors();
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(), 0) << host->Errors();
    EXPECT_EQ(Written(site_, "copy"), Strings{});
    EXPECT_EQ(host->Log().Last("Group ended", "copy", "dlqCount"), "0");
  }
}

TEST_F(TlsTest, TakesWhatReplacesItsFilesWhileItRuns) {
  const auto replace = [&](const std::string& name, const std::string& by) {
    std::filesystem::copy_file(site_.file("tls/" + by), site_.file("tls/new"));
    std::filesystem::rename(site_.file("tls/new"), site_.file("tls/" + name));
  };
  replace("trusted.pem", "other-ca.pem");
  ScriptedNode node({100}, Credentials("localhost"));
  Configure(node, "tlsCaFile=tls/trusted.pem");
  const auto host = site_.Start({"run", "host.toml"});
  EXPECT_TRUE(WaitUntil([&] {
    return host->Log().Last("State changed", "copy", "reason").find("certificate verify failed") !=
           std::string::npos;
  })) << host->Errors();
  replace("trusted.pem", "ca.pem");
  EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy") == Strings{"s@0 x"}; }))
      << host->Errors();
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << host->Errors();
}

TEST_F(TlsTest, WarnsAtEveryStartThatNothingIsChecked) {
  ScriptedNode node({100}, Credentials("elsewhere"));
  node.SetLastRecord(100);  // A second run finds the log as the first one left it.
  Configure(node, "tlsVerifyCert=false");
  for (int start = 0; start < 2; ++start) {
    const Finished run = site_.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
    EXPECT_THAT(run.err, HasSubstr("tlsVerifyCert=false: nobody checks"));
  }
  EXPECT_EQ(Written(site_, "copy"), Strings{"s@0 x"});
}

TEST_F(TlsTest, AFileThatIsNotThereKeepsEveryCommandFromStarting) {
  ScriptedNode node({100}, Credentials("localhost"));
  Configure(node, "tlsCaFile=tls/absent.pem");
  const auto fault = AllOf(HasSubstr("tlsCaFile: "),
                           HasSubstr("tls/absent.pem: cannot open it: No such file or directory"));
  const Finished checked = site_.Check();
  EXPECT_EQ(checked.exit, 78);
  EXPECT_THAT(checked.err, AllOf(HasSubstr("host.toml:2:7: source.uri: "), fault));
  const Finished run = site_.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 78);
  EXPECT_THAT(run.err, AllOf(HasSubstr("host.toml:2:7: source.uri: "), fault));
  WriteFile(site_.file("events.jsonl"), "");
  const Finished appended = site_.Catchup(
      {"append", "--to", "kurrentdb://localhost?tlsCaFile=tls/absent.pem", "events.jsonl"});
  EXPECT_EQ(appended.exit, 2);
  EXPECT_THAT(appended.err, AllOf(HasSubstr("--to: "), fault));
}

}  // namespace
}  // namespace catchup::e2e
