#include "catchup/event_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::Optional;
using testing::StartsWith;

EventLine Sample() {
  EventLine event;
  event.stream = "order-7";
  event.type = "order-placed";
  event.data = "{\"orderId\": \"7\"}";
  event.metadata = "{\"by\":\"web\"}";
  for (std::size_t i = 0; i < 16; ++i) event.id[i] = static_cast<std::uint8_t>(i * 0x11);
  event.revision = 3;
  event.commit = 18446744073709551614u;
  event.prepare = 812;
  event.created_ticks = 17954915575720000;
  event.is_json = true;
  return event;
}

std::string Write(const EventLine& event) {
  std::string line;
  AppendEventLine(&line, event);
  return line;
}

ParsedEventLine Read(std::string_view line) {
  ParsedEventLine parsed;
  std::string error;
  EXPECT_TRUE(ParseEventLine(line, &parsed, &error)) << error << " in " << line;
  return parsed;
}

std::string ErrorOf(std::string_view line) {
  ParsedEventLine parsed;
  std::string error = "none";
  EXPECT_FALSE(ParseEventLine(line, &parsed, &error)) << line;
  return error;
}

TEST(AppendEventLineTest, WritesTheMembersInTheirOrder) {
  EXPECT_EQ(Write(Sample()),
            "{\"stream\":\"order-7\",\"type\":\"order-placed\","
            "\"id\":\"00112233-4455-6677-8899-aabbccddeeff\",\"revision\":3,"
            "\"commit\":\"18446744073709551614\",\"prepare\":\"812\","
            "\"created\":\"2026-11-24T03:39:17.5720000Z\","
            "\"data\":{\"orderId\": \"7\"},\"metadata\":{\"by\":\"web\"}}");
}

TEST(AppendEventLineTest, AddsToWhatIsThere) {
  std::string text = "before\n";
  AppendEventLine(&text, Sample());
  EXPECT_EQ(text, "before\n" + Write(Sample()));
}

TEST(AppendEventLineTest, LeavesOutWhatIsEmpty) {
  EventLine event = Sample();
  event.data = event.metadata = {};
  event.is_json = false;

  const std::string line = Write(event);

  EXPECT_THAT(line, Not(HasSubstr("data")));
  EXPECT_THAT(line, Not(HasSubstr("contentType")));
}

