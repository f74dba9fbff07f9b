#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "tests/source/embedded/log_client.h"
#include "tests/test_files.h"

namespace catchup::embedded {

// A log of the test's own, served in this process, and a client of it.
class ServedLogTest : public testing::Test {
 protected:
  using Events = std::vector<test::LogClient::Event>;

  void SetUp() override { Start(); }

  // Ends the server, if there is one, and serves the same files anew.
  void Start(std::size_t live_frames = kDefaultLiveFrames) {
    server_.reset();
    ServerOptions options;
    options.directory = directory_.path();
    options.live_frames = live_frames;
    auto server = EmbeddedServer::Start(options);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    client_ = std::make_unique<test::LogClient>(server_->address());
  }

  // Events "0", "1" and so on; `padding` spaces make each larger.
  static Events Some(int count, std::size_t padding = 0) {
    Events events;
    for (int i = 0; i < count; ++i) {
      events.push_back({"numbered", std::to_string(i) + std::string(padding, ' ')});
    }
    return events;
  }
  std::uint64_t WriteMetadata(const std::string& stream, const std::string& json) {
    return client_->MustAppend("$$" + stream, {{"$metadata", json}});
  }
  std::vector<test::wire::ReadResp> Read(const test::wire::ReadReq& request) {
    std::vector<test::wire::ReadResp> frames;
    const grpc::Status status = client_->Read(request, &frames);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return frames;
  }

  TemporaryFolder directory_;
  std::unique_ptr<EmbeddedServer> server_;
  std::unique_ptr<test::LogClient> client_;
};

}  // namespace catchup::embedded
