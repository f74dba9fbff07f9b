// The client and a network that fails: whatever happens to the bytes, a subscription passes on
// whole frames in order, and ends as a drop where they end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "host/source/client/kurrent_source.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"
#include "tests/source/client/recording_sink.h"

namespace catchup {
namespace {

using namespace std::chrono_literals;
using Direction = FaultProxy::Direction;
using End = FaultProxy::End;

constexpr std::uint64_t kEvents = 60;

// What a sink notes of the events from the first on.
std::vector<std::string> Notes(std::size_t count) {
  std::vector<std::string> notes;
  for (std::uint64_t i = 1; i <= count; ++i) {
    notes.push_back("event " + std::to_string(i) + ":" + std::to_string(i));
  }
  return notes;
}

// A server that sends so many events and then keeps the call open.
class NetworkTest : public testing::Test {
 protected:
  NetworkTest()
      : server_([](FakeCall* call) {
          call->Read();
          call->Write(Confirmation());
          for (std::uint64_t i = 1; i <= kEvents; ++i) {
            call->Write(Event(i, std::string(i * 13, 'x')));
          }
          call->AwaitCancel();
        }),
        network_(server_.address()) {}

  void Open(std::chrono::milliseconds keepalive = 10s, std::chrono::milliseconds connect = 2s) {
    ConnectionOptions options = To(network_.address());
    options.keepalive_time = keepalive;
    options.keepalive_timeout = keepalive;
    options.connect_timeout = connect;
    source_ = *OpenKurrentSource(options);
  }

  // Another subscription from the beginning.
  void Subscribe() {
    sink_ = std::make_shared<RecordingSink>();
    subscription_ = source_->Subscribe(Everything(), sink_);
  }

  // Subscribes until all events have come: for a moment after a connection has broken, gRPC refuses
  // a call itself.
  bool SubscribeUntilAllCome() {
    const auto limit = std::chrono::steady_clock::now() + RecordingSink::kPatience;
    do {
      Subscribe();
    } while (!sink_->AwaitCountOrEnd(kEvents) && std::chrono::steady_clock::now() < limit);
    return sink_->notes() == Notes(kEvents);
  }

  void ExpectDrop() {
    const auto end = sink_->AwaitEnd();
    ASSERT_TRUE(end.has_value());
    EXPECT_EQ(end->kind, EndClass::kDropped) << end->text;
  }

  FakeServer server_;
  FaultProxy network_;
  std::unique_ptr<Source> source_;
  std::shared_ptr<RecordingSink> sink_;
  std::unique_ptr<Subscription> subscription_;
};

TEST_F(NetworkTest, SingleBytesMakeWholeFrames) {
  network_.Set({.kind = Fault::Kind::kSlice});
  Open();
  Subscribe();
  ASSERT_TRUE(sink_->AwaitCount(kEvents));
  EXPECT_EQ(sink_->notes(), Notes(kEvents));
}

TEST_F(NetworkTest, ConnectsToWhomItHasTheTimeToWaitFor) {
  network_.Set(Direction::kToClient, {.kind = Fault::Kind::kDelay, .delay = 400ms});
  Open(10s, 200ms);
  Subscribe();
  ExpectDrop();
  EXPECT_EQ(sink_->notes(), Notes(0));
  Open(10s, 10s);
  Subscribe();
  EXPECT_TRUE(sink_->AwaitCountOrEnd(1));
}

TEST_F(NetworkTest, ASlowNetworkIsNoReasonToReconnect) {
  network_.Set({.kind = Fault::Kind::kDelay, .delay = 300ms});
  Open();
  Subscribe();
  ASSERT_TRUE(sink_->AwaitCount(kEvents));
  EXPECT_EQ(sink_->notes(), Notes(kEvents));
  EXPECT_EQ(network_.counts().accepted, 1u);
}

TEST_F(NetworkTest, AnEndOfTheConnectionIsADropAndTheNextCallConnectsAnew) {
  Open();
  for (const End end : {End::kReset, End::kFin, End::kReset}) {
    ASSERT_TRUE(SubscribeUntilAllCome());
    network_.EndAll(end);
    ExpectDrop();
  }
  EXPECT_EQ(network_.counts().accepted, 3u);
}

// Wherever the connection breaks, in the middle of a frame's head as of an event.
TEST_F(NetworkTest, ACutAnywhereLeavesWholeFramesInOrder) {
  Open();
  for (std::size_t bytes = 40; bytes < 4'000; bytes += 397) {
    const End end = bytes % 2 == 0 ? End::kFin : End::kReset;
    // Counted first: gRPC may be connecting by itself, and the cut is only one.
    const std::uint64_t cut_at = network_.counts().to_client + bytes;
    network_.CutAfter(Direction::kToClient, bytes, end);
    // A connection that was cut before it stood is followed by a pause of gRPC's.
    while (network_.counts().to_client < cut_at) {
      Subscribe();
      ExpectDrop();
      const std::vector<std::string> notes = sink_->notes();
      ASSERT_EQ(notes, Notes(notes.size())) << "cut after " << bytes;
      ASSERT_TRUE(network_.Await([](const auto& counts) { return counts.open == 0; }));
    }
  }
}

TEST_F(NetworkTest, KeepaliveFindsASilentConnection) {
  for (const Direction silent : {Direction::kToClient, Direction::kToServer}) {
    Open(1s);
    Subscribe();
    ASSERT_TRUE(sink_->AwaitCount(kEvents));
    network_.Set(silent, {.kind = Fault::Kind::kSwallow});
    ExpectDrop();
    network_.Heal();
  }
}

TEST_F(NetworkTest, IsBackOnceTheServerIsThereAgain) {
  Open();
  Subscribe();
  ASSERT_TRUE(sink_->AwaitCount(kEvents));
  network_.Refuse();
  network_.Reset();
  ExpectDrop();
  Subscribe();
  ExpectDrop();
  EXPECT_TRUE(sink_->notes().empty());
  network_.Accept();
  EXPECT_TRUE(SubscribeUntilAllCome());
}

}  // namespace
}  // namespace catchup
