#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "host/config/reader.h"

// Bad configurations, each with every line it must draw. "host.toml:" before each line is left out.

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Problems(const std::string& text) {
  const ConfigReading reading = ReadConfigText(text, "host.toml");
  EXPECT_EQ(reading.config.has_value(), reading.problems.empty());
  std::string lines;
  for (const std::string& problem : reading.problems) {
    const std::string prefix = "host.toml:";
    EXPECT_EQ(problem.substr(0, prefix.size()), prefix);
    lines += (lines.empty() ? "" : "\n") + problem.substr(prefix.size());
  }
  return lines;
}

struct Case {
  const char* toml;
  const char* problems;
};

void ExpectEach(const std::string& before, const std::vector<Case>& cases,
                const std::string& after = "") {
  for (const Case& one : cases) {
    EXPECT_EQ(Problems(before + one.toml + "\n" + after), one.problems) << one.toml;
  }
}

// Six lines that are right.
constexpr char kHost[] =
    "[source]\n"
    "uri = \"kurrentdb://db.example:2113?tls=false\"\n"
    "[state]\n"
    "directory = \"state\"\n"
    "[plugins]\n"
    "directories = [\"plugins\"]\n";

// Nine lines that are right; what follows stands in line 10, in the group's table.
const std::string kGroup = std::string(kHost) +
                           "[groups.g]\n"
                           "plugin = \"p.so\"\n"
                           "prefixes = [\"a-\"]\n";

TEST(BadConfigTest, TheBeginningsUsedHereAreRight) { EXPECT_EQ(Problems(kGroup), ""); }

TEST(BadConfigTest, TellsASyntaxErrorAlone) {
  ExpectEach(
      "[nonsense]\n",
      {
          {"a = ", "2:5: syntax error in key-value pair: expected value, saw '\\n'"},
          {"a = 1\na = 2",
           "3:5: syntax error in key-value pair: cannot redefine existing integer 'a'"},
          {"\"a.b\" = 1\n\"a.b\" = 2",
           "3:9: syntax error in key-value pair: cannot redefine existing integer"},
          {"[nonsense]",
           "2:1: syntax error in table header: cannot redefine existing table 'nonsense'"},
          {"[groups.g]\n[groups.g]",
           "3:1: syntax error in table header: cannot redefine existing table 'groups.g'"},
          {"a = 99999999999999999999",
           "2:25: syntax error in decimal integer: '99999999999999999999' is not representable in "
           "64 bits"},
          {"= 1",
           "2:1: syntax error in root table: expected keys, tables, whitespace or comments, saw "
           "'='"},
          {"a = \"\\q\"", "2:7: syntax error in string: unknown escape sequence '\\q'"},
          {"a = 01", "2:7: syntax error in decimal integer: leading zeroes are prohibited"},
          {"a = 2024-13-01",
           "2:12: syntax error in date: expected month between 1 and 12 (inclusive), saw 13"},
          {"a = 1 b",
           "2:7: syntax error in key-value pair: expected a comment or whitespace, saw 'b'"},
          {"a = \"\xff\"", "2:5: syntax error: Encountered invalid utf-8 sequence"},
          {"[ = 1",
           "2:3: syntax error in key: expected bare key starting character or string delimiter, "
           "saw '='"},
          {"a = t\xc2\x9b", "2:6: syntax error in boolean: expected 'true', saw 't '"},
          {"[[ #",
           "2:4: syntax error in key: expected bare key starting character or string delimiter, "
           "saw '#'"},
      });
}

