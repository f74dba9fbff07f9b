#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/e2e/harness.h"

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

// Takes the 60 s that the host grants, here divided.
TEST(StallTest, UntilCaughtUpGivesUpAfterAMinuteAndSaysWhatItWaitedFor) {
  Site site;
  site.UseTestProgram(30);
  site.Configure(JsonlGroup("one"), "kurrentdb://127.0.0.1:1?tls=false");
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 1) << run.err;
  const HostLog log = run.Log();
  EXPECT_EQ(log.Last("No group has moved for 60 s", "one", "state"), "waiting") << run.err;
  EXPECT_THAT(log.Last("No group has moved for 60 s", "one", "reason"), HasSubstr("127.0.0.1:1"))
      << run.err;
}

}  // namespace
}  // namespace catchup::e2e
