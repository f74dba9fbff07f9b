#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "host/store/checkpoint_store.h"
#include "tests/store/child_process.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

TEST(KillTest, NeverLosesADurableCheckpoint) {
  const TemporaryFolder folder;
  std::mt19937 random(20261124);
  std::uint64_t last = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string durable =
        ChildProcess({STORE_SAVER, folder.path().string()})
            .KillAfter(static_cast<int>(random() % 20), static_cast<unsigned>(random() % 1000));
    last = std::max(last, durable.empty() ? 0 : std::uint64_t{std::stoull(durable)});
    auto store =
        CheckpointStore::Open(folder.path(), "g", {EventFilter::Match::kEventType, {"order-"}});
    ASSERT_TRUE(store.ok()) << store.status().message();
    // A kill may cut a slot in two while it is written, the one that nobody was told of.
    const std::string& warning = (*store)->warning();
    EXPECT_TRUE(warning.empty() || warning.find("of 2 is bad (") != std::string::npos) << warning;
    const auto checkpoint = (*store)->record().checkpoint;
    const std::uint64_t found = checkpoint ? checkpoint->commit : 0;
    // The one write in progress may have been committed without having been told.
    EXPECT_GE(found, last);
    EXPECT_LE(found, last + 1);
    last = found;
  }
  EXPECT_GT(last, 40u);
}

}  // namespace
}  // namespace catchup
