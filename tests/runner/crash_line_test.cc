#include "host/ring/contract/crash_line.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

TEST(CrashLineTest, ReadsAllThatALineSays) {
  const auto record = ParseCrashLine(
      "\x1e"
      "crash\tpid=7\tsignal=11\tcall=handle_batch\tevent=812\tplugin=totals 1.2.0\tlane=3"
      "\tevents=40\tstream=order-7 \\x0a\trevision=18446744073709551615"
      "\tframes=totals.so+0x1139 0x7f12\tmodules=totals.so=ab12\tnewer=whatever");
  ASSERT_TRUE(record.has_value());
  EXPECT_EQ(record->pid, 7);
  EXPECT_EQ(record->signal, 11);
  EXPECT_EQ(record->call, "handle_batch");
  EXPECT_EQ(record->ticket, 812u);
  EXPECT_EQ(record->plugin, "totals 1.2.0");
  EXPECT_EQ(record->lane, 3u);
  EXPECT_EQ(record->events, 40u);
  EXPECT_EQ(record->stream, "order-7 \\x0a");
  EXPECT_EQ(record->revision, 18446744073709551615u);
  EXPECT_EQ(record->frames, "totals.so+0x1139 0x7f12");
  EXPECT_EQ(record->modules, "totals.so=ab12");
}

TEST(CrashLineTest, TakesNothingElseForAReport) {
  for (const char* line : {"", "crash\tpid=7\tsignal=11", "\x1e",
                           "\x1e"
                           "cras",
                           "\x1e"
                           "crash",
                           "\x1e"
                           "crashed\tpid=7\tsignal=11",
                           "\x1e"
                           "crash\tpid=7",
                           "\x1e"
                           "crash\tsignal=11",
                           "\x1e"
                           "crash\tpid=-7\tsignal=11",
                           "\x1e"
                           "crash\tpid=7\tsignal=eleven",
                           "\x1e"
                           "crash\tpid=7\tsignal=11\tevent=-1",
                           "\x1e"
                           "crash\tpid=7\tsignal=11\tlane",
                           "\x1e"
                           "crash\tpid=7\tsignal=11\tlane=99999999999999999999"}) {
    EXPECT_FALSE(ParseCrashLine(line).has_value()) << line;
  }
}

}  // namespace
}  // namespace catchup
