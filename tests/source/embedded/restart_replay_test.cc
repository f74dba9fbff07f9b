// Sends what a recorded client sent to a node that stops, is away and starts again to our own
// server, which does the same, and holds what comes of each call against what came of the recorded
// one.
//
// What cannot be the same, beside what recorded_frames.cc names:
//
//   - How a lost connection is called: each client's library words it its own way (notes, 3.14).
//     What is on the wire meanwhile, the lines `h2`, is in shutdown_test.cc.
//   - Ours listens once it is ready, and not before: where a node that starts says "Server Is Not
//     Ready", connections to ours are still refused. Both are UNAVAILABLE without a trailer.
//   - Positions behind the first pages: of the 198 MB that this log held, the recordings have ten
//     checkpoints of each call. Ours has a page more than these, so that the rest lies that much
//     earlier, all of it by the same number.
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/host_port.h"
#include "host/base/unique_fd.h"
#include "host/source/embedded/log_server.h"
#include "host/source/proto/streams.pb.h"
#include "tests/loopback.h"
#include "tests/source/cluster/log_filler.h"
#include "tests/source/embedded/log_client.h"
#include "tests/source/embedded/recorded_calls.h"
#include "tests/source/embedded/recorded_frames.h"
#include "tests/source/embedded/server_process.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;
using Json = nlohmann::json;
using test::RawCall;

// A node cannot be asked to be quiet; this long is given to an extra message to show itself. It can
// only find faults, never make one.
constexpr std::chrono::milliseconds kQuiet{20};

class RestartReplay : public testing::Test {
 protected:
  RestartReplay() {
    Serve();
    FillFirstPages();
  }

  // From now on the server is a process of its own, which can be killed.
  void ServeInAChild() {
    server_.reset();
    child_ = std::make_unique<test::Child>(directory_.path());
    address_ = test::Child::Endpoint(directory_.path());
    channel_ = test::Connect(address_);
  }

  void ReplayFile(const std::string& scenario);

 private:
  // Records. The checkpoint of a page says where it begins.
  static constexpr std::uint64_t kPage = 32;
  // Where the last page begins that the recordings have.
  static constexpr std::uint64_t kLastKept = 39947;

  void Serve();
  void FillFirstPages();
  void ReplayNote(const Json& line);
  void ReplayCall(std::size_t at, int id);
  void ReplayAnswer(const Json& line, RawCall& call);
  void ReplayStatus(const Json& line, RawCall& call);
  // The call that begins here was answered.
  bool IsAnswered(std::size_t at) const;
  // Of a page behind those that the recordings have.
  static bool IsLeftOut(const std::string& bytes) {
    wire::ReadResp frame;
    return frame.ParseFromString(bytes) && frame.checkpoint().commit_position() > kLastKept;
  }
  // The same message of a log that is as much shorter as ours is.
  std::string Moved(const Json& line);

  const TemporaryFolder directory_;
  std::unique_ptr<EmbeddedServer> server_;  // It, or the child, or neither.
  std::unique_ptr<test::Child> child_;
  std::string address_;  // Where the server is or was.
  std::shared_ptr<grpc::Channel> channel_;
  std::vector<Json> lines_;
  std::map<int, std::unique_ptr<RawCall>> calls_;
  int written_ = 0;  // Events of the recorded client.
  std::uint64_t written_up_to_ = 0;
  std::optional<std::uint64_t> shorter_by_;
  // Has the port of `address_` while there is no server, and refuses who connects to it: to a free
  // one a client might connect itself, by chance.
  UniqueFd away_;
  bool is_caught_up_ = false;  // The call that was answered last.
};

void RestartReplay::Serve() {
  ServerOptions options;
  options.directory = directory_.path();
  server_ = *EmbeddedServer::Start(options);
  address_ = server_->address();
  channel_ = test::Connect(address_);
}

void RestartReplay::FillFirstPages() {
  LogFiller log(server_.get());
  std::uint64_t records = kPage - 1;  // And the hidden one, with which each log begins.
  for (const std::uint64_t page : std::initializer_list<std::uint64_t>{
           4955, 9307, 13659, 18027, 22411, 26795, 31179, 35563, 39947}) {
    log.FillTo("before", "before", page, std::exchange(records, kPage));
  }
  // For those that the recordings left out.
  log.FillTo("before", "before", kLastKept + 4384, kPage);
}

bool RestartReplay::IsAnswered(std::size_t at) const {
  while (lines_.at(++at).at("dir") != "status") {
    if (lines_.at(at).at("dir") == "recv") {
      return true;
    }
  }
  return false;
}

