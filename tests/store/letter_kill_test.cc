#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "tests/store/child_process.h"
#include "tests/store/letters.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

// What a saver that was killed has left: letters without a gap up to the last one, whole, counted,
// and a step for each that was written or went.
void ExpectWhole(LetterStore* store, std::uint64_t durable) {
  const std::vector<Position> found = Positions(&store->reader());
  if (durable == 0 && found.empty()) {
    return;
  }
  ASSERT_FALSE(found.empty());
  EXPECT_GE(found.back().commit, durable);
  EXPECT_LE(found.back().commit, durable + 1);  // One commit may have gone without a word.
  EXPECT_LE(found.size(), 10u);
  EXPECT_GE(found.size(), std::min<std::uint64_t>(9, found.back().commit));
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].commit, found.front().commit + i);
    const auto letter = store->reader().Read(found[i]);
    ASSERT_TRUE(letter.ok() && *letter) << letter.status().message();
    EXPECT_EQ((*letter)->data.size(), found[i].commit * 977 % 20'000);
    bytes += LetterBytes(**letter);
  }
  EXPECT_EQ(store->totals().letters(), found.size());
  EXPECT_EQ(store->totals().bytes, bytes);
  const auto part = store->ReadSteps("jsonl:out");
  ASSERT_TRUE(part.ok()) << part.status().message();
  const std::vector<LetterStep>& steps = part->steps;
  for (std::size_t i = 1; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].number, steps[i - 1].number + 1);
  }
}

TEST(LetterKillTest, NeverLosesADurableLetterAndBringsNoneBack) {
  const TemporaryFolder folder;
  std::mt19937 random(20261126);
  std::uint64_t last = 0;
  for (int i = 0; i < 40; ++i) {
    const std::string durable =
        ChildProcess({LETTER_SAVER, folder.path().string()})
            .KillAfter(static_cast<int>(random() % 20), static_cast<unsigned>(random() % 1000));
    last = std::max(last, durable.empty() ? 0 : std::uint64_t{std::stoull(durable)});
    // First as a command sees it that runs while no host does, and leaves everything as it is.
    const std::string before = ReadFile(folder.path() / "letters.db");
    auto reader = LetterReader::Open(folder.path(), "g");
    ASSERT_TRUE(reader.ok()) << reader.status().message();
    const std::vector<Position> seen = Positions(&*reader);
    EXPECT_EQ(ReadFile(folder.path() / "letters.db"), before);

    LetterStore::Options options;
    options.sinks = {"jsonl:out"};
    const auto store = OpenLetters(folder.path(), options);
    ASSERT_NE(store, nullptr);
    EXPECT_EQ(Positions(&store->reader()), seen);
    ExpectWhole(store.get(), last);
    last = seen.empty() ? last : seen.back().commit;
  }
  EXPECT_GT(last, 40u);
}

}  // namespace
}  // namespace catchup
