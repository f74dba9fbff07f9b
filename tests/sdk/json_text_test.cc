#include "catchup/json_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <regex>
#include <string>
#include <vector>

namespace catchup {
namespace {

using testing::HasSubstr;

bool IsOneValue(std::string_view text) {
  JsonCursor cursor(text);
  return cursor.SkipValue() && cursor.at_end();
}

TEST(JsonCursorTest, AcceptsEveryKindOfValue) {
  for (const char* text : {"null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "12",
                           "-3.5",
                           "1e9",
                           "1E+2",
                           "0.5e-3",
                           "\"\"",
                           "\"a\"",
                           "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\"",
                           "[]",
                           "[ ]",
                           "{}",
                           "{ }",
                           "[1,2]",
                           "[ 1 , [ ] ]",
                           "{\"a\":1}",
                           "{ \"a\" : { \"\" : [null] } , \"b\" : 2 }",
                           "\"\xC3\xA4\xE2\x82\xAC\"",
                           "\"\xF0\x9F\x98\x80\"",
                           "\"\x7F\"",
                           "\"\\ud800\"",
                           "{\"a\":1,\"a\":2}"}) {
    EXPECT_TRUE(IsOneValue(text)) << text;
  }
}

TEST(JsonCursorTest, RefusesWhatIsNotOneValue) {
  for (const std::string text : {"",
                                 " ",
                                 "nul",
                                 "nulls",
                                 "True",
                                 "01",
                                 "-",
                                 "+1",
                                 ".5",
                                 "1.",
                                 "1e",
                                 "1e+",
                                 "0x1",
                                 "NaN",
                                 "Infinity",
                                 "'a'",
                                 "\"a",
                                 "\"\\x\"",
                                 "\"\\u12g4\"",
                                 "\"\\u12",
                                 "\"\t\"",
                                 "[",
                                 "]",
                                 "[1,]",
                                 "[1 2]",
                                 "[,1]",
                                 "{",
                                 "{a:1}",
                                 "{\"a\"}",
                                 "{\"a\":}",
                                 "{\"a\":1,}",
                                 "{\"a\":1 \"b\":2}",
                                 "{1:2}",
                                 "[}",
                                 "{]",
                                 "[1}",
                                 "{\"a\":1]",
                                 "1 2",
                                 "{}{}",
                                 "// c\n1",
                                 "\xEF\xBB\xBF"
                                 "1"}) {
    EXPECT_FALSE(IsOneValue(text)) << text;
  }
}

TEST(JsonCursorTest, RefusesTextThatIsNotUtf8) {
  for (const std::string bytes :
       {"\x80", "\xC3", "\xC0\xAF", "\xC1\xBF", "\xE0\x80\xAF", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xE2\x82", "\xF0\x80\x80\xAF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
        "\xF5\x80\x80\x80", "\xFF", "\xFE"}) {
    EXPECT_FALSE(IsOneValue("\"" + bytes + "\"")) << nlohmann::json(bytes.size());
    EXPECT_EQ(Utf8SequenceSize(bytes), 0u);
  }
}

// The fast path looks at eight bytes at once, so every byte is tried at every place of a word.
TEST(JsonCursorTest, FindsASpecialByteWhereverItLies) {
  for (std::size_t at = 0; at < 24; ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string text(24, 'x');
      text[at] = static_cast<char>(byte);
      const bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
      EXPECT_EQ(json_text_internal::PlainPrefix(text), plain ? 24 : at) << byte << " at " << at;
    }
  }
}

TEST(JsonCursorTest, HasNoLimitOfDepth) {
  for (const std::size_t depth : {1u, 63u, 64u, 65u, 128u, 129u, 1'000'000u}) {
    std::string text;
    std::string end;
    for (std::size_t i = 0; i < depth; ++i) {
      text += i % 3 == 0 ? "{\"a\":" : "[";
      end += (depth - 1 - i) % 3 == 0 ? "}" : "]";
    }
    EXPECT_TRUE(IsOneValue(text + "1" + end)) << depth;
    std::string wrong = end;
    wrong.back() = wrong.back() == '}' ? ']' : '}';
    EXPECT_FALSE(IsOneValue(text + "1" + wrong)) << depth;
    EXPECT_FALSE(IsOneValue(text + "1" + end.substr(1))) << depth;
  }
}

TEST(JsonCursorTest, StopsBehindOneValueAndLeavesTheRest) {
  JsonCursor cursor("[1,2] tail");

  ASSERT_TRUE(cursor.SkipValue());

  EXPECT_EQ(cursor.offset(), 5u);
}

TEST(JsonCursorTest, SaysColumnFoundAndWanted) {
  const auto fault = [](std::string_view text) {
    JsonCursor cursor(text);
    EXPECT_FALSE(cursor.SkipValue()) << text;
    return cursor.fault();
  };
  EXPECT_EQ(fault("[1 2]"), "column 4: found '2', wanted ',' or ']'");
  EXPECT_EQ(fault("{\"a\" 1}"), "column 6: found '1', wanted ':' after the name of a member");
  EXPECT_EQ(fault("{\"a\":"), "column 6: found the end, wanted a JSON value");
  EXPECT_EQ(fault("\"a\x01\""), "column 3: found byte 0x01, wanted an escaped control character");
  EXPECT_EQ(fault("\"\xFF\""), "column 2: found byte 0xFF, wanted UTF-8");
}

TEST(JsonCursorTest, ReadsTheTextOfAString) {
  std::string text;
  JsonCursor cursor("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\u00e4\\u20AC\\ud83d\\ude00\xC3\xBC\"");

  ASSERT_TRUE(cursor.ReadString(&text));

  EXPECT_EQ(text,
            std::string("a\"\\/\b\f\n\r\t\0\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\xC3\xBC", 21));
}

TEST(JsonCursorTest, RefusesHalfASurrogateWhereTextIsWanted) {
  for (const char* text : {"\"\\ud800\"", "\"\\ude00\"", "\"\\ud800\\u0041\"", "\"\\ud800x\""}) {
    std::string out;
    JsonCursor cursor(text);
    EXPECT_FALSE(cursor.ReadString(&out)) << text;
    EXPECT_THAT(cursor.fault(), HasSubstr("column 2: found '\\', wanted a pair of surrogates"));
  }
}

// Another parser is the judge: random edits of a document are accepted by both or by neither.
TEST(JsonCursorTest, AgreesWithAnotherParserOnDamagedText) {
  const std::string base = R"({"a":[1,-2.5e3,true,null],"b":{"c":"x\u00e4\n"},"d":"ü€","e":[]})";
  static constexpr std::string_view kBytes = "{}[]\",:0123456789.-+eEtrufalsn\\ \xC3\xFF";
  std::mt19937 random(7);
  int accepted = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string text = base;
    for (auto edits = random() % 3; edits > 0; --edits) {
      const std::size_t at = random() % text.size();
      const char byte = kBytes[random() % kBytes.size()];
      if (random() % 2 == 0) {
        text[at] = byte;
      } else {
        text.insert(at, 1, byte);
      }
    }
    // The judge wants escaped surrogates in pairs and numbers that fit a double; the grammar asks
    // for neither.
    static const std::regex kBeyondGrammar("\\\\u[dD]|[eE]\\+?[0-9]{3}");
    if (std::regex_search(text, kBeyondGrammar)) continue;
    const bool expected = nlohmann::json::accept(text);
    EXPECT_EQ(VisitJsonMembers(
                  text, [](const auto&, auto) {}, &text),
              expected)
        << text;
    accepted += expected ? 1 : 0;
  }
  EXPECT_GT(accepted, 10'000);
  EXPECT_LT(accepted, 45'000);
}

TEST(IsJsonOnOneLineTest, RefusesWhatALineWouldNotKeep) {
  EXPECT_TRUE(IsJsonOnOneLine("{\"a\": \t1}"));
  EXPECT_TRUE(IsJsonOnOneLine("\"\\n\""));
  for (const std::string_view bytes : {" 1", "1 ", "1\n", "[1,\n2]", "[1,\r2]", "", "\t{}"}) {
    EXPECT_FALSE(IsJsonOnOneLine(bytes)) << bytes;
  }
}

TEST(VisitJsonMembersTest, GivesNamesDecodedAndValuesAsWritten) {
  std::vector<std::string> seen;
  std::string fault;

  const bool good = VisitJsonMembers(
      " {\"a\\u0062\": [1, 2] , \"c\":\"x\\n\"} ",
      [&](const std::string& name, std::string_view value) {
        seen.push_back(name + "=" + std::string(value));
      },
      &fault);

  EXPECT_TRUE(good) << fault;
  EXPECT_EQ(seen, (std::vector<std::string>{"ab=[1, 2]", "c=\"x\\n\""}));
}

TEST(VisitJsonMembersTest, SaysWhereTheObjectGoesWrong) {
  std::string fault;
  const auto visit = [](const std::string&, std::string_view) {};

  EXPECT_FALSE(VisitJsonMembers("[]", visit, &fault));
  EXPECT_EQ(fault, "column 1: found '[', wanted an object");
  EXPECT_FALSE(VisitJsonMembers("{\"a\":1,}", visit, &fault));
  EXPECT_EQ(fault, "column 8: found '}', wanted a string");
  EXPECT_FALSE(VisitJsonMembers("{} x", visit, &fault));
  EXPECT_EQ(fault, "column 4: found 'x', wanted the end after the object");
}

TEST(AppendJsonStringTest, EveryByteGivesAJsonString) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = std::string("a") + static_cast<char>(byte) + "b";
    std::string out;
    AppendJsonString(&out, text);
    std::string back;
    JsonCursor cursor(out);
    ASSERT_TRUE(cursor.ReadString(&back) && cursor.at_end()) << byte;
    EXPECT_EQ(back, byte < 0x80 ? text
                                : "a\xEF\xBF\xBD"
                                  "b")
        << byte;
  }
}

}  // namespace
}  // namespace catchup