TEST(AppendEventLineTest, WritesTimesOfAnyAge) {
  EventLine event = Sample();
  const auto created = [&](std::int64_t ticks) {
    event.created_ticks = ticks;
    const std::string line = Write(event);
    const std::size_t start = line.find("\"created\":\"") + 11;
    return line.substr(start, line.find('"', start) - start);
  };
  EXPECT_EQ(created(0), "1970-01-01T00:00:00.0000000Z");
  EXPECT_EQ(created(-1), "1969-12-31T23:59:59.9999999Z");
  EXPECT_EQ(created(951782400'0000001), "2000-02-29T00:00:00.0000001Z");
  EXPECT_EQ(created(-62135596800'0000000), "0001-01-01T00:00:00.0000000Z");
  EXPECT_EQ(created(INT64_MAX), "31197-09-14T02:48:05.4775807Z");
  EXPECT_EQ(created(INT64_MIN), "-27258-04-19T21:11:54.5224192Z");
}

// Whatever the bytes are, they come back, and the content type with them.
TEST(EventLineTest, BringsEveryPayloadBackUnchanged) {
  const std::string payloads[] = {"",
                                  "{}",
                                  "{}\r\n",
                                  "\t[1]",
                                  "1 ",
                                  "null",
                                  "0",
                                  "\"\\ud800\"",
                                  "{ \"a\" : 1.50 }",
                                  "{\"a\":1,\"a\":2}",
                                  " {}",
                                  "{}\n",
                                  "{\n}",
                                  "text",
                                  "\xFF\xFE",
                                  std::string("\0\0", 2),
                                  "\"\xC3\xA4\"",
                                  "\"\xC3\"",
                                  "a",
                                  "ab",
                                  "abc",
                                  "abcd",
                                  std::string(1u << 20, 'x')};
  for (const std::string& bytes : payloads) {
    for (const bool is_json : {true, false}) {
      EventLine event = Sample();
      event.data = event.metadata = bytes;
      event.is_json = is_json;

      const std::string line = Write(event);
      const ParsedEventLine parsed = Read(line);

      EXPECT_EQ(parsed.data, bytes);
      EXPECT_EQ(parsed.metadata, bytes);
      EXPECT_EQ(parsed.is_json, is_json) << bytes.substr(0, 20);
      EXPECT_THAT(line, Not(HasSubstr("\n")));
    }
  }
}

TEST(EventLineTest, ChoosesTheMemberByTheBytesAndNamesTheOtherContentType) {
  EventLine event = Sample();
  const auto payload = [&](std::string_view data, bool is_json, std::string_view metadata = {}) {
    event.data = data;
    event.is_json = is_json;
    event.metadata = metadata;
    const std::string line = Write(event);
    const std::size_t end_of_created = line.find("Z\"") + 2;
    return line.substr(end_of_created, line.size() - end_of_created - 1);
  };
  EXPECT_EQ(payload("{\"a\":1}", true), ",\"data\":{\"a\":1}");
  EXPECT_EQ(payload("{\"a\":1}", false),
            ",\"data\":{\"a\":1},\"contentType\":\"application/octet-stream\"");
  EXPECT_EQ(payload("{\"a\":1}\n", true),
            ",\"dataBase64\":\"eyJhIjoxfQo=\",\"contentType\":\"application/json\"");
  EXPECT_EQ(payload(" 1", true), ",\"dataBase64\":\"IDE=\",\"contentType\":\"application/json\"");
  EXPECT_EQ(payload("{broken", true),
            ",\"dataBase64\":\"e2Jyb2tlbg==\",\"contentType\":\"application/json\"");
  EXPECT_EQ(payload("{broken", false), ",\"dataBase64\":\"e2Jyb2tlbg==\"");
  EXPECT_EQ(payload("", true), ",\"contentType\":\"application/json\"");
  // Metadata has no content type of its own.
  EXPECT_EQ(payload("", false, "[1]"), ",\"metadata\":[1]");
  EXPECT_EQ(payload("", false, "[1"), ",\"metadataBase64\":\"WzE=\"");
}

TEST(ParseEventLineTest, TheContentTypeMayStandAnywhere) {
  const auto is_json = [](const std::string& members) {
    return Read("{\"stream\":\"s\",\"type\":\"t\"," + members + "}").is_json;
  };
  EXPECT_TRUE(is_json("\"contentType\":\"application/json\",\"dataBase64\":\"IDE=\""));
  EXPECT_TRUE(is_json("\"dataBase64\":\"IDE=\",\"contentType\":\"application/json\""));
  EXPECT_FALSE(is_json("\"contentType\":\"application/octet-stream\",\"data\":1"));
  EXPECT_FALSE(is_json("\"data\":1,\"contentType\":\"application\\/octet-stream\""));
  EXPECT_TRUE(is_json("\"contentType\":\"application/json\""));
}

TEST(ParseEventLineTest, RefusesAContentTypeThatEventsDoNotHave) {
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"contentType\":\"text/plain\"}"),
            "column 40: found another \"contentType\", wanted \"application/json\" or "
            "\"application/octet-stream\"");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"contentType\":null}"),
            "column 40: found 'n', wanted a string, \"application/json\" or "
            "\"application/octet-stream\"");
}

TEST(EventLineTest, BringsNamesAndIdBack) {
  EventLine event = Sample();
  event.stream = "a\"\\\n\x01\xC3\xA4";
  event.type = "";

  const ParsedEventLine parsed = Read(Write(event));

  EXPECT_EQ(parsed.stream, event.stream);
  EXPECT_EQ(parsed.type, "");
  ASSERT_THAT(parsed.id, Optional(event.id));
}

