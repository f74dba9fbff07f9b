// Sends what a recorded client sent to a node with TLS and users to our front of that kind, and
// holds every message, status and trailer against what the node answered.
//
// What cannot be the same: whatever tests/source/embedded/recorded_frames.cc names; the
// credentials, which a recording does not have; the records that a node writes for its users, of
// which it has the first two and the place of the last; and all positions, by four bytes, which the
// hidden record at the beginning of that node's log is longer.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "host/source/proto/streams.pb.h"
#include "tests/source/cluster/front.h"
#include "tests/source/cluster/log_filler.h"
#include "tests/source/cluster/users.h"
#include "tests/source/embedded/raw_client.h"
#include "tests/source/embedded/recorded_frames.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

namespace wire = event_store::client::streams;
using Json = nlohmann::json;
using embedded::RecordedMessage;
using embedded::RecordedTrailers;
using embedded::SameFrame;
using test::RawCall;

// "admin:changeit", "ops:changeit" and "admin:wrong" in Base64, and what is none.
constexpr char kAdmin[] = "Basic YWRtaW46Y2hhbmdlaXQ=";
constexpr char kOps[] = "Basic b3BzOmNoYW5nZWl0";
constexpr char kWrong[] = "Basic YWRtaW46d3Jvbmc=";
constexpr char kUndecodable[] = "Basic %%%";

constexpr std::uint64_t kShorter = 4;

class AccessReplay : public testing::Test {
 protected:
  AccessReplay() {
    const std::string command = CATCHUP_TEST_CA " '" + folder_.path().string() + "'";
    EXPECT_EQ(std::system(command.c_str()), 0);
    embedded::ServerOptions options;
    options.directory = folder_ / "log";
    log_ = *embedded::EmbeddedServer::Start(options);
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back(
        {ReadFile(folder_ / "localhost.key"), ReadFile(folder_ / "localhost.pem")});
    front_ = std::make_unique<Front>(log_->address(), grpc::SslServerCredentials(tls));
    front_->SetRule(AskForUsers({{"admin", {"changeit"}}, {"ops", {"changeit", false, true}}}));
    grpc::SslCredentialsOptions trust;
    trust.pem_root_certs = ReadFile(folder_ / "ca.pem");
    channel_ = grpc::CreateChannel(front_->address(), grpc::SslCredentials(trust));
  }

  // The records that the node had written by itself: what is recorded of them, and the last of them
  // at its place.
  void SeedUsers() {
    LogFiller filler(log_.get());
    filler.Write("$$$scavenges", "$metadata",
                 R"({"$maxAge":2592000,"$acl":{"$r":"$ops","$w":[],"$d":[],"$mr":[],"$mw":[]}})");
    filler.Write("$$$user-admin", "$metadata",
                 R"({"$acl":{"$w":"$admins","$d":"$admins","$mw":"$admins"}})");
    filler.FillTo("$users", "$User", 1857 - kShorter, kNotKept - 1);
    filler.Write("$users", "$User", "{}");
  }

  // Each call with credentials takes the next of `credentials`.
  void ReplayFile(const std::string& scenario, std::vector<std::string> credentials);

  // "6 event messages of call 1 not recorded (keep=2)"
  static constexpr int kNotKept = 6;

  const TemporaryFolder folder_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Front> front_;
  std::shared_ptr<grpc::Channel> channel_;
};

// A recorded frame as it is in a log that begins kShorter bytes sooner.
std::string Moved(const std::string& recorded) {
  wire::ReadResp frame;
  EXPECT_TRUE(frame.ParseFromString(recorded));
  if (frame.has_event()) {
    auto& event = *frame.mutable_event();
    event.set_commit_position(event.commit_position() - kShorter);
    event.mutable_event()->set_commit_position(event.event().commit_position() - kShorter);
    event.mutable_event()->set_prepare_position(event.event().prepare_position() - kShorter);
  }
  if (frame.has_caught_up()) {
    auto& position = *frame.mutable_caught_up()->mutable_position();
    position.set_commit_position(position.commit_position() - kShorter);
    position.set_prepare_position(position.prepare_position() - kShorter);
  }
  return frame.SerializeAsString();
}

// The events that the recorder did not keep come before what is no event.
void ExpectFrame(RawCall& call, const Json& line, int* not_kept) {
  std::optional<std::string> bytes = call.Receive();
  wire::ReadResp frame;
  while (bytes && !line.at("json").contains("event") && frame.ParseFromString(*bytes) &&
         frame.has_event()) {
    ++*not_kept;
    bytes = call.Receive();
  }
  ASSERT_TRUE(bytes.has_value()) << "no message, wanted " << line.at("json");
  EXPECT_TRUE(SameFrame("Read", *bytes, Moved(RecordedMessage(line))));
}

void ExpectStatus(RawCall& call, const Json& line) {
  const int code = line.at("code");
  if (embedded::IsOfTheClient(code)) {
    call.Cancel();
  }
  const grpc::Status status = call.Finish();
  EXPECT_EQ(static_cast<int>(status.error_code()), code);
  // HTTP 500 is worded by the client's library, and CANCELLED by who cancels. The front speaks gRPC
  // and cannot send the former: it says what gRPC C++ makes of it.
  if (code == grpc::StatusCode::UNKNOWN) {
    EXPECT_EQ(line.at("details"), "Received HTTP status code 500");
    EXPECT_EQ(status.error_message(), "Received http2 header with status: 500");
  } else if (!embedded::IsOfTheClient(code)) {
    EXPECT_EQ(status.error_message(), line.at("details").get<std::string>());
  }
}

void AccessReplay::ReplayFile(const std::string& scenario, std::vector<std::string> credentials) {
  std::ifstream file(std::string(CATCHUP_CAPTURES) + "/" + scenario + ".jsonl");
  ASSERT_TRUE(file.is_open()) << scenario;
  std::unique_ptr<RawCall> call;
  int not_kept = 0;
  std::string text;
  for (int number = 1; std::getline(file, text) && !HasFailure(); ++number) {
    SCOPED_TRACE(scenario + ".jsonl:" + std::to_string(number));
    const Json line = Json::parse(text);
    const std::string dir = line.value("dir", "");
    if (dir == "call") {
      std::map<std::string, std::string> headers;
      if (line.at("headers").contains("authorization")) {
        ASSERT_FALSE(credentials.empty());
        headers["authorization"] = credentials.front();
        credentials.erase(credentials.begin());
      }
      call = std::make_unique<RawCall>(channel_, line.at("method").get<std::string>(), headers);
    } else if (dir == "send") {
      (void)call->Send(RecordedMessage(line));  // Fails where the call is over: the status tells.
      call->HalfClose();
    } else if (dir == "recv") {
      ExpectFrame(*call, line, &not_kept);
    } else if (dir == "status") {
      ExpectStatus(*call, line);
    } else if (dir == "trailer") {
      EXPECT_EQ(call->Trailers(), RecordedTrailers(line));
    } else if (dir == "note") {
      EXPECT_EQ(not_kept, kNotKept);
    }
  }
  EXPECT_TRUE(credentials.empty()) << "the recording has fewer calls";
}

TEST_F(AccessReplay, AnswersWhoMayReadAllLikeTheRecordedNode) {
  SeedUsers();
  ReplayFile("auth-tls", {kWrong, kUndecodable, kAdmin});
}

TEST_F(AccessReplay, AnswersWhoMayNotReadAllLikeTheRecordedNode) {
  ReplayFile("auth-tls-ops", {kWrong, kUndecodable, kOps});
}

}  // namespace
}  // namespace catchup