void RestartReplay::ReplayNote(const Json& line) {
  const std::string text = line.at("text");
  int events = 0;
  if (std::sscanf(text.c_str(), "seeded %d events in 1 appends", &events) == 1) {
    const std::string stream = line.at("streams").at(0);
    std::vector<test::LogClient::Event> batch;
    for (; events > 0; --events) {
      // The type that all subscriptions ask for, but for the mark's, which nobody does.
      const bool is_mark = stream.ends_with("mark");
      batch.push_back({is_mark ? "mark" : stream.substr(0, stream.rfind('-')) + "-t",
                       "{\"n\":" + std::to_string(++written_) + "}"});
    }
    written_up_to_ = test::LogClient(address_).MustAppend(stream, batch);
  } else if (text == "hook begins") {
    server_.reset();
    child_.reset();
    away_ = test::BindLoopback(ParseHostPort(address_)->port.value());
  }
}

void RestartReplay::ReplayCall(std::size_t at, int id) {
  if (away_.valid() && IsAnswered(at)) {
    Serve();
    away_ = {};
  }
  const Json& line = lines_.at(at);
  calls_[id] = std::make_unique<RawCall>(
      channel_, line.at("method"), line.at("headers").get<std::map<std::string, std::string>>());
}

std::string RestartReplay::Moved(const Json& line) {
  wire::ReadResp frame;
  EXPECT_TRUE(frame.ParseFromString(RecordedMessage(line)));
  const auto move = [this](std::uint64_t position) {
    return position > kLastKept ? position - *shorter_by_ : position;
  };
  if (frame.has_caught_up()) {
    auto& position = *frame.mutable_caught_up()->mutable_position();
    if (!shorter_by_) {
      shorter_by_ = position.commit_position() - written_up_to_;
    }
    position.set_commit_position(move(position.commit_position()));
    position.set_prepare_position(move(position.prepare_position()));
  } else if (frame.has_checkpoint()) {
    auto& checkpoint = *frame.mutable_checkpoint();
    checkpoint.set_commit_position(move(checkpoint.commit_position()));
    checkpoint.set_prepare_position(move(checkpoint.prepare_position()));
  } else if (frame.has_event()) {
    auto& event = *frame.mutable_event()->mutable_event();
    event.set_commit_position(move(event.commit_position()));
    event.set_prepare_position(move(event.prepare_position()));
    frame.mutable_event()->set_commit_position(move(frame.event().commit_position()));
  }
  return frame.SerializeAsString();
}

void RestartReplay::ReplayAnswer(const Json& line, RawCall& call) {
  std::optional<std::string> bytes = call.Receive();
  while (bytes && line.at("json").contains("event") && IsLeftOut(*bytes)) {
    bytes = call.Receive();
  }
  ASSERT_TRUE(bytes.has_value()) << "no message, wanted " << line.at("json");
  ASSERT_TRUE(SameFrame("Read", *bytes, Moved(line)));
  is_caught_up_ = line.at("json").contains("caught_up");
}

void RestartReplay::ReplayStatus(const Json& line, RawCall& call) {
  if (away_.valid()) {
    EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    return;
  }
  ASSERT_EQ(line.at("code"), static_cast<int>(grpc::StatusCode::CANCELLED));
  // The others the recorder left in the middle of the log.
  EXPECT_FALSE(is_caught_up_ && call.Receive(kQuiet)) << "a message more than recorded";
  call.Cancel();
  EXPECT_EQ(call.Finish().error_code(), grpc::StatusCode::CANCELLED);
}

void RestartReplay::ReplayFile(const std::string& scenario) {
  std::ifstream file(std::string(CATCHUP_CAPTURES) + "/" + scenario + ".jsonl");
  ASSERT_TRUE(file.is_open()) << scenario;
  std::string text;
  while (std::getline(file, text)) {
    lines_.push_back(Json::parse(text));
  }
  for (std::size_t at = 1; at < lines_.size() && !HasFailure(); ++at) {
    const Json& line = lines_.at(at);
    const int number = static_cast<int>(at) + 1;
    SCOPED_TRACE(scenario + ".jsonl:" + std::to_string(number));
    const std::string dir = line.at("dir");
    if (dir == "note") {
      ReplayNote(line);
    }
    if (!line.contains("call")) {
      continue;
    }
    const int id = CallOf(scenario, number, line);
    if (dir == "call") {
      ReplayCall(at, id);
    } else if (dir == "send") {
      if (calls_.at(id)->Send(RecordedMessage(line))) {
        calls_.at(id)->HalfClose();
      }
    } else if (dir == "recv") {
      ReplayAnswer(line, *calls_.at(id));
    } else if (dir == "status") {
      ReplayStatus(line, *calls_.at(id));
    } else if (dir == "trailer") {
      EXPECT_EQ(calls_.at(id)->Trailers(), RecordedTrailers(line));
    }
  }
}

TEST_F(RestartReplay, EndsAndGoesOnLikeTheRecordedNodeThatGotSigterm) {
  ReplayFile("restart-term");
}

TEST_F(RestartReplay, EndsAndGoesOnLikeTheRecordedNodeThatWasKilled) {
  ServeInAChild();
  ReplayFile("restart-kill");
}

}  // namespace
}  // namespace catchup::embedded
