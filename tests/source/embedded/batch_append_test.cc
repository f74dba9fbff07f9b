// How a BatchAppend call treats a client that writes and does not read.
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "host/source/embedded/log/event_log.h"
#include "host/source/embedded/log_server.h"
#include "host/source/embedded/wire/rpc_call.h"
#include "tests/source/embedded/log_client.h"
#include "tests/test_files.h"

namespace catchup::embedded {
namespace {

namespace wire = test::wire;

constexpr int kAppends = 3000;

wire::BatchAppendReq Request(int number, const std::string& stream) {
  wire::BatchAppendReq request;
  request.mutable_correlation_id()->set_string(
      FormatUuid(Uuid::FromHalves(7, static_cast<std::uint64_t>(number))));
  request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
  request.mutable_options()->mutable_any();
  auto& message = *request.add_proposed_messages();
  message.mutable_id()->set_string(FormatUuid(RandomUuid()));
  (*message.mutable_metadata())["type"] = "t";
  (*message.mutable_metadata())["content-type"] = "application/json";
  message.set_data("{}");
  request.set_is_final(true);
  return request;
}

// A transport whose client takes messages only when the test does.
class HeldCall final : public RpcCall {
 public:
  void Read() override { wants_message_ = true; }
  void Send(FrameBuffer) override { ADD_FAILURE() << "no frames here"; }
  void Send(std::string message) override { unsent_.push_back(std::move(message)); }
  std::size_t unsent() const override { return unsent_.size(); }
  void Finish() override { ADD_FAILURE() << "the call ended"; }
  void Finish(RpcError error) override { ADD_FAILURE() << error.message; }
  void SetTimer(std::chrono::steady_clock::time_point) override {}
  void Yield() override {}
  std::function<void()> Waker() override {
    return [this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      changed_.notify_one();
    };
  }
  LogReader& reader() override { std::abort(); }

  bool TakeRead() { return std::exchange(wants_message_, false); }
  std::string TakeMessage() {
    std::string message = std::move(unsent_.front());
    unsent_.pop_front();
    return message;
  }
  bool AwaitWake() {
    std::unique_lock lock(mutex_);
    const bool woken = changed_.wait_for(lock, test::kPatience, [this] { return woken_; });
    woken_ = false;
    return woken;
  }

 private:
  bool wants_message_ = false;
  std::deque<std::string> unsent_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

TEST(BatchAppendTest, ReadsNoMoreWhileTheClientLeavesItsRepliesUnread) {
  const TemporaryFolder folder;
  auto log = EventLog::Open(folder / "log");
  ASSERT_TRUE(log.ok()) << log.status().message();
  LiveHub hub;
  HeldCall call;
  auto writer = std::make_unique<LogWriter>(**log, hub);
  ASSERT_TRUE(writer->Start().ok());
  ServerCore core{*writer, hub, "127.0.0.1", 0, RandomUuid(), kDefaultMaxAppendBytes, 32};
  const auto handler = CreateBatchAppendHandler(call, core);

  int sent = 0;
  int answered = 0;
  std::size_t most_unsent = 0;
  while (answered < kAppends) {
    // The client writes all that is read of it and reads nothing back.
    while (true) {
      if (sent < kAppends && call.TakeRead()) {
        handler->OnMessage(Request(sent++, "orders").SerializeAsString());
      } else if (answered + static_cast<int>(call.unsent()) < sent) {
        ASSERT_TRUE(call.AwaitWake());
        handler->OnWake();
      } else {
        break;
      }
    }
    most_unsent = std::max(most_unsent, call.unsent());
    // Then it reads them all, in the order of its appends.
    ASSERT_GT(call.unsent(), 0u);
    while (call.unsent() > 0) {
      wire::BatchAppendResp reply;
      ASSERT_TRUE(reply.ParseFromString(call.TakeMessage()));
      EXPECT_EQ(reply.correlation_id().string(),
                FormatUuid(Uuid::FromHalves(7, static_cast<std::uint64_t>(answered++))));
      EXPECT_TRUE(reply.has_success()) << reply.ShortDebugString();
    }
    handler->OnRoom();
  }
  writer.reset();

  EXPECT_EQ(sent, kAppends);
  EXPECT_LE(most_unsent, 512u);  // As many in flight as unsent, 256 of each.
}

TEST(BatchAppendTest, AnswersEveryAppendOfAClientThatReadsLate) {
  const TemporaryFolder folder;
  ServerOptions options;
  options.directory = folder.path();
  auto server = EmbeddedServer::Start(options);
  ASSERT_TRUE(server.ok()) << server.status().message();
  test::LogClient client((*server)->address());
  grpc::ClientContext context;
  test::LogClient::SetDeadline(&context);
  const auto batch = client.stub().BatchAppend(&context);
  // Replies carry the stream's name: a long one fills what the connection holds.
  const std::string stream(4000, 's');
  std::atomic<int> sent = 0;
  std::thread writer([&] {
    while (sent < kAppends && batch->Write(Request(sent, stream))) {
      ++sent;
    }
  });
  test::Subscription written(client, test::LogClient::SubscribeAll());
  for (int i = 0; i < 256; ++i) {
    EXPECT_TRUE(written.NextEvent().has_value());
  }
  written.Cancel();

  for (int i = 0; i < kAppends; ++i) {
    wire::BatchAppendResp reply;
    if (!batch->Read(&reply)) {
      ADD_FAILURE() << "the call ended after " << i << " replies";
      break;
    }
    EXPECT_TRUE(reply.has_success()) << reply.error().ShortDebugString();
  }
  context.TryCancel();
  writer.join();
  EXPECT_EQ(sent, kAppends);
}

}  // namespace
}  // namespace catchup::embedded
