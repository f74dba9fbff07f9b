#include "host/source/embedded/log/live_hub.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace catchup::embedded {
namespace {

std::shared_ptr<const Record> MakeRecord(std::uint64_t position, std::string type,
                                         std::size_t bytes = 1) {
  Record record;
  record.type = std::move(type);
  record.data = std::string(bytes, 'x');
  record.position = position;
  return std::make_shared<const Record>(std::move(record));
}

LiveFeed::Options Wanted(std::uint64_t checkpoint_interval = 0) {
  return {[](const Record& record) { return record.type == "wanted"; }, checkpoint_interval, 32,
          1000, [] {}};
}

// A slow subscription with a small match in every large commit would else keep all of the commits.
TEST(LiveFeedTest, KeepsOfACommitOnlyTheEventsItSends) {
  LiveHub hub;
  hub.Start({0, 0, 1});
  LiveFeed feed(hub, Wanted(2));
  ASSERT_TRUE(feed.JoinAt(1));
  LiveBatch batch{MakeRecord(1, "other", 1 << 20), MakeRecord(2, "other", 1 << 20),
                  MakeRecord(3, "wanted")};
  const std::vector<std::weak_ptr<const Record>> records(batch.begin(), batch.end());
  hub.Publish(batch, {3, 3, 4});
  batch.clear();

  EXPECT_TRUE(records[0].expired());
  EXPECT_TRUE(records[1].expired()) << "held for its checkpoint";
  EXPECT_FALSE(records[2].expired());
  {
    const auto checkpoint = feed.Take();
    ASSERT_TRUE(checkpoint.has_value());
    EXPECT_EQ(checkpoint->event, nullptr);
    EXPECT_EQ(checkpoint->position, 2u);
    EXPECT_TRUE(checkpoint->checkpoint);
    const auto event = feed.Take();
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->event->type, "wanted");
    EXPECT_EQ(event->position, 3u);
    EXPECT_FALSE(feed.Take().has_value());
  }
  EXPECT_TRUE(records[2].expired());
}

TEST(LiveFeedTest, IsLostWhenItsEventsOutgrowItsBytes) {
  LiveHub hub;
  hub.Start({0, 0, 1});
  LiveFeed feed(hub, Wanted());
  ASSERT_TRUE(feed.JoinAt(1));
  const LiveBatch batch{MakeRecord(1, "wanted", 600), MakeRecord(2, "wanted", 600)};
  hub.Publish(batch, {2, 2, 3});

  EXPECT_FALSE(feed.Take().has_value());
  EXPECT_TRUE(feed.TakeLost());
  EXPECT_EQ(batch[0].use_count(), 1);
}

}  // namespace
}  // namespace catchup::embedded
