#include "host/source/client/source_threads.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "host/source/client/kurrent_source.h"

namespace catchup {
namespace {

ConnectionOptions Nowhere() {
  ConnectionOptions options;
  options.address = "127.0.0.1:1";
  return options;
}

// The thread on which `source` makes its callbacks. Where nobody listens there is an answer, too.
std::thread::id ThreadOf(Source* source) {
  const auto id = std::make_shared<std::promise<std::thread::id>>();
  source->ReadHead([id](const auto&) { id->set_value(std::this_thread::get_id()); });
  return id->get_future().get();
}

TEST(SourceThreadsTest, ServesAnyNumberOfSourcesEachOnOneOfThem) {
  const auto threads = *SourceThreads::Start(2);
  std::set<std::thread::id> used;
  std::vector<std::unique_ptr<Source>> sources;
  for (int i = 0; i < 6; ++i) {
    sources.push_back(*OpenKurrentSource(Nowhere(), threads));
    const std::thread::id id = ThreadOf(sources.back().get());
    EXPECT_EQ(ThreadOf(sources.back().get()), id);
    used.insert(id);
  }
  EXPECT_EQ(used.size(), 2u);
}

TEST(SourceThreadsTest, KnowsItsOwn) {
  const auto threads = *SourceThreads::Start(1);
  const auto source = *OpenKurrentSource(Nowhere(), threads);
  std::promise<bool> here;
  source->ReadHead([&](const auto&) { here.set_value(threads->IsHere()); });

  EXPECT_TRUE(here.get_future().get());
  EXPECT_FALSE(threads->IsHere());
}

// A source that ends owes its callbacks first, and costs the others nothing.
TEST(SourceThreadsTest, GoesOnForOthersWhenASourceEnds) {
  const auto threads = *SourceThreads::Start(1);
  auto one = *OpenKurrentSource(Nowhere(), threads);
  const auto other = *OpenKurrentSource(Nowhere(), threads);
  std::promise<void> answered;
  one->ReadHead([&](const auto&) { answered.set_value(); });

  one.reset();

  EXPECT_EQ(answered.get_future().wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_NE(ThreadOf(other.get()), std::thread::id());
}

}  // namespace
}  // namespace catchup
