#include "host/daemon/letters/stream_sink.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/base/sqlite.h"
#include "host/source/embedded/log_server.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

LetterStep MakeStep(std::uint64_t number, std::size_t event_size = 10) {
  LetterStep step;
  step.number = number;
  step.position = Position{number, number};
  step.head = "\"step\":\"written\",\"number\":" + std::to_string(number);
  step.event = "\"" + std::string(event_size, 'x') + "\"";
  return step;
}

// An embedded log of the test's own, and a sink that writes to it.
class StreamSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    Serve("127.0.0.1:0");
    connection_.address = server_->address();
    connection_.deadline = std::chrono::seconds(30);
    sink_ = std::make_unique<StreamSink>([this] { return connection_; }, "g", "letters");
  }

  void Serve(const std::string& listen) {
    embedded::ServerOptions options;
    options.directory = folder_.path();
    const auto address = ParseListenAddress(listen);
    ASSERT_TRUE(address.ok());
    options.listen = *address;
    auto server = embedded::EmbeddedServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
  }

  // What the stream holds once the server has ended: type and data of each event.
  std::vector<std::pair<std::string, std::string>> Stored() {
    sink_.reset();
    server_.reset();
    auto file = Connection::Open(folder_.path() / "events.db", Connection::Mode::kQuery, "log");
    EXPECT_TRUE(file.ok());
    auto rows = file->Prepare(
        "SELECT type, data FROM records WHERE stream = 'letters' AND revision >= 0 ORDER BY "
        "revision");
    EXPECT_TRUE(rows.ok());
    std::vector<std::pair<std::string, std::string>> events;
    while (*rows->Step()) {
      events.emplace_back(rows->Bytes(0), rows->Bytes(1));
    }
    return events;
  }

  TemporaryFolder folder_;
  std::unique_ptr<embedded::EmbeddedServer> server_;
  ConnectionOptions connection_;
  std::unique_ptr<StreamSink> sink_;
};

TEST_F(StreamSinkTest, EachStepIsAnEvent) {
  const std::vector<LetterStep> steps = {MakeStep(1), MakeStep(2)};
  const Status delivered = sink_->Deliver(steps);
  ASSERT_TRUE(delivered.ok()) << delivered.message();
  const auto stored = Stored();
  ASSERT_EQ(stored.size(), 2u);
  EXPECT_EQ(stored[0].first, "catchup-dead-letter");
  EXPECT_EQ(stored[0].second, steps[0].Object(1000));
  EXPECT_EQ(stored[1].second, steps[1].Object(1000));
}

TEST_F(StreamSinkTest, WhatComesAgainIsThereOnce) {
  const std::vector<LetterStep> steps = {MakeStep(1), MakeStep(2), MakeStep(3)};
  ASSERT_TRUE(sink_->Deliver({steps.data(), 2}).ok());
  ASSERT_TRUE(sink_->Deliver({steps.data(), 2}).ok());
  // The delivery before was cut short: the first two are there, the third is not.
  const Status again = sink_->Deliver(steps);
  ASSERT_TRUE(again.ok()) << again.message();
  EXPECT_EQ(Stored().size(), 3u);
}

TEST_F(StreamSinkTest, LargeEventsAreSentInPartsAndTooLargeOnesLeftOut) {
  const std::vector<LetterStep> steps = {MakeStep(1, 700'000), MakeStep(2, 700'000),
                                         MakeStep(3, 2'000'000)};
  const Status delivered = sink_->Deliver(steps);
  ASSERT_TRUE(delivered.ok()) << delivered.message();
  const auto stored = Stored();
  ASSERT_EQ(stored.size(), 3u);
  EXPECT_EQ(stored[1].second, steps[1].Object(1u << 20));
  EXPECT_NE(stored[2].second.find("\"event\":null,\"eventBytes\":2000002}"), std::string::npos);
}

TEST_F(StreamSinkTest, AServerThatIsAwayIsAFailureThatPasses) {
  const std::string address = server_->address();
  const std::vector<LetterStep> steps = {MakeStep(1)};
  server_.reset();
  const Status away = sink_->Deliver(steps);
  EXPECT_TRUE(away.may_pass()) << away.message();
  EXPECT_EQ(away.message().rfind("stream letters: ", 0), 0u) << away.message();
  Serve(address);
  const Status back = sink_->Deliver(steps);
  ASSERT_TRUE(back.ok()) << back.message();
  EXPECT_EQ(Stored().size(), 1u);
}

}  // namespace
}  // namespace catchup
