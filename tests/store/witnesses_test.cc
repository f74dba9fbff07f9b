#include "host/store/witnesses.h"

#include <gtest/gtest.h>

#include <random>

namespace catchup {
namespace {

Witness At(std::uint64_t commit) {
  Witness witness;
  witness.position = {commit, commit};
  return witness;
}

std::vector<std::uint64_t> Commits(const std::vector<Witness>& witnesses) {
  std::vector<std::uint64_t> commits;
  for (const Witness& witness : witnesses) {
    commits.push_back(witness.position.commit);
  }
  return commits;
}

TEST(WitnessesTest, KeepsTheFirstEightNewestFirst) {
  std::vector<Witness> witnesses;
  for (std::uint64_t i = 1; i <= 8; ++i) {
    AddWitness(At(i), &witnesses);
  }
  EXPECT_EQ(Commits(witnesses), (std::vector<std::uint64_t>{8, 7, 6, 5, 4, 3, 2, 1}));
}

TEST(WitnessesTest, TakesNothingThatIsNotNewer) {
  std::vector<Witness> witnesses;
  AddWitness(At(5), &witnesses);
  AddWitness(At(5), &witnesses);
  AddWitness(At(4), &witnesses);
  EXPECT_EQ(Commits(witnesses), (std::vector<std::uint64_t>{5}));
}

// A log that was restored an hour, a day or a month back is known by a witness from before that.
TEST(WitnessesTest, KeepsThemAtGrowingDistance) {
  for (const std::uint64_t most : {std::uint64_t{1}, std::uint64_t{100'000}}) {
    std::mt19937_64 random(20261125);
    std::vector<Witness> witnesses;
    std::uint64_t at = 1'000;
    for (int i = 0; i < 100'000; ++i) {
      at += 1 + random() % most;
      AddWitness(At(at), &witnesses);
    }
    ASSERT_EQ(witnesses.size(), kMaxWitnesses);
    EXPECT_EQ(witnesses.front().position.commit, at);
    EXPECT_LE(witnesses.back().position.commit, 1'000 + most) << "the first of all";
    for (std::size_t i = 2; i < witnesses.size(); ++i) {
      const std::uint64_t nearer = at - witnesses[i - 1].position.commit;
      const std::uint64_t farther = at - witnesses[i].position.commit;
      EXPECT_GT(farther, nearer);
      // 100,000 commits in six steps are a factor of seven each.
      EXPECT_LT(farther, 100 * nearer) << i;
    }
  }
}

TEST(WitnessesTest, ForgetsWhatLiesBeyondWhereTheGroupWentBackTo) {
  std::vector<Witness> witnesses;
  for (std::uint64_t i = 10; i <= 50; i += 10) {
    AddWitness(At(i), &witnesses);
  }
  DropWitnessesBeyond({30, 30}, &witnesses);
  EXPECT_EQ(Commits(witnesses), (std::vector<std::uint64_t>{30, 20, 10}));
}

}  // namespace
}  // namespace catchup
