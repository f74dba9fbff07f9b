#include "host/base/signals.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

TEST(SignalNameTest, IsTheUsualOneWhereThereIsOne) {
  EXPECT_EQ(SignalName(11), "SIGSEGV");
  EXPECT_EQ(SignalName(SIGRTMIN + 2), "SIGRTMIN+2");
  EXPECT_EQ(SignalName(200), "signal 200");
}

}  // namespace
}  // namespace catchup
