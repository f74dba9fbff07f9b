#include "catchup/path_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace catchup {
namespace {

TEST(PathTextTest, NamesWhatAnotherProgramShouldHaveReplaced) {
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"{{dir}}", "{{dir}}"},
           {"/var/{{ state }}/x", "{{ state }}"},
           {"{% if x %}/a", "{% if x %}"},
           {"a{b}", "{b}"},
           {"a{}/{b}", "{b}"},
           {"data/{a,b}", "{a,b}"},
           {"#{dir}/x", "{dir}"},
           {"@{HOME}/x", "{HOME}"},
           {"[[ dir ]]/x", "[[ dir ]]"},
           {"((dir))", "((dir))"},
           {"<dir>", "<dir>"},
           {"/var/<your folder>/x", "<your folder>"},
           {"<path/to/it>", "<path/to/it>"},
           {"<%= dir %>/x", "<%= dir %>"},
           {"/var/`hostname`", "`hostname`"},
           {"%(dir)s/x", "%(dir)"},
           {"%{dir}e/x", "%{dir}"},
           {"%STATE%", "%STATE%"},
           {"/srv/%AppData%/x", "%AppData%"},
           {"log%Y%m", "%Y%"},
           {"@localstatedir@/x", "@localstatedir@"},
           {"/opt/app-@VERSION@", "@VERSION@"},
           {"%h/x", "%h"},
           {"%S", "%S"},
           {"/var/catchup-%i", "%i"},
           {"/var/%Y-%m-%d", "%Y"},
           {"__STATE_DIR__/x", "__STATE_DIR__"},
           {"/var/__X__", "__X__"},
           {"...", "..."},
           {"/var/\u2026/x", "\u2026"},
       }) {
    EXPECT_EQ(Placeholder(text), part) << text;
    EXPECT_EQ(PathFault(text),
              "a whole path, because nothing is put in the place of \"" + part + "\"");
  }
}

TEST(PathTextTest, LeavesNamesAlone) {
  for (const char* const name : {"/var/lib/catchup/",
                                 ".",
                                 "..",
                                 "./x",
                                 "../x y",
                                 "a~b",
                                 "a$",
                                 "a$1",
                                 "x:y",
                                 "./C:/x",
                                 ":memory:",
                                 "a%b",
                                 "100%",
                                 "50%off",
                                 "50%of%it",
                                 "%",
                                 "%done",
                                 "my%20folder",
                                 "%%h",
                                 "a<b",
                                 "b>a",
                                 "a<>b",
                                 "a>b<c",
                                 "a{b",
                                 "b}a",
                                 "{}",
                                 "it`s",
                                 "[old]",
                                 "a (copy)",
                                 "user@host",
                                 "@home",
                                 "a@home@mon",
                                 "@@",
                                 "__pycache__",
                                 "__MACOSX",
                                 "____",
                                 "_X_",
                                 ".a..b",
                                 "#x#",
                                 "!x!",
                                 "\xc3\xa9t\xc3\xa9",
                                 "a\xff%\xff",
                                 "a,b+c=d;e&f",
                                 "-x",
                                 "x?"}) {
    EXPECT_EQ(PathFault(name), "") << name;
  }
}

TEST(PathTextTest, TellsWhatAShellReplaces) {
  for (const char* const text : {"$HOME", "a/${b}", "$(pwd)", "$_x", "a$b"}) {
    EXPECT_TRUE(HasShellVariable(text)) << text;
    EXPECT_EQ(PathFault(text), "a whole path, because variables are not replaced in it");
  }
  for (const char* const text : {"", "$", "a$", "$1", "$/x"}) {
    EXPECT_FALSE(HasShellVariable(text)) << text;
  }
}

}  // namespace
}  // namespace catchup
