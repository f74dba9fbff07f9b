#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/config/reader.h"

namespace catchup {
namespace {

constexpr SettingKind kText = SettingKind::kText;
constexpr SettingKind kNumber = SettingKind::kNumber;
constexpr SettingKind kBoolean = SettingKind::kBoolean;
constexpr SettingKind kTable = SettingKind::kTable;
constexpr SettingKind kList = SettingKind::kList;

using Values = std::vector<PluginSetting>;

TEST(SettingsTest, TurnsEveryKindOfValueIntoJson) {
  const auto settings = SettingsFromArguments({
      "text='a\"b\\c'",
      "line=\"x\\ny\"",
      "count=5",
      "big=-9223372036854775808",
      "real=1.5",
      "whole=2.0",
      "tiny=1e-300",
      "flag=true",
      "list=[1,'two',[]]",
      "empty={}",
      "\"d\\u00e9j\\u00e0\"=1",
  });

  ASSERT_TRUE(settings.ok()) << settings.status().message();
  EXPECT_EQ(settings->json,
            R"({"text":"a\"b\\c","line":"x\ny","count":5,"big":-9223372036854775808,"real":1.5,)"
            R"("whole":2.0,"tiny":1e-300,"flag":true,"list":[1,"two",[]],"empty":{},"déjà":1})");
}

TEST(SettingsTest, NamesEveryValueByItsPathAndKind) {
  const auto settings = SettingsFromArguments(
      {"servers=[{host='a',port=1},{host='b'}]", "deep.er.flag=false", "none=[]", "empty={}"});

  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->values, (Values{{"servers", kList, ""},
                                      {"servers.0", kTable, ""},
                                      {"servers.0.host", kText, "a"},
                                      {"servers.0.port", kNumber, "1"},
                                      {"servers.1", kTable, ""},
                                      {"servers.1.host", kText, "b"},
                                      {"deep", kTable, ""},
                                      {"deep.er", kTable, ""},
                                      {"deep.er.flag", kBoolean, "false"},
                                      {"none", kList, ""},
                                      {"empty", kTable, ""}}));
}

TEST(SettingsTest, AKeyWithADotIsNotTwoKeys) {
  const auto settings = SettingsFromArguments({"'a.b'=1", "a.b=2", "''=3", "'\"'=4", "'x y'=5"});

  ASSERT_TRUE(settings.ok()) << settings.status().message();
  EXPECT_EQ(settings->values, (Values{{"\"a.b\"", kNumber, "1"},
                                      {"a", kTable, ""},
                                      {"a.b", kNumber, "2"},
                                      {"\"\"", kNumber, "3"},
                                      {"\"\\\"\"", kNumber, "4"},
                                      {"\"x y\"", kNumber, "5"}}));
}

TEST(SettingsTest, WritesDatesAsText) {
  const auto settings = SettingsFromArguments(
      {"a=1979-05-27T07:32:00Z", "b=1979-05-27T07:32:00.5-07:30", "c=1979-05-27", "d=07:32:00.125",
       "e=1979-05-27T07:32:00", "f=2024-02-29T23:59:59.000000001+14:00"});

  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->values, (Values{{"a", kText, "1979-05-27T07:32:00Z"},
                                      {"b", kText, "1979-05-27T07:32:00.5-07:30"},
                                      {"c", kText, "1979-05-27"},
                                      {"d", kText, "07:32:00.125"},
                                      {"e", kText, "1979-05-27T07:32:00"},
                                      {"f", kText, "2024-02-29T23:59:59.000000001+14:00"}}));
}

TEST(SettingsTest, WithoutArgumentsIsAnEmptyObject) {
  const auto settings = SettingsFromArguments({});
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->json, "{}");
}

TEST(SettingsTest, NamesTheArgumentThatIsNoToml) {
  const auto settings = SettingsFromArguments({"count=5", "file=totals.db"});

  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.status().code(), Status::Code::kInvalid);
  EXPECT_EQ(settings.status().message(),
            "setting 'file=totals.db': syntax error in boolean: expected 'true', saw 'to'; wanted "
            "KEY=TOMLVALUE, as in file=\"a.jsonl\" or count=5");
}

TEST(SettingsTest, NamesBothArgumentsThatGiveAKey) {
  for (const auto& [one, two] : {std::pair("a=1", "a=2"),
                                 {"a.b=1", "a=2"},
                                 {"a=1", "a.b=2"},
                                 {"a={b=1}", "a.c=2"},
                                 {"'x.y'=1", "\"x.y\"=2"}}) {
    const auto settings = SettingsFromArguments({"before=1", one, "between=2", two, "c=3"});

    ASSERT_FALSE(settings.ok());
    EXPECT_EQ(settings.status().message(),
              std::string("setting '") + two + "': found '" + one +
                  "' before it, beside which its key cannot stand; wanted each key once");
  }
}

TEST(SettingsTest, WantsOneKeyInEachArgument) {
  const std::string wanted = "; wanted KEY=TOMLVALUE, as in file=\"a.jsonl\" or count=5";
  for (const auto& [argument, found] : {std::pair("", "no key"),
                                        {"# a=1", "no key"},
                                        {"a=1\nb=2", "2 keys"},
                                        {"[table]", "a table's header"},
                                        {"[[list]]\na=1", "a table's header"}}) {
    const auto settings = SettingsFromArguments({argument, "c=3"});

    ASSERT_FALSE(settings.ok());
    EXPECT_EQ(settings.status().message(),
              "setting '" + std::string(argument) + "': found " + found + wanted);
  }
}

TEST(SettingsTest, RefusesInfinity) {
  const auto settings = SettingsFromArguments({"b=1", "a=inf"});
  ASSERT_FALSE(settings.ok());
  EXPECT_EQ(settings.status().message(),
            "setting 'a=inf': found a number that is inf or nan; wanted one that JSON has");
}

}  // namespace
}  // namespace catchup
