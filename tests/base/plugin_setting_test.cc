#include "host/base/plugin_setting.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace catchup {
namespace {

// The one form of a path, or "none" for what is no dotted key.
std::string Normal(std::string_view dotted) {
  std::string path;
  return NormalizeSettingPath(dotted, 1000, &path) ? path : "none";
}

std::string Path(const std::vector<std::string>& keys) {
  std::string path;
  for (const std::string& key : keys) {
    AppendSettingKey(key, &path);
  }
  return path;
}

TEST(PluginSettingTest, AKeyIsQuotedOnlyWhereItMustBe) {
  EXPECT_EQ(Path({"database", "host-1", "A_b"}), "database.host-1.A_b");
  EXPECT_EQ(Path({"a.b", "c"}), "\"a.b\".c");
  EXPECT_EQ(Path({""}), "\"\"");
  EXPECT_EQ(Path({"", ""}), "\"\".\"\"");
  EXPECT_EQ(Path({"x y", "q\"\\"}), "\"x y\".\"q\\\"\\\\\"");
  EXPECT_EQ(Path({"\xC3\xA9"}), "\"\xC3\xA9\"");
  EXPECT_EQ(Path({std::string("\n\0\x7F", 3)}), "\"\\u000A\\u0000\\u007F\"");
}

TEST(PluginSettingTest, EveryWayToWriteAKeyGivesTheSamePath) {
  for (const char* dotted : {"a.b", " a . b ", "\"a\".'b'", "\"\\u0061\".b", "a.\"\\U00000062\""}) {
    EXPECT_EQ(Normal(dotted), "a.b") << dotted;
  }
  for (const char* dotted : {"\"a.b\"", "'a.b'", "\"a\\u002Eb\""}) {
    EXPECT_EQ(Normal(dotted), "\"a.b\"") << dotted;
  }
  EXPECT_EQ(Normal("'\\'"), "\"\\\\\"");
  EXPECT_EQ(Normal("\"\\b\\t\\n\\f\\r\\\"\\\\\""),
            "\"\\u0008\\u0009\\u000A\\u000C\\u000D\\\"\\\\\"");
  EXPECT_EQ(Normal("\"\\u00e9\\u20AC\\U0001F600\""), "\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
  EXPECT_EQ(Normal("''"), "\"\"");
}

TEST(PluginSettingTest, WhatIsNoDottedKeyIsRefused) {
  for (const char* dotted :
       {"", " ", ".", "a.", ".a", "a..b", "a b", "a/b", "servers[0]", "\xC3\xA9", "\"a", "'a",
        "\"a\"b", "\"a\nb\"", "\"\\x\"", "\"\\u12\"", "\"\\uD800\"", "\"\\U00110000\"", "\"\\"}) {
    EXPECT_EQ(Normal(dotted), "none") << dotted;
  }
}

TEST(PluginSettingTest, KeepsToTheLimit) {
  std::string path;
  EXPECT_TRUE(NormalizeSettingPath("abcdef.\"x y\"", 4, &path));
  EXPECT_EQ(path, "abcd");
  EXPECT_FALSE(NormalizeSettingPath("abcdef.", 4, &path));
}

}  // namespace
}  // namespace catchup
