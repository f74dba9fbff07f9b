#include "host/base/text.h"

#include <gtest/gtest.h>

#include <vector>

namespace catchup {
namespace {

std::string Json(std::string_view text) {
  std::string out;
  AppendJsonString(text, &out);
  return out;
}

TEST(TextTest, LeavesATextThatFitsAsItIs) {
  EXPECT_EQ(CutText("", 3), "");
  EXPECT_EQ(CutText("abcdef", 6), "abcdef");
}

TEST(TextTest, CutsBetweenCharactersAndSaysSoWithinTheBound) {
  EXPECT_EQ(CutText("abcdefg", 6), "abc…");
  EXPECT_EQ(CutText("aäbcdef", 6), "aä…");
  EXPECT_EQ(CutText("abäcdef", 6), "ab…");
  EXPECT_EQ(CutText("😀😀", 6), "…");
}

TEST(TextTest, MakesOneLineOfAnyText) {
  EXPECT_EQ(OneLine("a\nb\r\tc\x1b[1m\x7f", 64), "a b  c [1m ");
  EXPECT_EQ(OneLine("äöü", 64), "äöü");
  EXPECT_EQ(OneLine("line\nand more", 8), "line …");
}

TEST(TextTest, WritesJsonThatNoTerminalObeys) {
  EXPECT_EQ(Json("a\"b\\c\n\x01\x7f"), R"("a\"b\\c\n\u0001\u007f")");
  EXPECT_EQ(Json("\xc2\x9b[2J"), R"("\u009b[2J")");
  EXPECT_EQ(Json("\xff|\xc3|ä"), "\"\xef\xbf\xbd|\xef\xbf\xbd|ä\"");
}

TEST(TextTest, QuotesABeginning) {
  EXPECT_EQ(Quoted("a\"b", 80), R"("a\"b")");
  EXPECT_EQ(Quoted("aäbcdef", 6), "\"aä…\"");
}

TEST(TextTest, LeavesOutWhoLogsInAtAUrl) {
  EXPECT_EQ(WithoutUserInfo("kurrentdb://admin:s3cret@a:2113?tls=false"),
            "kurrentdb://…@a:2113?tls=false");
  EXPECT_EQ(WithoutUserInfo("cannot open kdb://u:a@b/c?d@h: not \"pg://u:p@h\" but x://h, y@z"),
            "cannot open kdb://…@h: not \"pg://…@h\" but x://h, y@z");
  EXPECT_EQ(WithoutUserInfo("a://b://c@d"), "a://…@d");
  EXPECT_EQ(WithoutUserInfo("://@"), "://…@");
  EXPECT_EQ(WithoutUserInfo("://"), "://");
  EXPECT_EQ(WithoutUserInfo(""), "");
  EXPECT_EQ(WithoutUserInfo("mail me@home of http://a"), "mail me@home of http://a");
}

TEST(TextTest, WritesAndReadsHexadecimalDigits) {
  EXPECT_EQ(HexText(std::vector<std::uint8_t>{0, 1, 0x9a, 0xff}), "00019aff");
  EXPECT_EQ(HexText({}), "");
  EXPECT_EQ(HexValue('7'), 7);
  EXPECT_EQ(HexValue('b'), 11);
  EXPECT_EQ(HexValue('B'), 11);
  EXPECT_EQ(HexValue('g'), -1);
}

}  // namespace
}  // namespace catchup
