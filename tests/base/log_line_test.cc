#include "host/base/log_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kTime = 17'955'583'175'720'000;

std::string Json(const std::vector<LogField>& fields, std::string_view msg = "Text",
                 std::string_view group = "g") {
  return FormatLogJson({kTime, LogLevel::kWarn, msg, "Group.Run", group, fields});
}

std::string Text(const std::vector<LogField>& fields, std::string_view msg = "Text",
                 std::string_view group = "g") {
  return FormatLogText({kTime, LogLevel::kWarn, msg, "Group.Run", group, fields});
}

TEST(LogLineTest, WritesTheConstantPartFirst) {
  EXPECT_EQ(Json({}), R"({"time":"2026-11-24T22:11:57.5720000Z","level":"warn","msg":"Text",)"
                      R"("method":"Group.Run","group":"g"})");
}

TEST(LogLineTest, HasANullGroupForTheHost) {
  EXPECT_THAT(Json({}, "Text", ""), HasSubstr(R"("group":null})"));
}

TEST(LogLineTest, WritesEveryKindOfField) {
  const std::string line = Json({{"text", "a"},
                                 {"owned", std::string("b")},
                                 {"negative", -5},
                                 {"largest", ~0ull},
                                 {"smallest", std::numeric_limits<std::int64_t>::min()},
                                 {"real", 0.5},
                                 {"nan", std::nan("")},
                                 {"flag", true}});
  EXPECT_THAT(line,
              HasSubstr(R"("text":"a","owned":"b","negative":-5,"largest":18446744073709551615,)"
                        R"("smallest":-9223372036854775808,"real":0.5,"nan":null,"flag":true})"));
}

TEST(LogLineTest, EscapesWhatJsonAndTerminalsTrip) {
  const std::string line =
      Json({{"x", std::string_view("a\"\\\n\r\t\0\x1b[2J\x7f\xc2\x9b\xe2\x82\xac", 17)}});
  EXPECT_THAT(line, HasSubstr(R"("x":"a\"\\\n\r\t\u0000\u001b[2J\u007f\u009b€")"));
}

TEST(LogLineTest, ReplacesWhatIsNotUtf8) {
  for (const std::string bad :
       {"\x80", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88"}) {
    const std::string line = Json({{"x", bad}});
    EXPECT_THAT(line, HasSubstr("\"x\":\"\xef\xbf\xbd"));
    EXPECT_TRUE(nlohmann::json::accept(line));
  }
}

TEST(LogLineTest, ParsesWhateverIsPutIn) {
  std::mt19937 random(3);
  for (int i = 0; i < 2000; ++i) {
    std::string name(random() % 20, '\0');
    std::string value(random() % 3000, '\0');
    for (char& c : name) c = static_cast<char>(random());
    for (char& c : value) c = static_cast<char>(random());
    const std::string line = Json({{name, value}, {"n", i}}, value, name + "g");
    ASSERT_LE(line.size(), kMaxLogLine);
    ASSERT_THAT(line, Not(HasSubstr("\n")));
    const auto parsed = nlohmann::json::parse(line, nullptr, false);
    ASSERT_FALSE(parsed.is_discarded()) << line;
    ASSERT_EQ(parsed["level"], "warn");
  }
}

TEST(LogLineTest, CutsALongTextAndSaysSo) {
  const std::string huge(10u << 20, 'x');
  const auto parsed = nlohmann::json::parse(Json({{"x", huge}, {"after", 1}}));
  EXPECT_EQ(parsed["truncated"], true);
  EXPECT_EQ(parsed["after"], 1);
  const auto text = parsed["x"].get<std::string>();
  EXPECT_GT(text.size(), 4000u);
  EXPECT_EQ(text.substr(text.size() - 3), "…");
}

TEST(LogLineTest, StaysUnderItsBoundForAnyNumberOfFields) {
  const std::string text(1000, '\x01');
  const std::vector<LogField> fields(500, LogField("name", text));
  const std::string line = Json(fields);
  EXPECT_LE(line.size(), kMaxLogLine);
  EXPECT_EQ(nlohmann::json::parse(line)["truncated"], true);
  EXPECT_LE(Text(fields).size(), kMaxLogLine);
}

TEST(LogLineTest, BoundsTheFixedPartToo) {
  const std::string huge(100'000, '"');
  const std::string line =
      FormatLogJson({kTime, LogLevel::kInfo, huge, huge, huge, std::span<const LogField>()});
  EXPECT_LE(line.size(), kMaxLogLine);
  EXPECT_EQ(nlohmann::json::parse(line)["truncated"], true);
}

TEST(LogLineTest, IsReadableOnATerminal) {
  EXPECT_EQ(Text({{"position", "12:7"}, {"count", 5}, {"why", "no route"}, {"ok", false}}),
            "2026-11-24T22:11:57.572Z WARN   g  Text  position=12:7  count=5  why=\"no route\"  "
            "ok=false");
  EXPECT_EQ(Text({}, "Text", ""), "2026-11-24T22:11:57.572Z WARN   Text");
}

TEST(LogLineTest, LetsNoFieldDriveATerminal) {
  const std::string line = Text({{"x\x1b", "\x1b[2J\n\xc2\x9b"}}, "a\nb", "g\r");
  EXPECT_EQ(line, "2026-11-24T22:11:57.572Z WARN   g\\r  a\\nb  x\\u001b=\"\\u001b[2J\\n\\u009b\"");
}

}  // namespace
}  // namespace catchup
