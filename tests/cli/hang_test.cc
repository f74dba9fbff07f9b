#include <gtest/gtest.h>

#include "tests/e2e/harness.h"

namespace catchup::e2e {
namespace {

TEST(HangTest, ACallThatNeverReturnsIsNamedWithItsLimitAndWhatWasNotFed) {
  Site site;
  site.UseTestProgram(20);
  WriteFile(site.file("events.jsonl"), EventLine("s", "ok") + "\n" + EventLine("s", "hang") +
                                           "\n\n" + EventLine("s", "ok") + "\n" +
                                           EventLine("s", "ok"));
  const Finished tried = site.Catchup({"try", NOISY_PLUGIN, "events.jsonl"});
  EXPECT_EQ(tried.exit, 1);
  EXPECT_EQ(tried.out,
            "1  s@0  ok  OK\n2  s@1  hang  DIED  handle hung: it took longer than "
            "handler_timeout = 30s, a group's default\n");
  EXPECT_EQ(tried.err, "events.jsonl: 2 events behind line 2 were not fed\n");
}

}  // namespace
}  // namespace catchup::e2e
