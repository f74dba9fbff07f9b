#include "host/daemon/source/connect_patience.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace catchup {
namespace {

using namespace std::chrono_literals;

TEST(ConnectPatienceTest, IsLongerForAServerThatIsKnownToBeSlow) {
  ConnectPatience patience(10s);
  patience.SetSlow("a:1", true);
  EXPECT_EQ(patience.Of("a:1"), 10s);
  EXPECT_EQ(patience.Of("b:1"), ConnectPatience::kUsual);
  patience.SetSlow("a:1", false);
  EXPECT_EQ(patience.Of("a:1"), ConnectPatience::kUsual);
}

// Whoever cannot know which one helps.
TEST(ConnectPatienceTest, TakesTurnsWhereOneWasInVain) {
  ConnectPatience patience(10s);
  patience.Alternate("a:1");
  EXPECT_EQ(patience.Of("a:1"), 10s);
  patience.Alternate("a:1");
  EXPECT_EQ(patience.Of("a:1"), ConnectPatience::kUsual);
}

TEST(ConnectPatienceTest, RemembersNoMoreThanItHasRoomFor) {
  ConnectPatience patience(10s);
  for (int i = 0; i <= 256; ++i) {
    patience.SetSlow("a:" + std::to_string(i), true);
  }
  EXPECT_EQ(patience.Of("a:256"), 10s) << "the newest";
  EXPECT_EQ(patience.Of("a:0"), ConnectPatience::kUsual);
}

}  // namespace
}  // namespace catchup
