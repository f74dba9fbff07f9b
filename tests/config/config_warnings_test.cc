#include "host/config/config_warnings.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "host/config/reader.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

std::vector<ConfigWarning> Warnings(const TemporaryFolder& folder) {
  const ConfigReading reading = ReadConfigText(
      "[source]\nuri = \"embedded:x\"\n[state]\ndirectory = \"s\"\n"
      "[plugins]\ndirectories = [\"there\", \"gone\"]\n"
      "[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n"
      "env = [\"CATCHUP_TEST_SET\", \"CATCHUP_TEST_UNSET\"]\n",
      folder.path() / "host.toml");
  EXPECT_TRUE(reading.config.has_value());
  return FindConfigWarnings(reading.config.value_or(HostConfig{}), "host.toml");
}

TEST(ConfigWarningsTest, NamesAMissingDirectoryAndAVariableThatIsNotSet) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() / "there");
  ASSERT_EQ(::setenv("CATCHUP_TEST_SET", "", 1), 0);

  const auto warnings = Warnings(folder);

  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(warnings[0].group, "");
  EXPECT_EQ(warnings[0].text,
            "host.toml:6:25: plugins.directories: " + (folder.path() / "gone").string() +
                " does not exist, wanted a directory");
  EXPECT_EQ(warnings[1].group, "g");
  EXPECT_EQ(warnings[1].text,
            "host.toml:10:28: env: CATCHUP_TEST_UNSET is not set here, so the plugin "
            "of group g does not get it");
}

TEST(ConfigWarningsTest, TellsWhatIsOddAboutTheSource) {
  const TemporaryFolder folder;
  const ConfigReading reading = ReadConfigText(
      "[source]\nuri = \"kdb://a?tls=false&tlsCaFile=ca.pem\"\n[state]\ndirectory = \"s\"\n"
      "[plugins]\ndirectories = [\".\"]\n[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n",
      folder.path() / "host.toml");
  ASSERT_TRUE(reading.config.has_value());

  const auto warnings = FindConfigWarnings(*reading.config, "host.toml");

  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(warnings[0].group, "");
  EXPECT_EQ(warnings[0].text, "host.toml:2:7: source.uri: tlsCaFile without effect: tls=false");
}

TEST(ConfigWarningsTest, SaysThatAnEmbeddedLogAsksForNoCredentials) {
  const ConfigReading reading = ReadConfigText(
      "[source]\nuri = \"embedded:x\"\ncredentials_file = \"/etc/k\"\n[state]\ndirectory = \"s\"\n"
      "[plugins]\ndirectories = [\"/\"]\n[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\"]\n",
      "/nowhere/host.toml");
  ASSERT_TRUE(reading.config.has_value());
  const auto warnings = FindConfigWarnings(*reading.config, "host.toml");
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_EQ(
      warnings[0].text,
      "host.toml:3:20: source.credentials_file: without effect: an embedded log has no users");
}

TEST(ConfigWarningsTest, NamesASinkWithoutItsFolderAndOneThatAGroupAsksFor) {
  const TemporaryFolder folder;
  const ConfigReading reading = ReadConfigText(
      "[source]\nuri = \"embedded:x\"\n[state]\ndirectory = \"s\"\n[plugins]\ndirectories = "
      "[\".\"]\n"
      "[groups.g]\nplugin = \"p.so\"\nprefixes = [\"\", \"order-\"]\nmatch = \"stream_name\"\n"
      "dead_letters.sinks = [\"stream:order-letters\", \"jsonl:gone/a\", \"jsonl:a\"]\n"
      "[groups.h]\nplugin = \"p.so\"\nprefixes = [\"order-\"]\n",
      folder.path() / "host.toml");
  ASSERT_TRUE(reading.config.has_value());

  const auto warnings = FindConfigWarnings(*reading.config, "host.toml");

  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(warnings[0].group, "g");
  EXPECT_EQ(warnings[0].text,
            "host.toml:11:23: dead_letters.sinks: stream \"order-letters\" begins with prefix "
            "\"order-\" of group g; no group gets the events of a sink's stream, they are skipped");
  EXPECT_EQ(warnings[1].text,
            "host.toml:11:47: dead_letters.sinks: " + (folder.path() / "gone").string() +
                " does not exist, wanted a directory for a");
}

}  // namespace
}  // namespace catchup
