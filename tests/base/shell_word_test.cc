#include "host/base/shell_word.h"

#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

TEST(ShellWordTest, LeavesAPlainPathAsItIs) {
  EXPECT_EQ(ShellWord("/usr/lib/catchup-1.0/a_b.so"), "/usr/lib/catchup-1.0/a_b.so");
}

TEST(ShellWordTest, QuotesWhatAShellWouldReadOtherwise) {
  EXPECT_EQ(ShellWord(""), "''");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
  EXPECT_EQ(ShellWord("~/$x"), "'~/$x'");
  EXPECT_EQ(ShellWord("it's"), "'it'\\''s'");
}

TEST(CommandToReadTest, IsEmptyWhereNothingIsInTheWay) { EXPECT_EQ(CommandToRead("/"), ""); }

}  // namespace
}  // namespace catchup
