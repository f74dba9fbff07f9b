#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "host/source/client/kurrent_source.h"
#include "host/source/client/source_threads.h"
#include "tests/source/client/fake_server.h"
#include "tests/source/client/frames.h"

// One thread serves the connections of many groups: what comes for one of them is passed on, and
// its round ended so that others hear of it, however much comes for the rest.

namespace catchup {
namespace {

constexpr std::chrono::seconds kPatience{30};

// Counts, and lets a test wait for a count.
class CountingSink final : public SubscriptionSink {
 public:
  bool OnEvent(std::unique_ptr<EventFrame>) override {
    ++pending_;
    return true;
  }
  bool OnCheckpoint(Position) override { return true; }
  bool OnCaughtUp(std::optional<Position>) override { return true; }
  void OnRoundEnd() override {
    const std::lock_guard lock(mutex_);
    passed_on_ += pending_;
    pending_ = 0;
    changed_.notify_all();
  }
  void OnEnded(EndOfCall) override {}

  // Events whose round has ended.
  std::uint64_t passed_on() {
    const std::lock_guard lock(mutex_);
    return passed_on_;
  }
  bool Await(std::uint64_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return passed_on_ >= count; });
  }

 private:
  std::uint64_t pending_ = 0;  // On the source's thread.
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t passed_on_ = 0;
};

// Says one event each time it is told to.
class Speaker {
 public:
  void Say() {
    const std::lock_guard lock(mutex_);
    ++wanted_;
    changed_.notify_all();
  }
  void Fall() {
    const std::lock_guard lock(mutex_);
    silent_ = true;
    changed_.notify_all();
  }
  void Serve(FakeCall* call) {
    call->Read();
    for (std::uint64_t said = 1;; ++said) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return silent_ || wanted_ >= said; });
      if (silent_) {
        return;
      }
      lock.unlock();
      call->Write(Event(said));
    }
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t wanted_ = 0;
  bool silent_ = false;
};

TEST(FairnessTest, SingleEventsAreNotHeldBackByAFloodOnTheSameThread) {
  constexpr int kFloods = 3;  // So that something of a flood is at hand whenever the thread looks.
  constexpr std::uint64_t kSingles = 100;
  FakeServer flooding([](FakeCall* call) {
    call->Read();
    for (std::uint64_t i = 1; call->Write(Event(i)); ++i) {
    }
  });
  Speaker speaker;
  FakeServer quiet([&speaker](FakeCall* call) { speaker.Serve(call); });
  const auto threads = *SourceThreads::Start(1);
  std::vector<std::shared_ptr<CountingSink>> floods;
  std::vector<std::unique_ptr<Source>> sources;
  std::vector<std::unique_ptr<Subscription>> subscriptions;
  for (int i = 0; i < kFloods; ++i) {
    floods.push_back(std::make_shared<CountingSink>());
    sources.push_back(*OpenKurrentSource(To(flooding.address()), threads));
    subscriptions.push_back(sources.back()->Subscribe(Everything(), floods.back()));
  }
  const auto single = std::make_shared<CountingSink>();
  sources.push_back(*OpenKurrentSource(To(quiet.address()), threads));
  subscriptions.push_back(sources.back()->Subscribe(Everything(), single));

  for (std::uint64_t i = 1; i <= kSingles && !HasFailure(); ++i) {
    const std::uint64_t before = floods.front()->passed_on();
    speaker.Say();
    EXPECT_TRUE(single->Await(i)) << "event " << i << " of the quiet one";
    // The flood goes on all the while, and is held back by nothing either.
    EXPECT_TRUE(floods.front()->Await(before + 1)) << "at event " << i;
  }
  speaker.Fall();
  subscriptions.clear();
}

}  // namespace
}  // namespace catchup