TEST(EventLineTest, ANameThatIsNotUtf8LosesOnlyItsBadBytes) {
  EventLine event = Sample();
  event.stream = "a\xFFz";
  EXPECT_EQ(Read(Write(event)).stream, "a\xEF\xBF\xBDz");
}

TEST(ParseEventLineTest, NeedsNoMoreThanStreamAndType) {
  const ParsedEventLine parsed = Read("{\"stream\":\"s\",\"type\":\"t\"}");

  EXPECT_EQ(parsed.stream, "s");
  EXPECT_EQ(parsed.type, "t");
  EXPECT_EQ(parsed.data, "");
  EXPECT_FALSE(parsed.is_json);
  EXPECT_FALSE(parsed.id.has_value());
}

TEST(ParseEventLineTest, TakesTheSourceTextOfDataAsItStands) {
  const ParsedEventLine parsed =
      Read("\t{ \"data\" : { \"b\": 1.0,\"a\" :[ ]} , \"type\":\"t\", \"stream\":\"s\" } \r\n");

  EXPECT_EQ(parsed.data, "{ \"b\": 1.0,\"a\" :[ ]}");
  EXPECT_TRUE(parsed.is_json);
}

TEST(ParseEventLineTest, NullIsData) {
  const ParsedEventLine parsed = Read("{\"stream\":\"s\",\"type\":\"t\",\"data\":null}");

  EXPECT_EQ(parsed.data, "null");
  EXPECT_TRUE(parsed.is_json);
}

TEST(ParseEventLineTest, MayBeReusedWithoutAnythingLeftOver) {
  ParsedEventLine parsed;
  std::string error;
  ASSERT_TRUE(ParseEventLine(Write(Sample()), &parsed, &error));
  ASSERT_TRUE(ParseEventLine("{\"stream\":\"s\",\"type\":\"t\"}", &parsed, &error));

  EXPECT_EQ(parsed.data + parsed.metadata, "");
  EXPECT_FALSE(parsed.is_json);
  EXPECT_FALSE(parsed.id.has_value());
}

TEST(ParseEventLineTest, PassesOverUnknownMembersIfTheyAreJson) {
  Read("{\"stream\":\"s\",\"x\":{\"stream\":[1]},\"type\":\"t\",\"x\":2,\"revision\":\"odd\"}");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"x\":nope}"),
            "column 30: found 'n', wanted a JSON value");
}

TEST(ParseEventLineTest, KnowsANameHoweverItIsEscaped) {
  EXPECT_EQ(Read("{\"\\u0073tream\":\"s\",\"type\":\"t\"}").stream, "s");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"\\u0073tream\":\"s\",\"type\":\"t\"}"),
            "column 15: found \"stream\" a second time, wanted each member once");
}

TEST(ParseEventLineTest, RefusesAMemberGivenTwice) {
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"data\":1,\"data\":1}"),
            "column 35: found \"data\" a second time, wanted each member once");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"dataBase64\":\"\",\"data\":1}"),
            "column 42: found \"data\" and \"dataBase64\", wanted one of the two");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"metadata\":1,\"metadataBase64\":\"\"}"),
            "column 39: found \"metadata\" and \"metadataBase64\", wanted one of the two");
}

TEST(ParseEventLineTest, SaysWhatIsMissing) {
  EXPECT_EQ(ErrorOf("{\"type\":\"t\"}"),
            "column 1: found an object without \"stream\", wanted the stream's name");
  EXPECT_EQ(ErrorOf(" {\"stream\":\"s\"}"),
            "column 2: found an object without \"type\", wanted the event's type");
  EXPECT_EQ(ErrorOf("{\"stream\":\"\",\"type\":\"t\"}"),
            "column 11: found an empty \"stream\", wanted the stream's name");
}