TEST(BadConfigTest, RefusesNestingThatWouldOverrunAStack) {
  std::string keys = "a";
  for (int i = 0; i < 100'000; ++i) {
    keys += ".a";
  }
  EXPECT_EQ(Problems(keys + " = 1\n"),
            "1:129: nested deeper than 64 levels, wanted at most that many");
  EXPECT_EQ(Problems("[" + keys + "]\n"),
            "1:1: nested deeper than 64 levels, wanted at most that many");
  EXPECT_EQ(Problems("a = " + std::string(100'000, '[')),
            "1:261: syntax error in value: exceeded maximum nested value depth of 256 "
            "(TOML_MAX_NESTED_VALUES)");
}

TEST(BadConfigTest, NamesWhatIsMissingAtTheHeaderOfItsTable) {
  const char* const kNoSource =
      "missing key \"source.uri\": wanted \"kurrentdb://HOST:PORT\" or \"embedded:PATH\"";
  const std::string no_state = "missing key \"state.directory\": wanted the path of a directory";
  const std::string no_plugins =
      "missing key \"plugins.directories\": wanted a list of directories, as "
      "[\"/usr/lib/catchup/plugins\"]";
  const std::string no_groups = "missing key \"groups\": wanted at least one table [groups.NAME]";
  EXPECT_EQ(Problems(""), "1:1: " + no_groups + "\n1:1: " + no_plugins + "\n1:1: " + kNoSource +
                              "\n1:1: " + no_state);
  EXPECT_EQ(Problems("\n[source]\n[state]\n[plugins]\n[groups]\n"),
            std::string("2:1: ") + kNoSource + "\n3:1: " + no_state + "\n4:1: " + no_plugins +
                "\n5:1: 0 groups: wanted 1 to 1024");
  EXPECT_EQ(Problems(std::string(kHost) + "\n  [groups.g]\n"),
            "8:3: missing key \"plugin\": wanted the file name of a plugin, without a folder, as "
            "\"orders.so\"\n"
            "8:3: missing key \"prefixes\": wanted a list of texts, as [\"order-\"]; [\"\"] says "
            "everything");
}

TEST(BadConfigTest, SuggestsTheNearestKey) {
  ExpectEach(
      kGroup,
      {
          {"lane = 1", "10:1: unknown key \"lane\": the nearest known key is \"lanes\""},
          {"chekpoint_batch_size = 1",
           "10:1: unknown key \"chekpoint_batch_size\": the nearest known key is "
           "\"checkpoint_batch_size\""},
          {"Match = \"event_type\"",
           "10:1: unknown key \"Match\": the nearest known key is \"match\""},
          {"  timeout = \"1s\"",
           "10:3: unknown key \"timeout\": the nearest known key is \"handler_timeout\""},
          {"window.event = 1",
           "10:8: unknown key \"window.event\": the nearest known key is \"window.events\""},
          {"limits = { ram = \"1GiB\" }",
           "10:12: unknown key \"limits.ram\": wanted one of \"limits.memory\", "
           "\"limits.open_files\""},
          {"breaker = { max-open = \"1s\" }",
           "10:13: unknown key \"breaker.max-open\": the nearest known key is "
           "\"breaker.max_open\""},
          {"dead_letters = { sink = [] }",
           "10:18: unknown key \"dead_letters.sink\": the nearest known key is "
           "\"dead_letters.sinks\""},
          {"classify = { domains = [] }",
           "10:14: unknown key \"classify.domains\": the nearest known key is \"classify.domain\""},
          {"[sources]", "10:2: unknown key \"sources\": the nearest known key is \"source\""},
          {"[default]", "10:2: unknown key \"default\": the nearest known key is \"defaults\""},
          {"[log]\nlevels = 1",
           "11:1: unknown key \"log.levels\": the nearest known key is \"log.level\""},
          {"[admin]\ntoken = 1",
           "11:1: unknown key \"admin.token\": the nearest known key is \"admin.token_file\""},
          {"window.\"\\u001b[2J\" = 1",
           "10:8: unknown key \"window.\\u001b[2J\": wanted one of \"window.events\", "
           "\"window.bytes\""},
          {"[log]\nverbosity = 1",
           "11:1: unknown key \"log.verbosity\": wanted one of \"log.level\", \"log.format\""},
          {"[defaults]\nlane = 1",
           "11:1: unknown key \"lane\": the nearest known key is \"lanes\""},
      });
  ExpectEach("", {{"grops = 1", "1:1: unknown key \"grops\": the nearest known key is \"groups\""}},
             kGroup);
}

TEST(BadConfigTest, ChecksTheSource) {
  ExpectEach(
      "[source]\n",
      {
          {"uri = 5", "2:7: source.uri = 5: wanted \"kurrentdb://HOST:PORT\" or \"embedded:PATH\""},
          {"uri = \"db.example:2113\"",
           "2:7: source.uri: no scheme in it: wanted \"kurrentdb://HOST:PORT\" or "
           "\"embedded:PATH\""},
          {"uri = \"http://db.example\"",
           "2:7: source.uri: scheme \"http\": wanted \"kurrentdb://HOST:PORT\" or "
           "\"embedded:PATH\""},
          {"uri = \"kurrentdb://admin:changeit@db.example?tls=false\"",
           "2:7: source.uri: a user or password stands in it: wanted none, because secrets come "
           "from a file or the environment only"},
          {"uri = \"kurrentdb+discover://a,b?tls=false\"",
           "2:7: source.uri: several hosts \"a,b\" behind \"+discover\": wanted one, whose name "
           "stands for all nodes, or the scheme without \"+discover\""},
          {"uri = \"kurrentdb://a?tls=false&keepAliveInterval=10s\"",
           "2:7: source.uri: option keepAliveInterval=\"10s\": wanted a number of milliseconds "
           "from 1 to 2147483647, or -1 for off"},
          {"uri = \"kurrentdb://a?tls=false&password=changeit\"",
           "2:7: source.uri: unknown option \"password\": wanted one of tls, tlsVerifyCert, "
           "tlsCaFile, userCertFile, userKeyFile, nodePreference, maxDiscoverAttempts, "
           "discoveryInterval, gossipTimeout, keepAliveInterval, keepAliveTimeout, "
           "defaultDeadline, connectionName, throwOnAppendFailure"},
          {"uri = \"embedded:\"",
           "2:7: source.uri: no path after \"embedded:\": wanted the directory of the log"},
          {"uri = \"embedded:x\"\ncredentials_file = \"admin:changeit\"",
           "3:20: source.credentials_file: wanted the path of a file that holds user:password"},
          {"uri = \"embedded:x\"\ncredentials_file = \"\"",
           "3:20: source.credentials_file: wanted the path of a file that holds user:password"},
          {"uri = \"embedded:x\"\ncredentials_file = [\"s3cret\"]",
           "3:20: source.credentials_file: wanted the path of a file that holds user:password"},
          {"uri = \"embedded:x\"\ncredentials_file = \"/etc/{{db}}\"",
           "3:20: source.credentials_file: \"/etc/{{db}}\": wanted a whole path, because nothing "
           "is "
           "put in the place of \"{{db}}\""},
          {"uri = \"embedded:x\"\nembedded_listen = \"127.0.0.1\"",
           "3:19: source.embedded_listen: no port in \"127.0.0.1\": wanted HOST:PORT"},
          {"uri = \"embedded:x\"\nembedded_listen = \"127.0.0.1:70000\"",
           "3:19: source.embedded_listen: port in \"127.0.0.1:70000\": wanted a number from 0 to "
           "65535"},
          {"uri = \"embedded:x\"\nembedded_listen = 0",
           "3:19: source.embedded_listen = 0: wanted \"HOST:PORT\""},
      },
      "[state]\ndirectory = \"s\"\n[plugins]\ndirectories = [\"p\"]\n"
      "[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n");
}

TEST(BadConfigTest, RepeatsNoPasswordThatStandsInTheWrongPlace) {
  const std::string uri = "\"kurrentdb://admin:s3cret@a?tls=false\"";
  const std::string rest =
      "\n[state]\ndirectory = \"s\"\n[plugins]\ndirectories = [\"p\"]\n"
      "[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n";
  for (const std::string& text : std::vector<std::string>{
           "source = " + uri + rest,
           "[source]\nuri = " + uri + rest,
           "[source]\nuri = [" + uri + "]" + rest,
           "[source]\nuri.x = " + uri + rest,
           "[source]\nurl = " + uri + rest,
           "[source]\n" + uri + " = 1" + rest,
           "[source]\nuri = " + uri + " x" + rest,
           "[source]\nuri = " + uri.substr(0, uri.size() - 1) + rest,
           "[source]\nuri = " + uri.substr(1, uri.size() - 2) + rest,
           "[source]\nuri = " + uri + "\nuri = " + uri + rest,
           "[source]\nembedded_listen = " + uri + rest,
           "[source]\ncredentials_file = " + uri + rest,
           "[source]\npassword = \"s3cret\"" + rest,
           "[source]\nuri = \"embedded:x\"\ncredentials_file = \"admin:s3cret\"" + rest,
           "[source]\nuri = \"embedded:x\"\ncredentials_file = \"$s3cret\"" + rest,
           "[source]\nuri = \"embedded:x\"\ncredentials_file = {admin = \"s3cret\"}" + rest,
           "[source]\nuri = \"embedded:x\"\ncredentials = \"admin:s3cret\"" + rest,
           "[state]\ndirectory = " + uri,
           "[plugins]\ndirectories = [" + uri + "]",
           "[admin]\nlisten = " + uri,
           "[admin]\ntoken_file = \"s3cret\"",
           "[log]\nlevel = " + uri,
           "[groups.g]\nprefixes = " + uri,
           "[groups.g]\nstart = " + uri,
           "[groups." + uri + "]\nplugin = 1",
           "[defaults]\nx = " + uri,
           "[groups.g]\nplugin = " + uri}) {
    const std::string problems = Problems(text);
    EXPECT_NE(problems, "") << text;
    EXPECT_THAT(problems, Not(HasSubstr("s3cret"))) << text;
  }
}

TEST(BadConfigTest, ChecksTheOtherTablesOfTheHost) {
  ExpectEach(
      "[source]\nuri = \"embedded:x\"\n[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n",
      {
          {"[state]\ndirectory = \"\"\n[plugins]\ndirectories = [\"p\"]",
           "7:13: state.directory = \"\": wanted the path of a directory"},
          {"[state]\ndirectory = [\"a\"]\n[plugins]\ndirectories = [\"p\"]",
           "7:13: state.directory = a list: wanted the path of a directory"},
          {"[state]\ndirectory = \"a\\u0000b\"\n[plugins]\ndirectories = [\"p\"]",
           "7:13: state.directory = \"a\\u0000b\": wanted a path without control characters"},
          {"[state]\ndirectory = \"s\"\n[plugins]\ndirectories = \"p\"",
           "9:15: plugins.directories = \"p\": wanted a list of directories, as "
           "[\"/usr/lib/catchup/plugins\"]"},
          {"[state]\ndirectory = \"s\"\n[plugins]\ndirectories = []",
           "9:15: plugins.directories = []: wanted a list of directories, as "
           "[\"/usr/lib/catchup/plugins\"]"},
          {"[state]\ndirectory = \"s\"\n[plugins]\ndirectories = [\"p\", 3, \"\"]",
           "9:21: plugins.directories[1] = 3: wanted text"},
          {"[state]\ndirectory = \"s\"\n[plugins]\ndirectories = [\"p\", \"\"]",
           "9:21: plugins.directories[1] = \"\": wanted the path of a directory"},
          {"[[state]]\ndirectory = \"s\"\n[plugins]\ndirectories = [\"p\"]",
           "6:1: state = a list: wanted a table"},
      });
  ExpectEach(
      kGroup,
      {
          {"[admin]\nlisten = \"0.0.0.0:9113\"",
           "11:10: admin.listen = \"0.0.0.0:9113\": this version supports \"127.0.0.1:9113\""},
          {"[admin]\nlisten = \"\"",
           "11:10: admin.listen = \"\": this version supports \"127.0.0.1:9113\""},
          {"[admin]\nlisten = \"here\"",
           "11:10: admin.listen: no port in \"here\": wanted HOST:PORT"},
          {"[admin]\nlisten = 9113", "11:10: admin.listen = 9113: wanted \"HOST:PORT\""},
          {"[admin]\ntoken_file = \"t\"",
           "11:14: admin.token_file: this version supports no token"},
          {"[log]\nlevel = \"verbose\"",
           "11:9: log.level = \"verbose\": wanted \"debug\", \"info\", \"warn\" or \"error\""},
          {"[log]\nlevel = 3",
           "11:9: log.level = 3: wanted \"debug\", \"info\", \"warn\" or \"error\""},
          {"[log]\nformat = \"xml\"",
           "11:10: log.format = \"xml\": wanted \"auto\", \"json\" or \"text\""},
      });
  ExpectEach("log = true\n", {{"", "1:7: log = true: wanted a table"}}, kGroup);
  ExpectEach("defaults = []\n", {{"", "1:12: defaults = []: wanted a table"}}, kGroup);
}

TEST(BadConfigTest, ChecksGroupNames) {
  const std::string rest = "plugin = \"p.so\"\nprefixes = [\"\"]\n";
  const std::string wanted = ": wanted 1 to 63 of a-z, 0-9 and \"-\", not beginning with \"-\"";
  ExpectEach(kHost,
             {
                 {"[groups.Order]", ("7:9: group name \"Order\"" + wanted).c_str()},
             },
             rest);
  for (const std::string name : {"-a", "a_b", "", "a.b", "../x", "\\u00e4"}) {
    const std::string shown = name == "\\u00e4" ? "ä" : name;
    EXPECT_EQ(Problems(std::string(kHost) + "[groups.\"" + name + "\"]\n" + rest),
              "7:9: group name \"" + shown + "\"" + wanted);
  }
  const std::string longest(63, 'a');
  EXPECT_EQ(Problems(std::string(kHost) + "[groups." + longest + "]\n" + rest), "");
  EXPECT_EQ(Problems(std::string(kHost) + "[groups." + longest + "a]\n" + rest),
            "7:9: group name \"" + std::string(60, 'a') + "…\"" + wanted);
}

TEST(BadConfigTest, WantsATableForAGroup) {
  EXPECT_EQ(Problems(std::string(kHost) + "[groups]\ng = 5\n"),
            "8:5: group \"g\" = 5: wanted a table [groups.NAME]");
  EXPECT_EQ(Problems(std::string(kHost) + "[[groups.g]]\n"),
            "7:1: group \"g\" = a list: wanted a table [groups.NAME]");
  EXPECT_EQ(Problems("groups = 1\n" + std::string(kHost)), "1:10: groups = 1: wanted a table");
}

TEST(BadConfigTest, ChecksPluginAndFilter) {
  const std::string plugin =
      ": wanted the file name of a plugin, without a folder, as \"orders.so\"";
  for (const std::string value : {"5", "\"\"", "\"a/\"", "\"..\"", "\".\""}) {
    EXPECT_EQ(Problems(std::string(kHost) + "[groups.g]\nprefixes = [\"\"]\nplugin = " + value),
              "9:10: plugin = " + value + plugin);
  }
  for (const std::string value : {"a/b.so", "/b.so", "./b.so", "~/x/b.so", "../b.so"}) {
    EXPECT_EQ(
        Problems(std::string(kHost) + "[groups.g]\nprefixes = [\"\"]\nplugin = \"" + value + "\""),
        "9:10: plugin = \"" + value +
            "\": wanted the file name alone, as \"b.so\"; its folder belongs in "
            "plugins.directories");
  }
  for (const std::string value : {"${PLUGIN}.so", "{{plugin}}.so", "%i.so", "<plugin>.so"}) {
    EXPECT_EQ(
        Problems(std::string(kHost) + "[groups.g]\nprefixes = [\"\"]\nplugin = \"" + value + "\""),
        "9:10: plugin = \"" + value +
            "\": wanted the file name of a plugin, because variables are not replaced in it");
  }
  const std::string prefixes = ": wanted a list of texts, as [\"order-\"]; [\"\"] says everything";
  for (const std::string value : {"\"a-\"", "[]", "7"}) {
    EXPECT_EQ(Problems(std::string(kHost) + "[groups.g]\nplugin = \"p.so\"\nprefixes = " + value),
              "9:12: prefixes = " + value + prefixes);
  }
  ExpectEach(
      std::string(kHost) + "[groups.g]\nplugin = \"p.so\"\n",
      {
          {"prefixes = [\"a\", 1, true]",
           "9:18: prefixes[1] = 1: wanted text\n9:21: prefixes[2] = true: wanted text"},
          {"prefixes = [\"a\", \"$ce-\"]",
           "9:18: prefixes[1] = \"$ce-\": wanted system_events = true beside it, because "
           "system events begin with \"$\""},
          {"prefixes = [\"$\"]\nsystem_events = true", ""},
          {"prefixes = [\"$\"]\nsystem_events = \"yes\"",
           "9:13: prefixes[0] = \"$\": wanted system_events = true beside it, because system "
           "events begin with \"$\"\n"
           "10:17: system_events = \"yes\": wanted true or false"},
      });
  std::string many = "prefixes = [";
  for (int i = 0; i < 257; ++i) {
    many += "\"p" + std::to_string(i) + "\",";
  }
  EXPECT_EQ(Problems(std::string(kHost) + "[groups.g]\nplugin = \"p.so\"\n" + many + "]\n"),
            "9:12: prefixes = a list of 257: wanted at most 256");
  ExpectEach(
      kGroup,
      {
          {"match = \"stream\"",
           "10:9: match = \"stream\": wanted \"event_type\" or \"stream_name\""},
          {"match = true", "10:9: match = true: wanted \"event_type\" or \"stream_name\""},
          {"projection = \"\"",
           "10:14: projection = \"\": wanted a projection's name, 1 to 128 bytes without "
           "controls"},
          {"projection = \"a\\nb\"",
           "10:14: projection = \"a\\nb\": wanted a projection's name, 1 to 128 bytes "
           "without controls"},
          {"sha256 = \"abc\"", "10:10: sha256 = \"abc\": wanted 64 hexadecimal digits"},
          {"sha256 = \"g123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
           "10:10: sha256 = \"g123456789abcdef0123456789abcdef0123456789abcdef0123456789ab…\""
           ": wanted 64 hexadecimal digits"},
      });
}

TEST(BadConfigTest, ChecksStart) {
  const std::string wanted =
      ": wanted \"beginning\", \"end\" or \"COMMIT:PREPARE\", two decimal numbers, the second not "
      "above the first";
  for (const std::string value :
       {"\"\"", "\"now\"", "5", "\"5\"", "\"5:\"", "\":5\"", "\"5:6\"", "\"-1:-1\"", "\"0x5:5\"",
        "\"5: 5\"", "\"99999999999999999999:1\"", "\"Beginning\""}) {
    EXPECT_EQ(Problems(kGroup + "start = " + value), "10:9: start = " + value + wanted);
  }
  EXPECT_EQ(
      Problems(kGroup + "start = \"18446744073709551615:18446744073709551615\""),
      "10:9: start = \"18446744073709551615:18446744073709551615\": wanted \"end\", which this "
      "number stands for");
}

TEST(BadConfigTest, ChecksNumbers) {
  ExpectEach(
      kGroup,
      {
          {"batch_size = 0", "10:14: batch_size = 0: wanted an integer from 1 to 1,000,000"},
          {"batch_size = -5", "10:14: batch_size = -5: wanted an integer from 1 to 1,000,000"},
          {"batch_size = \"100\"",
           "10:14: batch_size = \"100\": wanted an integer from 1 to 1,000,000"},
          {"batch_size = 1.5", "10:14: batch_size = 1.5: wanted an integer from 1 to 1,000,000"},
          {"batch_size = true", "10:14: batch_size = true: wanted an integer from 1 to 1,000,000"},
          {"batch_size = 1000001",
           "10:14: batch_size = 1000001: wanted an integer from 1 to 1,000,000"},
          {"batch_size = 9223372036854775807",
           "10:14: batch_size = 9223372036854775807: wanted an integer from 1 to 1,000,000"},
          {"checkpoint_batch_size = 0",
           "10:25: checkpoint_batch_size = 0: wanted an integer from 1 to 100,000"},
          {"window.events = 0", "10:17: window.events = 0: wanted an integer from 1 to 1,000,000"},
          {"window = 5", "10:10: window = 5: wanted a table"},
          {"limits.open_files = 10",
           "10:21: limits.open_files = 10: wanted an integer from 32 to 65,536"},
          {"stop_on_caught_up = 1", "10:21: stop_on_caught_up = 1: wanted true or false"},
          {"stop_on_caught_up = \"true\"",
           "10:21: stop_on_caught_up = \"true\": wanted true or false"},
          {"system_events = 2024-01-02", "10:17: system_events = 2024-01-02: wanted true or false"},
      });
}

TEST(BadConfigTest, ChecksDurations) {
  const std::string wanted =
      ": wanted a duration from \"10ms\" to \"1h\", an integer and ms, s, m or h";
  for (const std::string value :
       {"1", "1.5", "\"\"", "\"1\"", "\"s\"", "\"-1s\"", "\"+1s\"", "\"PT1S\"", "\"1m30s\"",
        "\"nans\"", "\"infs\"", "\"9ms\"", "\"61m\"", "\"2h\"", "\"1d\"", "\"1us\"",
        "\"99999999999999999999s\"", "\"18446744073709551615h\""}) {
    EXPECT_EQ(Problems(kGroup + "checkpoint_interval = " + value),
              "10:23: checkpoint_interval = " + value + wanted);
  }
  ExpectEach(
      kGroup,
      {
          {"handler_timeout = \"50ms\"",
           "10:19: handler_timeout = \"50ms\": wanted a duration from \"100ms\" to \"24h\", an "
           "integer and ms, s, m or h"},
          {"drain_timeout = \"1h\"",
           "10:17: drain_timeout = \"1h\": wanted a duration from \"100ms\" to \"5s\", an "
           "integer and ms, s, m or h"},
      });
}

// As other products write them.
TEST(BadConfigTest, SaysWhichDurationOrSizeWasMeant) {
  for (const auto& [found, meant] : {std::pair("1 s", "1s"),
                                     {"1sec", "1s"},
                                     {"1S", "1s"},
                                     {"1.5s", "1500ms"},
                                     {"0.5s", "500ms"},
                                     {"1min", "1m"},
                                     {"90 seconds", "90s"},
                                     {"0.5h", "30m"},
                                     {"1_000ms", ""},
                                     {"1e3ms", ""}}) {
    const std::string problem = Problems(kGroup + "checkpoint_interval = \"" + found + "\"");
    const std::string wanted =
        "an integer and ms, s, m or h" + (*meant == 0 ? "" : ", as \"" + std::string(meant) + "\"");
    ASSERT_GE(problem.size(), wanted.size());
    EXPECT_EQ(problem.substr(problem.size() - wanted.size()), wanted) << found;
  }
  EXPECT_EQ(Problems(kGroup + "handler_timeout = \"1d\""),
            "10:19: handler_timeout = \"1d\": wanted a duration from \"100ms\" to \"24h\", an "
            "integer and ms, s, m or h, as \"24h\"");
  for (const auto& [found, meant] : {std::pair("32MB", "32MiB"),
                                     {"32 MiB", "32MiB"},
                                     {"32mib", "32MiB"},
                                     {"1.5MiB", "1536KiB"},
                                     {"1GB", "1GiB"},
                                     {"1G", "1GiB"},
                                     {"128k", "128KiB"},
                                     {"1TB", ""}}) {
    const std::string problem = Problems(kGroup + "window.bytes = \"" + found + "\"");
    const std::string wanted = "an integer and B, KiB, MiB or GiB" +
                               (*meant == 0 ? "" : ", as \"" + std::string(meant) + "\"");
    ASSERT_GE(problem.size(), wanted.size());
    EXPECT_EQ(problem.substr(problem.size() - wanted.size()), wanted) << found;
  }
}

TEST(BadConfigTest, TakesNoPathInTheStyleOfAShellOrOfAnotherSystem) {
  const char* const home = std::getenv("HOME");
  const std::string expanded =
      home != nullptr && home[0] == '/' ? ", as \"" + std::string(home) + "/x\"" : "";
  const std::string tilde = "a whole path, because only a shell replaces \"~\"";
  const std::string variable = "a whole path, because variables are not replaced in it";
  const std::string placeholder = "a whole path, because nothing is put in the place of \"";
  for (const auto& [found, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"~/x", tilde + expanded},
           {"~someone/x", tilde},
           {"$HOME/x", variable},
           {"${STATE}", variable},
           {"/var/$(hostname)", variable},
           {"{{dir}}", placeholder + "{{dir}}\""},
           {"%h/x", placeholder + "%h\""},
           {"/var/<dir>", placeholder + "<dir>\""},
           {"%STATE%", placeholder + "%STATE%\""},
           {"file:///var/x", "a path, not a URL, as \"/var/x\""},
           {"file://x", "a path, not a URL, as \"/x\""},
           {"file:x", "a path, not a URL, as \"x\""},
           {"https://host/x", "a path, not a URL"},
           {"embedded:x", "a path without \"embedded:\", as \"x\""},
           {"embedded:", "a path without \"embedded:\""},
           {"C:/x", "a path of this system, with \"/\" between its folders"},
           {"C:", "a path of this system, with \"/\" between its folders"},
           {"a\\\\b", "a path of this system, with \"/\" between its folders"},
           {" x", "a path without spaces around it"},
           {"x ", "a path without spaces around it"},
           {"'x'", "a path without quotes in it"},
           {"x/*", "one path, because \"*\" stands for nothing else in it"},
           {"a\\nb", "a path without control characters"},
       }) {
    const std::string before = "[source]\nuri = \"embedded:x\"\n[state]\ndirectory = \"";
    const std::string after =
        "\"\n[plugins]\ndirectories = [\"p\"]\n[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n";
    EXPECT_EQ(Problems(before + found + after),
              "4:13: state.directory = \"" + found + "\": wanted " + wanted);
    EXPECT_EQ(Problems("[source]\nuri = \"embedded:x\"\n[state]\ndirectory = \"s\"\n"
                       "[plugins]\ndirectories = [\"p\", \"" +
                       found + "\"]\n[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n"),
              "6:21: plugins.directories[1] = \"" + found + "\": wanted " + wanted);
  }
  for (const std::string right :
       {"/var/lib/catchup/", "./x", "../x y", "a~b", "a$", "x:y", "./C:/x", "a<b", "100%"}) {
    EXPECT_EQ(Problems("[source]\nuri = \"embedded:" + right + "\"\n[state]\ndirectory = \"" +
                       right + "\"\n[plugins]\ndirectories = [\"" + right +
                       "\"]\n[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n"),
              "");
  }
}

TEST(BadConfigTest, TakesNoPatternForAPrefix) {
  for (const auto& [found, meant] :
       {std::pair("order-*", "order-"), {"*", ""}, {"^order-", "order-"}}) {
    EXPECT_EQ(Problems(std::string(kHost) + "[groups.g]\nplugin = \"p.so\"\nprefixes = [\"a\", \"" +
                       found + "\"]"),
              std::string("9:18: prefixes[1] = \"") + found +
                  "\": wanted how names begin, without a pattern, as \"" + meant + "\"");
  }
}

TEST(BadConfigTest, ChecksSizes) {
  const std::string wanted =
      ": wanted a size from \"64KiB\" to \"4GiB\", an integer and B, KiB, MiB or GiB";
  for (const std::string value :
       {"1048576", "\"32\"", "\"1KiB\"", "\"5GiB\"", "\"1.3B\"", "\"99999999999GiB\""}) {
    EXPECT_EQ(Problems(kGroup + "window.bytes = " + value),
              "10:16: window.bytes = " + value + wanted);
  }
}

// A group that handles nothing looks healthy.
TEST(BadConfigTest, RefusesToFollowLinksThatTheFilterHides) {
  ExpectEach(kGroup, {
                         {"resolve_links = true",
                          "10:17: resolve_links = true: wanted a prefix \"$>\" beside it, the type "
                          "of every link, or match = \"stream_name\""},
                         {"resolve_links = true\nmatch = \"stream_name\"", ""},
                         {"resolve_links = false", ""},
                     });
}

TEST(BadConfigTest, ChecksWhatIsDoneAboutFailures) {
  ExpectEach(
      kGroup,
      {
          {"max_retries = 1001", "10:15: max_retries = 1001: wanted an integer from 0 to 1,000"},
          {"max_crashes = 0", "10:15: max_crashes = 0: wanted an integer from 1 to 100"},
          {"breaker.failures = 0",
           "10:20: breaker.failures = 0: wanted an integer from 1 to 1,000"},
          {"breaker.budget = 21", "10:18: breaker.budget = 21: wanted an integer from 0 to 20"},
          {"breaker = { open = \"2m\", max_open = \"90s\" }",
           "10:37: breaker.max_open = \"90s\": wanted at least breaker.open, 2m, from which it "
           "doubles"},
          {"retry_delay = \"2m\"\nretry_max_delay = \"90s\"",
           "11:19: retry_max_delay = \"90s\": wanted at least retry_delay, 2m, from which it "
           "doubles"},
          {"breaker = { open = \"1h\", max_open = \"2h\" }",
           "10:37: breaker.max_open = \"2h\": wanted a duration from \"100ms\" to \"1h\", an "
           "integer and ms, s, m or h"},
      });
  EXPECT_EQ(Problems(kGroup + "max_retries = 0\nmax_crashes = 1\nretry_delay = \"2s\"\n"
                              "retry_max_delay = \"60s\"\nbreaker.failures = 6\n"
                              "breaker.open = \"6s\"\nbreaker.max_open = \"2m\"\n"
                              "breaker.budget = 0\n"),
            "");
}

TEST(BadConfigTest, NamesARuleThatCannotBeUsedAtItsOwnPlace) {
  const std::string wanted =
      ": wanted a part of an error text, or re: and a regular expression of RE2; this is ";
  EXPECT_EQ(Problems(kGroup + "classify.domain = [\"fine\", \"re:a(\"]"),
            "10:28: classify.domain[1] = \"re:a(\"" + wanted + "none: missing ): a(");
  EXPECT_EQ(Problems(kGroup + "classify.infrastructure = [\"re:\"]"),
            "10:28: classify.infrastructure[0] = \"re:\"" + wanted +
                "an empty one, which matches every text");
  EXPECT_EQ(Problems(kGroup + "classify.infrastructure = []\nclassify.domain = [\"re:x+\", \"y\"]"),
            "");
}

TEST(BadConfigTest, NamesASinkThatCannotBeUsedAtItsOwnPlace) {
  const std::string wanted = ": wanted \"jsonl:FILE\" or \"stream:NAME\"";
  const auto problem = [](const std::string& sinks) {
    return Problems(kGroup + "dead_letters.sinks = " + sinks);
  };
  EXPECT_EQ(problem("\"jsonl:a\""),
            "10:22: dead_letters.sinks = \"jsonl:a\": wanted a list of \"jsonl:FILE\" and "
            "\"stream:NAME\"");
  EXPECT_EQ(problem("[\"jsonl:a\", \"JSONL:b\", \"stream\"]"),
            "10:34: dead_letters.sinks[1] = \"JSONL:b\"" + wanted +
                "\n10:45: dead_letters.sinks[2] = \"stream\"" + wanted);
  EXPECT_EQ(problem("[\"stream:$dead\"]"),
            "10:23: dead_letters.sinks[0] = \"stream:$dead\": wanted a stream of your own: names "
            "that begin with \"$\" are the server's");
  EXPECT_EQ(problem("[\"stream:a\\nb\"]"),
            "10:23: dead_letters.sinks[0] = \"stream:a\\nb\": wanted the name of a stream, without "
            "controls");
  EXPECT_EQ(problem("[\"jsonl:$HOME/a\"]")
                .rfind("10:23: dead_letters.sinks[0] = \"jsonl:$HOME/a\": wanted a whole path", 0),
            0u);
  for (const std::string folder : {"letters/", "..", "/"}) {
    EXPECT_EQ(problem("[\"jsonl:" + folder + "\"]"),
              "10:23: dead_letters.sinks[0] = \"jsonl:" + folder +
                  "\": wanted a file, whose folder is there");
  }
  EXPECT_EQ(problem("[\"jsonl:x/a\", \"stream:a\", \"jsonl:x//./a\"]"),
            "10:48: dead_letters.sinks[2] = \"jsonl:x//./a\": wanted each sink once");
}

// What does not exist yet may still be written down as it is.
TEST(BadConfigTest, TakesEveryDefaultThatIsWrittenDown) {
  EXPECT_EQ(
      Problems(kGroup +
               "match = \"event_type\"\nstart = \"beginning\"\nstop_on_caught_up = false\n"
               "batch_size = 100\ncheckpoint_batch_size = 10\ncheckpoint_interval = \"1s\"\n"
               "max_retries = 3\nretry_delay = \"1s\"\nretry_max_delay = \"30s\"\nlanes = 1\n"
               "handler_timeout = \"30s\"\nstart_timeout = \"30s\"\ndrain_timeout = "
               "\"5s\"\nmax_crashes = 3\n"
               "window = { events = 4096, bytes = \"32MiB\" }\nsystem_events = false\n"
               "resolve_links = false\nenv = []\n"
               "dead_letters = { order = \"stream\", max_letters = 100000, max_bytes = \"4GiB\", "
               "heal_for = \"168h\", sinks = [] }\n"
               "breaker = { failures = 5, open = \"5s\", max_open = \"60s\", budget = 10 }\n"
               "limits = { memory = \"512MiB\", open_files = 256 }\n"
               "[groups.g.classify]\n"
               "domain = [\"business\", \"validation\", \"invalid\", \"constraint\", \"domain\"]\n"
               "infrastructure = [\"timeout\", \"connection\", \"network\", \"database\", "
               "\"redis\", \"timed out\", \"unavailable\", \"unreachable\", \"refused\", "
               "\"broken pipe\", \"certificate\", \"resolve\", \"dns\", \"name resolution\", "
               "\"name not found\", \"deadlock\", \"lock\", \"serializ\", \"read-only\", \"disk\", "
               "\"no space left\", \"too many\"]\n"
               "[admin]\nlisten = \"127.0.0.1:9113\"\n"
               "[log]\nlevel = \"info\"\nformat = \"auto\"\n"),
      "");
}

TEST(BadConfigTest, ChecksTheValuesOfWhatItLacks) {
  ExpectEach(
      kGroup,
      {
          {"lanes = 0", "10:9: lanes = 0: wanted an integer from 1 to 64"},
          {"lanes = \"all\"", "10:9: lanes = \"all\": wanted an integer from 1 to 64"},
          {"max_retries = -1", "10:15: max_retries = -1: wanted an integer from 0 to 1,000"},
          {"retry_delay = 1",
           "10:15: retry_delay = 1: wanted a duration from \"100ms\" to \"1h\", an integer and ms, "
           "s, "
           "m or h"},
          {"max_crashes = 0", "10:15: max_crashes = 0: wanted an integer from 1 to 100"},
          {"resolve_links = 0", "10:17: resolve_links = 0: wanted true or false"},
          {"dead_letters = \"stream\"", "10:16: dead_letters = \"stream\": wanted a table"},
          {"dead_letters.order = \"any\"",
           "10:22: dead_letters.order = \"any\": wanted \"stream\", \"event\" or \"halt\""},
          {"dead_letters.sinks = [\"file:a\", \"stream:\", \"jsonl\"]",
           "10:23: dead_letters.sinks[0] = \"file:a\": wanted \"jsonl:FILE\" or \"stream:NAME\"\n"
           "10:33: dead_letters.sinks[1] = \"stream:\": wanted \"jsonl:FILE\" or \"stream:NAME\"\n"
           "10:44: dead_letters.sinks[2] = \"jsonl\": wanted \"jsonl:FILE\" or \"stream:NAME\""},
          {"dead_letters.max_letters = 0",
           "10:28: dead_letters.max_letters = 0: wanted an integer from 1 to 10,000,000"},
          {"dead_letters.max_bytes = 4",
           "10:26: dead_letters.max_bytes = 4: wanted a size from \"32MiB\" to \"1024GiB\", an "
           "integer and B, KiB, MiB or GiB"},
          {"dead_letters.heal_for = \"9000h\"",
           "10:25: dead_letters.heal_for = \"9000h\": wanted a duration from \"0ms\" to \"8784h\", "
           "an "
           "integer and ms, s, m or h"},
          {"start_timeout = 30",
           "10:17: start_timeout = 30: wanted a duration from \"100ms\" to \"24h\", an integer and "
           "ms, s, m or h"},
          {"breaker = 1", "10:11: breaker = 1: wanted a table"},
          {"breaker.budget = 21", "10:18: breaker.budget = 21: wanted an integer from 0 to 20"},
          {"classify = []", "10:12: classify = []: wanted a table"},
          {"classify.domain = \"x\"", "10:19: classify.domain = \"x\": wanted a list of texts"},
          {"limits.memory = \"1MiB\"",
           "10:17: limits.memory = \"1MiB\": wanted a size from \"16MiB\" to \"1024GiB\", an "
           "integer "
           "and B, KiB, MiB or GiB"},
      });
}

TEST(BadConfigTest, ChecksEnvAndNeverRepeatsAValue) {
  const char* const kName =
      ": wanted the name of a variable, letters, digits and \"_\"; its value comes from the "
      "environment";
  const char* const kForbidden =
      ": wanted a variable other than LD_*, GRPC_*, *_PROXY, GLIBC_TUNABLES, SSLKEYLOGFILE and "
      "CATCHUP_CREDENTIALS, which a runner never gets";
  EXPECT_EQ(Problems(kGroup + "env = \"PGHOST\""),
            "10:7: env = \"PGHOST\": wanted a list of names, as [\"PGHOST\"]");
  EXPECT_EQ(Problems(kGroup + "env = [\"A\", 1]"), "10:13: env[1] = 1: wanted text");
  for (const std::string name : {"", "1A", "A-B", "PGPASSWORD=secret", "A B"}) {
    EXPECT_EQ(Problems(kGroup + "env = [\"" + name + "\"]"), std::string("10:8: env[0]") + kName);
  }
  for (const std::string name :
       {"LD_PRELOAD", "ld_library_path", "GRPC_VERBOSITY", "https_proxy", "_PROXY",
        "GLIBC_TUNABLES", "SSLKEYLOGFILE", "CATCHUP_CREDENTIALS"}) {
    EXPECT_EQ(Problems(kGroup + "env = [\"" + name + "\"]"),
              "10:8: env[0] = \"" + name + "\"" + kForbidden);
  }
}

TEST(BadConfigTest, ChecksTheConfigOfAPlugin) {
  ExpectEach(
      kGroup,
      {
          {"config = 5", "10:10: config = 5: wanted a table"},
          {"config.a.b = inf", "10:14: config.a.b = inf: wanted a number that JSON can say"},
          {"config.a = [1.0, nan]", "10:18: config.a.1 = nan: wanted a number that JSON can say"},
      });
}

TEST(BadConfigTest, ReportsDefaultsOnceAndEvenWhereEveryGroupOverridesThem) {
  EXPECT_EQ(Problems("[defaults]\nlanes = 65\nbatch_size = 0\n" + kGroup +
                     "batch_size = 5\n[groups.h]\nplugin = \"p.so\"\nprefixes = [\"\"]\n"),
            "2:9: lanes = 65: wanted an integer from 1 to 64\n"
            "3:14: batch_size = 0: wanted an integer from 1 to 1,000,000");
}

TEST(BadConfigTest, TellsEveryProblemOfAFileInTheOrderOfTheFile) {
  EXPECT_EQ(
      Problems("[log]\n"
               "level = \"loud\"\n"
               "[source]\n"
               "uri = \"kurrentdb://db.example?tls=no\"\n"
               "[groups.a]\n"
               "plugin = \"a/b.so\"\n"
               "prefixes = []\n"
               "lanes = 0\n"
               "[groups.B]\n"
               "[state]\n"
               "dir = \"x\"\n"),
      "1:1: missing key \"plugins.directories\": wanted a list of directories, as "
      "[\"/usr/lib/catchup/plugins\"]\n"
      "2:9: log.level = \"loud\": wanted \"debug\", \"info\", \"warn\" or \"error\"\n"
      "4:7: source.uri: option tls=\"no\": wanted true or false\n"
      "6:10: plugin = \"a/b.so\": wanted the file name alone, as \"b.so\"; its folder belongs in "
      "plugins.directories\n"
      "7:12: prefixes = []: wanted a list of texts, as [\"order-\"]; [\"\"] says everything\n"
      "8:9: lanes = 0: wanted an integer from 1 to 64\n"
      "9:1: missing key \"plugin\": wanted the file name of a plugin, without a folder, as "
      "\"orders.so\"\n"
      "9:1: missing key \"prefixes\": wanted a list of texts, as [\"order-\"]; [\"\"] says "
      "everything\n"
      "9:9: group name \"B\": wanted 1 to 63 of a-z, 0-9 and \"-\", not beginning with \"-\"\n"
      "10:1: missing key \"state.directory\": wanted the path of a directory\n"
      "11:1: unknown key \"state.dir\": the nearest known key is \"state.directory\"");
}

// A check of the plugins goes on from here whatever else is wrong.
TEST(BadConfigTest, KeepsWhatACheckOfThePluginsNeeds) {
  const ConfigReading reading = ReadConfigText(
      kGroup + "lanes = 0\n[groups.h]\nprefixes = [\"\"]\n  plugin = \"q.so\"\n[groups.i]\n",
      "/x/host.toml");
  EXPECT_FALSE(reading.config.has_value());
  ASSERT_EQ(reading.places.size(), reading.problems.size());
  EXPECT_EQ(reading.places[0].line, 10u);
  EXPECT_EQ(reading.found.plugins.directories, std::vector<std::filesystem::path>{"/x/plugins"});
  ASSERT_EQ(reading.groups.size(), 2u);
  EXPECT_EQ(reading.groups[0].config.name, "g");
  EXPECT_TRUE(reading.groups[0].filter_read) << "what is wrong is another key";
  EXPECT_EQ(reading.groups[1].config.plugin, "q.so");
  EXPECT_EQ(reading.groups[1].config.plugin_location.line, 13u);
  EXPECT_EQ(reading.groups[1].config.plugin_location.column, 12u);
  EXPECT_TRUE(reading.groups[1].filter_read);
}

}  // namespace
}  // namespace catchup
