#include "host/base/fifo.h"

#include <gtest/gtest.h>

#include <deque>

namespace catchup {
namespace {

TEST(FifoTest, KeepsTheOrderWhileItGoesRoundAndGrows) {
  Fifo<int> fifo;
  std::deque<int> wanted;
  int next = 0;
  for (int round = 0; round < 200; ++round) {
    for (int i = 0; i < round % 7 + 1; ++i) {
      fifo.push_back(next);
      wanted.push_back(next++);
    }
    for (int i = 0; i < round % 5 && !wanted.empty(); ++i) {
      EXPECT_EQ(fifo.front(), wanted.front());
      fifo.pop_front();
      wanted.pop_front();
    }
    ASSERT_EQ(fifo.size(), wanted.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(fifo[i], wanted[i]);
    }
    EXPECT_EQ(fifo.back(), wanted.back());
  }
}

TEST(FifoTest, IsEmptyAfterTheLastOne) {
  Fifo<int> fifo;
  EXPECT_TRUE(fifo.empty());
  fifo.push_back(1);
  fifo.push_back(2);
  fifo.pop_back();
  EXPECT_EQ(fifo.back(), 1);
  fifo.pop_front();
  EXPECT_TRUE(fifo.empty());
  fifo.push_back(3);
  fifo.clear();
  EXPECT_TRUE(fifo.empty());
}

}  // namespace
}  // namespace catchup