TEST(ParseEventLineTest, SaysWhatIsOfAnotherKind) {
  EXPECT_EQ(ErrorOf("{\"stream\":7,\"type\":\"t\"}"),
            "column 11: found '7', wanted a string, the stream's name");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":null}"),
            "column 22: found 'n', wanted a string, the event's type");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\",\"dataBase64\":{}}"),
            "column 39: found '{', wanted a string of base64");
  EXPECT_EQ(ErrorOf("[]"), "column 1: found '[', wanted an object that holds one event");
  EXPECT_EQ(ErrorOf(""), "column 1: found the end, wanted an object that holds one event");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\"} {}"),
            "column 27: found '{', wanted the end of the line after the object");
  EXPECT_EQ(ErrorOf("{\"stream\":\"s\",\"type\":\"t\""),
            "column 25: found the end, wanted ',' or '}'");
}

TEST(ParseEventLineTest, TakesAUuidInEitherCaseAndNothingElse) {
  const auto with = [](const std::string& id) {
    return "{\"stream\":\"s\",\"type\":\"t\",\"id\":\"" + id + "\"}";
  };
  EXPECT_TRUE(Read(with("00112233-4455-6677-8899-AABBCCDDEEFF")).id.has_value());
  for (const char* id :
       {"", "00112233445566778899aabbccddeeff", "{00112233-4455-6677-8899-aabbccd}",
        "00112233-4455-6677-8899-aabbccddeefg", "00112233-4455-6677-8899-aabbccddee-f",
        "0011223-34455-6677-8899-aabbccddeeff", "-0112233-4455-6677-8899-aabbccddeeff"}) {
    EXPECT_EQ(ErrorOf(with(id)),
              "column 31: found an \"id\" of another form, wanted a UUID as 8-4-4-4-12 hexadecimal "
              "digits");
  }
}

TEST(ParseEventLineTest, TakesOnlyTheOneBase64OfSomeBytes) {
  const auto with = [](const std::string& text) {
    return "{\"stream\":\"s\",\"type\":\"t\",\"dataBase64\":\"" + text + "\"}";
  };
  EXPECT_EQ(Read(with("")).data, "");
  EXPECT_EQ(Read(with("AA==")).data, std::string(1, '\0'));
  EXPECT_EQ(Read(with("+\\/+\\/")).data, "\xFB\xFF\xBF");
  EXPECT_FALSE(Read(with("AA==")).is_json);
  for (const char* text : {"A", "AA", "AAA", "AA=", "A===", "====", "AA==AA==", "AB==", "AAB=",
                           "AA-_", "AA A", "AAAA\\n"}) {
    EXPECT_EQ(ErrorOf(with(text)),
              "column 39: found other text in \"dataBase64\", wanted base64 with padding");
  }
}

// What a reader must survive: any prefix, and any single byte, of a good line.
TEST(ParseEventLineTest, SurvivesEveryCutAndEveryDamagedByte) {
  const std::string line = Write(Sample());
  ParsedEventLine parsed;
  std::string error;
  for (std::size_t size = 0; size < line.size(); ++size) {
    EXPECT_FALSE(ParseEventLine(line.substr(0, size), &parsed, &error)) << size;
    EXPECT_THAT(error, StartsWith("column "));
  }
  for (std::size_t at = 0; at < line.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string damaged = line;
      damaged[at] = static_cast<char>(byte);
      error.clear();
      const bool good = ParseEventLine(damaged, &parsed, &error);
      EXPECT_EQ(good, error.empty());
      if (good) {
        EXPECT_FALSE(parsed.stream.empty());
      }
    }
  }
}

TEST(ParseEventLineTest, TakesDataOfAnyDepth) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EventLine event = Sample();
  event.data = deep;

  EXPECT_EQ(Read(Write(event)).data, deep);
}

}  // namespace
}  // namespace catchup
