// The client at servers with TLS (protocol notes 5.1), each with certificates of a CA that the test
// has made.
#include <gmock/gmock.h>
#include <grpcpp/security/server_credentials.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "host/source/client/kurrent_source.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

// What every test has: two CAs and what they have signed, as tests/tls/ca.sh says.
class TlsTest : public testing::Test {
 protected:
  TlsTest() {
    const std::string command = CATCHUP_TEST_CA " '" + folder_.path().string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
  }

  std::string File(const std::string& name) const { return folder_ / name; }

  // As an operator's tool would put a new file in the place of an old one.
  void Replace(const std::string& name, const std::string& by) const {
    std::filesystem::copy_file(File(by), File(name + ".new"));
    std::filesystem::rename(File(name + ".new"), File(name));
  }

  // A server that shows the certificate `name`, and notes whose the client's was.
  std::unique_ptr<FakeServer> Serve(const std::string& name, bool wants_client = false) {
    grpc::SslServerCredentialsOptions options(
        wants_client ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                     : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
    options.pem_root_certs = ReadFile(File("ca.pem"));
    options.pem_key_cert_pairs.push_back(
        {ReadFile(File(name + ".key")), ReadFile(File(name + ".pem"))});
    return std::make_unique<FakeServer>(
        [this](FakeCall* call) {
          {
            const std::lock_guard lock(mutex_);
            client_ = call->PeerIdentity();
          }
          call->Finish(grpc::Status::OK);
        },
        grpc::SslServerCredentials(options));
  }
  // Of the last call.
  std::string client() {
    const std::lock_guard lock(mutex_);
    return client_;
  }

  // At "127.0.0.1:PORT", called by `host`, believing ca.pem.
  ConnectionOptions At(const std::string& address, const std::string& host = "localhost") const {
    ConnectionOptions options = To(host + address.substr(address.rfind(':')));
    options.tls = TlsOptions{true, File("ca.pem"), {}, {}};
    return options;
  }

  static Status Ask(const ConnectionOptions& options) {
    const auto source = *OpenKurrentSource(options);
    return ReadHeadAndWait(source.get()).status();
  }

  const TemporaryFolder folder_;
  std::mutex mutex_;
  std::string client_;
};

TEST_F(TlsTest, BelievesAServerOfTheGivenCaByNameAndByAddress) {
  const auto server = Serve("localhost");
  for (const std::string host : {"localhost", "127.0.0.1"}) {
    const Status asked = Ask(At(server->address(), host));
    EXPECT_TRUE(asked.ok()) << asked.message();
  }
}

TEST_F(TlsTest, RefusesACertificateThatIsAnotherHostsExpiredOrOfAnotherCa) {
  for (const std::string name : {"elsewhere", "expired", "stranger"}) {
    const auto server = Serve(name);
    const Status asked = Ask(At(server->address()));
    EXPECT_EQ(asked.code(), Status::Code::kUnavailable) << name;
    EXPECT_THAT(asked.message(), AnyOf(HasSubstr("certificate verify failed"),
                                       HasSubstr("Hostname Verification Check failed")))
        << name;
  }
}

TEST_F(TlsTest, BelievesNoCaOfATestByTheSystemsCas) {
  const auto server = Serve("localhost");
  ConnectionOptions options = At(server->address());
  options.tls->ca_file.clear();
  EXPECT_EQ(Ask(options).code(), Status::Code::kUnavailable);
}

TEST_F(TlsTest, BelievesAnyServerWhereNothingIsChecked) {
  for (const std::string name : {"elsewhere", "expired", "stranger"}) {
    const auto server = Serve(name);
    for (const bool has_ca : {true, false}) {
      ConnectionOptions options = At(server->address());
      options.tls->verify_server = false;
      if (!has_ca) {
        options.tls->ca_file.clear();
      }
      const Status asked = Ask(options);
      EXPECT_TRUE(asked.ok()) << name << ": " << asked.message();
    }
  }
}

TEST_F(TlsTest, ShowsItsOwnCertificate) {
  const auto server = Serve("localhost", true);
  ConnectionOptions options = At(server->address());
  EXPECT_FALSE(Ask(options).ok());
  options.tls->certificate_file = File("client.pem");
  options.tls->key_file = File("client.key");
  const Status asked = Ask(options);
  EXPECT_TRUE(asked.ok()) << asked.message();
  EXPECT_EQ(client(), "client.example");
}

TEST_F(TlsTest, SpeaksNoTlsWithAServerInTheClearAndNoneInTheClearWithTls) {
  FakeServer clear([](FakeCall* call) { call->Finish(grpc::Status::OK); });
  const Status tls_to_clear = Ask(At(clear.address()));
  EXPECT_EQ(tls_to_clear.code(), Status::Code::kUnavailable);
  EXPECT_THAT(tls_to_clear.message(), HasSubstr("wanted tls=false"));
  const auto server = Serve("localhost");
  const Status clear_to_tls = Ask(To(server->address()));
  EXPECT_EQ(clear_to_tls.code(), Status::Code::kUnavailable);
}

TEST_F(TlsTest, FilesThatChangeCountFromTheNextConnectionOn) {
  const auto server = Serve("localhost", true);
  FaultProxy network(server->address());
  ConnectionOptions options = At(network.address());
  options.tls->certificate_file = File("mine.pem");
  options.tls->key_file = File("mine.key");
  options.tls->ca_file = File("mine-ca.pem");
  Replace("mine.pem", "client.pem");
  Replace("mine.key", "client.key");
  Replace("mine-ca.pem", "ca.pem");
  const auto source = *OpenKurrentSource(options);
  // Over a new connection for each call that came through, until `reached` holds.
  const auto ask_until = [&](const std::function<bool(const Status&)>& reached) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (std::chrono::steady_clock::now() < limit) {
      const Status asked = ReadHeadAndWait(source.get()).status();
      if (reached(asked)) {
        return true;
      }
      if (asked.ok()) {
        network.Reset();
      }
    }
    return false;
  };
  ASSERT_TRUE(ask_until([](const Status& asked) { return asked.ok(); }));
  EXPECT_EQ(client(), "client.example");

  Replace("mine.pem", "client2.pem");
  Replace("mine.key", "client2.key");
  EXPECT_TRUE(ask_until([&](const Status&) { return client() == "client2.example"; }));

  Replace("mine-ca.pem", "other-ca.pem");
  EXPECT_TRUE(ask_until([&](const Status& asked) {
    return !asked.ok() && asked.message().find("certificate") != std::string::npos;
  }));
  Replace("mine-ca.pem", "ca.pem");
  EXPECT_TRUE(ask_until([](const Status& asked) { return asked.ok(); }));
}

TEST_F(TlsTest, AFileThatIsNotThereYetIsWaitedFor) {
  const auto server = Serve("localhost");
  ConnectionOptions options = At(server->address());
  options.tls->ca_file = File("late.pem");
  const auto source = *OpenKurrentSource(options);
  EXPECT_FALSE(ReadHeadAndWait(source.get()).ok());
  Replace("late.pem", "ca.pem");
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!ReadHeadAndWait(source.get()).ok()) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit);
  }
}

}  // namespace
}  // namespace catchup
