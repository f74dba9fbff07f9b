#include "tests/e2e/oracle.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

// The judge of histories is judged: one good history, and for each way to break a promise that it
// knows of some that do.

namespace catchup::e2e {
namespace {

using State = KeptLetter::State;

// The n-th event of the log, from 1.
Position At(std::uint64_t n) { return {n * 100, n * 100}; }

// Streams a and b by turns, eight events: a@0 b@0 a@1 b@1 … The third, a@1, fails in the first
// life, becomes a letter with its follower a@2, and heals in the second, after a kill that lets b@1
// come again.
History Good() {
  History history;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    history.log.push_back({At(n), n % 2 == 1 ? "a" : "b", (n - 1) / 2});
  }
  history.deliveries = {{At(1), true}, {At(2), true}, {At(3), false}, {At(4), true}, {At(6), true},
                        {At(6), true}, {At(3), true}, {At(5), true},  {At(7), true}, {At(8), true}};
  history.lives = {{Life::End::kHostKilled,
                    5,
                    0,
                    At(5),
                    {{At(3), State::kHealing}, {At(5), State::kFollower}},
                    false},
                   {Life::End::kStopped, 10, 0, At(8), {}, false}};
  history.duplicate_bound = 2;
  history.outage_only = true;
  return history;
}

TEST(OracleTest, AGoodHistoryIsGood) {
  EXPECT_EQ(Judge(Good()), std::vector<std::string>{});
  EXPECT_EQ(Judge(History{}), std::vector<std::string>{});
}

struct Bad {
  const char* what;
  const char* breaks;  // What the text of the judge's that finds it begins with.
  std::function<void(History*)> change;
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.breaks << " " << bad.what; }

class BadHistoryTest : public testing::TestWithParam<Bad> {};

TEST_P(BadHistoryTest, IsFound) {
  History history = Good();
  GetParam().change(&history);
  bool found = false;
  std::string all;
  for (const std::string& fault : Judge(history)) {
    found = found || fault.rfind(GetParam().breaks, 0) == 0;
    all += fault + "\n";
  }
  EXPECT_TRUE(found) << all;
}

void Drop(History* history, std::size_t delivery) {
  history->deliveries.erase(history->deliveries.begin() + static_cast<std::ptrdiff_t>(delivery));
  for (Life& life : history->lives) {
    life.deliveries -= life.deliveries > delivery ? 1 : 0;
  }
}

void Insert(History* history, std::size_t before, Delivery delivery) {
  history->deliveries.insert(history->deliveries.begin() + static_cast<std::ptrdiff_t>(before),
                             delivery);
  for (Life& life : history->lives) {
    life.deliveries += life.deliveries > before ? 1 : 0;
  }
}

const std::vector<Bad> kBad = {
    // Loss.
    {"the last event is never delivered", "I1", [](History* h) { Drop(h, 9); }},
    {"the first is never delivered", "I1", [](History* h) { Drop(h, 0); }},
    {"one in the middle is never delivered", "I1", [](History* h) { Drop(h, 3); }},
    {"its only delivery fails", "I1", [](History* h) { h->deliveries[9].applied = false; }},
    {"a letter is gone and was not applied", "I1",
     [](History* h) { h->deliveries[6].applied = false; }},
    {"a follower is gone and was not applied", "I1", [](History* h) { Drop(h, 7); }},
    {"it was applied in a life that the journal lost", "I1",
     [](History* h) {
       h->deliveries.clear();
       h->lives[0].deliveries = h->lives[1].deliveries = 0;
     }},
    {"letters are gone after the kill, and nothing came again", "I1",
     [](History* h) {
       h->lives[0].letters.clear();
       h->lives[1].letters.clear();
       Drop(h, 7);
       Drop(h, 6);
     }},
    {"only what lies beyond the last checkpoint is missing", "I1",
     [](History* h) {
       h->lives[1].checkpoint = At(7);
       Drop(h, 9);
     }},
    // Overrun.
    {"the checkpoint passes an event that is called in the next life", "I2",
     [](History* h) { h->lives[0].checkpoint = At(7); }},
    {"the checkpoint passes one whose call failed and that is no letter", "I2",
     [](History* h) {
       h->lives[0].letters = {{At(5), State::kFollower}};
     }},
    {"the checkpoint is at the end of the log in the first life", "I2",
     [](History* h) { h->lives[0].checkpoint = At(8); }},
    {"the checkpoint passes a follower that is not kept", "I2",
     [](History* h) {
       h->lives[0].letters = {{At(3), State::kHealing}};
     }},
    // Letter first.
    {"a letter is there only in the next life", "I3",
     [](History* h) {
       h->outage_only = false;
       h->lives[0].letters = {{At(5), State::kFollower}};
       h->lives[1].letters = {{At(3), State::kDead}};
       h->deliveries[6].applied = false;
     }},
    {"a follower is there only in the next life", "I3",
     [](History* h) {
       h->outage_only = false;
       h->lives[0].letters = {{At(3), State::kHealing}};
       h->lives[1].letters = {{At(5), State::kFollower}};
       h->deliveries[7].applied = false;
     }},
    // Order.
    {"two of a stream are called the wrong way round", "I4",
     [](History* h) { std::swap(h->deliveries[1], h->deliveries[3]); }},
    {"a follower is called before its letter is applied", "I4",
     [](History* h) { std::swap(h->deliveries[6], h->deliveries[7]); }},
    {"a live event overtakes what waits behind the letter", "I4",
     [](History* h) { std::swap(h->deliveries[8], h->deliveries[7]); }},
    {"an event of a letter's stream is called at once", "I4",
     [](History* h) {
       Insert(h, 4, {At(5), true});
     }},
    {"the second of a stream comes first", "I4",
     [](History* h) { std::swap(h->deliveries[0], h->deliveries[6]); }},
    {"an event is applied though the one before never is", "I4", [](History* h) { Drop(h, 1); }},
    // Repeats.
    {"more than the bound come again after a kill", "I5",
     [](History* h) {
       h->lives[0].checkpoint.reset();
       h->duplicate_bound = 0;
     }},
    {"something comes again after an orderly stop", "I5",
     [](History* h) { h->lives[0].end = Life::End::kStopped; }},
    {"an event below the checkpoint comes again", "I5",
     [](History* h) { h->lives[0].checkpoint = At(6); }},
    {"the log is read from its beginning again", "I5",
     [](History* h) {
       Insert(h, 5, {At(1), true});
     }},
    {"an event comes twice in one life", "I5",
     [](History* h) {
       h->lives[0].end = Life::End::kStopped;
       Drop(h, 5);
       Insert(h, 8, {At(8), true});
     }},
    {"a healed letter is called once more", "I5",
     [](History* h) {
       h->duplicate_bound = 1;
       Insert(h, 8, {At(3), true});
     }},
    // Letters.
    {"a letter stays though nothing fails any more", "I8",
     [](History* h) {
       h->lives[1].letters = {{At(3), State::kHealing}};
     }},
    {"a follower stays", "I8",
     [](History* h) {
       h->lives[1].letters = {{At(5), State::kFollower}};
     }},
    {"an outage leaves a dead letter", "I8",
     [](History* h) {
       h->lives[1].letters = {{At(3), State::kDead}};
       h->deliveries[6].applied = false;
     }},
    {"a letter stays though it is applied", "I8",
     [](History* h) {
       h->outage_only = false;
       h->lives[1].letters = {{At(7), State::kHealing}};
     }},
    // Monotone.
    {"the checkpoint goes back", "I9", [](History* h) { h->lives[1].checkpoint = At(4); }},
    {"the checkpoint is gone", "I9", [](History* h) { h->lives[1].checkpoint.reset(); }},
    {"the checkpoint goes back by one half", "I9",
     [](History* h) {
       h->lives[1].checkpoint = Position{500, 400};
     }},
    // What cannot be.
    {"something is delivered that is not in the log", "log",
     [](History* h) {
       Insert(h, 4, {{450, 450}, true});
     }},
    {"the right place with a wrong half", "log",
     [](History* h) { h->deliveries[4].place.prepare = 0; }},
    {"a letter of what is not in the log", "log",
     [](History* h) {
       h->lives[0].letters.push_back({{450, 450}, State::kDead});
     }},
    {"a letter twice", "log",
     [](History* h) { h->lives[0].letters.push_back(h->lives[0].letters[0]); }},
    {"the journal is shorter than it was", "log", [](History* h) { h->lives[1].deliveries = 3; }},
};

INSTANTIATE_TEST_SUITE_P(Oracle, BadHistoryTest, testing::ValuesIn(kBad));

// A command may put the checkpoint back, and then all comes again.
TEST(OracleTest, AResetIsNoFault) {
  History history = Good();
  history.lives[1].reset = true;
  for (std::uint64_t n = 1; n <= 8; ++n) {
    history.deliveries.push_back({At(n), true});
  }
  history.lives.push_back({Life::End::kStopped, 18, 0, At(8), {}, false});
  EXPECT_EQ(Judge(history), std::vector<std::string>{});
}

// A letter that was called well just before a kill, which kept that from the disk, is called again
// when its turn comes, and that may be after an orderly stop.
TEST(OracleTest, ALetterWhoseEndAKillTookIsCalledOnceMore) {
  History history = Good();
  history.deliveries[5] = {At(3), true};
  history.lives[0].deliveries = 6;
  history.lives[1].deliveries = 6;
  history.lives[1].checkpoint = At(5);
  history.lives[1].letters = history.lives[0].letters;
  history.lives.push_back({Life::End::kStopped, 10, 0, At(8), {}, false});
  EXPECT_EQ(Judge(history), std::vector<std::string>{});
  history.lives[0].end = Life::End::kStopped;
  EXPECT_EQ(Judge(history).size(), 1u) << "without a kill there is nothing to take";
}

// An event that a kill lets come again may be a follower by then, and is called when its turn
// comes.
TEST(OracleTest, WhatComesAgainAsAFollowerIsCalledOnceMore) {
  History history;
  history.log = {{At(1), "a", 0}, {At(2), "a", 1}};
  // The first healed and the second followed, which a kill kept from the disk.
  history.deliveries = {{At(1), false}, {At(1), true}, {At(2), true}, {At(1), true}, {At(2), true}};
  const KeptLetter first{At(1), State::kHealing};
  history.lives = {{Life::End::kHostKilled, 3, 0, std::nullopt, {first}, false},
                   {Life::End::kStopped, 3, 0, At(2), {first, {At(2), State::kFollower}}, false},
                   {Life::End::kStopped, 5, 0, At(2), {}, false}};
  history.duplicate_bound = 1;
  EXPECT_EQ(Judge(history), std::vector<std::string>{});
  history.duplicate_bound = 0;
  EXPECT_EQ(Judge(history).size(), 1u) << "it counts among what the kill lets come again";
  history.duplicate_bound = 1;
  history.lives[0].end = Life::End::kStopped;
  EXPECT_EQ(Judge(history).size(), 2u) << "without a kill neither comes again";
}

// A runner's death lets come again what it had, within the same life.
TEST(OracleTest, ARunnersDeathAllowsForRepeats) {
  History history = Good();
  Insert(&history, 9, {At(7), true});
  EXPECT_EQ(Judge(history), std::vector<std::string>{}) << "within the kill's bound";
  Insert(&history, 9, {At(7), true});
  EXPECT_EQ(Judge(history).size(), 1u);
  history.lives[1].runner_deaths = 1;
  EXPECT_EQ(Judge(history), std::vector<std::string>{});
}

}  // namespace
}  // namespace catchup::e2e
