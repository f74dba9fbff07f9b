#include "host/config/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::Not;

// Nothing of a test's own environment counts, nor what it leaves there.
class CredentialsTest : public testing::Test {
 protected:
  CredentialsTest() { Clear(); }
  ~CredentialsTest() override { Clear(); }
  CredentialsTest(const CredentialsTest&) = delete;
  CredentialsTest& operator=(const CredentialsTest&) = delete;

  static void Clear() {
    ::unsetenv("CATCHUP_CREDENTIALS");
    ::unsetenv("CREDENTIALS_DIRECTORY");
  }

  std::filesystem::path Put(const std::string& name, const std::string& text,
                            mode_t mode = 0400) const {
    const std::filesystem::path file = folder_ / name;
    std::filesystem::remove(file);
    WriteFile(file, text);
    EXPECT_EQ(::chmod(file.c_str(), mode), 0);
    return file;
  }

  static Result<std::shared_ptr<Credentials>> Find(const std::filesystem::path& named = {}) {
    SourceUri uri;
    uri.servers = {{"db.example", 2113}};
    return FindCredentials(uri, {named, named.empty() ? "" : "source.credentials_file"});
  }
  static std::string Header(const std::shared_ptr<Credentials>& credentials) {
    const auto header = credentials->Authorization();
    return header.ok() ? *header : header.status().message();
  }

  const TemporaryFolder folder_;
};

TEST_F(CredentialsTest, MakesTheHeaderOfTheirLine) {
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
      {"Aladdin:open sesame\n", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
      {"Aladdin:open sesame\r\n", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
      {"a:b ", "Basic YTpiIA=="},
      {"a:b:c", "Basic YTpiOmM="},
      {"a:\xc3\xa9", "Basic YTrDqQ=="},
      {"ab:ccc", "Basic YWI6Y2Nj"}};
  for (const auto& [line, header] : lines) {
    EXPECT_EQ(Header(Credentials::OfFile(Put("k", line), "k")), header) << line;
  }
}

TEST_F(CredentialsTest, SaysWhatIsWrongWithAFileAndRepeatsNothingOfIt) {
  const std::vector<std::pair<std::string, std::string>> lines = {
      {"", "nothing in it"},
      {"\n", "nothing in it"},
      {"s3cret", "no \":\" in it"},
      {":s3cret", "no user before the \":\""},
      {"s3cret:", "no password behind the \":\""},
      {"admin:s3cret\nmore", "more than one line"},
      {"admin:s3cret\n\n", "more than one line"},
      {"admin:s3\tcret", "a control character in it"},
      {std::string("admin:s3cret\0", 13), "a control character in it"},
      {"\xef\xbb\xbf"
       "admin:s3cret",
       "a byte order mark before the user"},
      {"admin:s3cret\xff", "bytes in it that are not UTF-8"}};
  for (const auto& [line, fault] : lines) {
    const std::string text = Header(Credentials::OfFile(Put("k", line), "origin"));
    EXPECT_EQ(text, "origin: " + fault + ": wanted one line user:password") << line;
  }
  const std::string large = Header(Credentials::OfFile(Put("k", std::string(5000, 'a')), "origin"));
  EXPECT_EQ(large, "origin: more than 4 KiB: wanted one line user:password");
}

TEST_F(CredentialsTest, BelievesNoFileThatOthersMayReadOrItsGroupMayWrite) {
  for (const mode_t mode : {0400U, 0600U, 0440U, 0640U}) {
    EXPECT_THAT(Header(Credentials::OfFile(Put("k", "a:b", mode), "k")), HasSubstr("Basic "))
        << std::oct << mode;
  }
  for (const mode_t mode : {0404U, 0444U, 0644U, 0402U, 0620U, 0660U}) {
    EXPECT_THAT(
        Header(Credentials::OfFile(Put("k", "a:b", mode), "k")),
        HasSubstr(": wanted no access for others and no writing by the group, as by chmod 0400"))
        << std::oct << mode;
  }
  EXPECT_EQ(Header(Credentials::OfFile(folder_.path(), "k")),
            "k: it is a directory: wanted a file with one line user:password");
  EXPECT_EQ(Header(Credentials::OfFile(folder_ / "absent", "k")),
            "k: cannot open it: No such file or directory");
}

TEST_F(CredentialsTest, ReadsTheFileAgainEachTimeAndCountsWhatChanges) {
  const auto credentials = Credentials::OfFile(Put("k", "a:old"), "k");
  const std::uint64_t first = credentials->LookForChange();
  EXPECT_EQ(credentials->LookForChange(), first);
  Put("k", "a:new");
  EXPECT_EQ(Header(credentials), Header(Credentials::OfLine("a:new", "")));
  EXPECT_EQ(credentials->LookForChange(), first + 1);
  std::filesystem::remove(folder_ / "k");
  EXPECT_EQ(credentials->LookForChange(), first + 2);
  EXPECT_EQ(credentials->LookForChange(), first + 2);
  Put("k", "a:new");
  EXPECT_EQ(credentials->LookForChange(), first + 3);
}

TEST_F(CredentialsTest, LooksInTheNamedFileThenInTheDirectoryThenInTheEnvironment) {
  const auto named = Put("named", "named:x");
  Put("kurrentdb", "directory:x");
  const auto set = [&] {
    ASSERT_EQ(::setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1), 0);
    ASSERT_EQ(::setenv("CATCHUP_CREDENTIALS", "environment:x", 1), 0);
  };
  set();
  const auto by_name = Find(named);
  ASSERT_TRUE(by_name.ok()) << by_name.status().message();
  EXPECT_EQ(Header(*by_name), Header(Credentials::OfLine("named:x", "")));
  EXPECT_EQ((*by_name)->origin(), "source.credentials_file");
  // Whatever it was found in, nobody gets it from there any more.
  EXPECT_EQ(::getenv("CATCHUP_CREDENTIALS"), nullptr);
  set();
  const auto in_directory = Find();
  ASSERT_TRUE(in_directory.ok()) << in_directory.status().message();
  EXPECT_EQ(Header(*in_directory), Header(Credentials::OfLine("directory:x", "")));
  EXPECT_EQ((*in_directory)->origin(), "$CREDENTIALS_DIRECTORY/kurrentdb");
  set();
  std::filesystem::remove(folder_ / "kurrentdb");
  const auto in_environment = Find();
  ASSERT_TRUE(in_environment.ok()) << in_environment.status().message();
  EXPECT_EQ(Header(*in_environment), Header(Credentials::OfLine("environment:x", "")));
  EXPECT_EQ((*in_environment)->origin(), "CATCHUP_CREDENTIALS");
  const auto none = Find();
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, nullptr);
}

TEST_F(CredentialsTest, WhatIsFoundAndWrongIsNotPassedOver) {
  Put("kurrentdb", "directory:x", 0644);
  ASSERT_EQ(::setenv("CREDENTIALS_DIRECTORY", folder_.path().c_str(), 1), 0);
  ASSERT_EQ(::setenv("CATCHUP_CREDENTIALS", "environment:x", 1), 0);
  EXPECT_THAT(Find().status().message(),
              HasSubstr("$CREDENTIALS_DIRECTORY/kurrentdb: its mode is 0644"));
  EXPECT_EQ(Find(folder_ / "absent").status().message(),
            "source.credentials_file: cannot open it: No such file or directory");
  Clear();
  ASSERT_EQ(::setenv("CATCHUP_CREDENTIALS", "s3cret", 1), 0);
  EXPECT_EQ(Find().status().message(),
            "CATCHUP_CREDENTIALS: no \":\" in it: wanted one line user:password");
}

TEST_F(CredentialsTest, AnEmbeddedLogGetsNoneAndNobodyElseDoes) {
  ASSERT_EQ(::setenv("CATCHUP_CREDENTIALS", "environment:x", 1), 0);
  SourceUri uri;
  uri.kind = SourceUri::Kind::kEmbedded;
  const auto found = FindCredentials(uri, {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, nullptr);
  EXPECT_EQ(::getenv("CATCHUP_CREDENTIALS"), nullptr);
}

TEST(CredentialsFileTest, IsNamedInMessagesUnlessItsNameCouldBeThePassword) {
  EXPECT_EQ(NameCredentialsFile("--credentials-file", "/etc/k")->origin,
            "--credentials-file /etc/k");
  EXPECT_EQ(NameCredentialsFile("--credentials-file", "s3cret")->origin, "--credentials-file");
  for (const std::string written : {"", "admin:s3cret", "/s3cret:", "${s3cret}"}) {
    const auto named = NameCredentialsFile("--credentials-file", written);
    ASSERT_FALSE(named.ok()) << written;
    EXPECT_EQ(named.status().message(),
              "--credentials-file: wanted the path of a file that holds user:password");
  }
}

TEST(ReadablePasswordTest, IsOneThatLeavesTheMachineInTheClear) {
  const auto warning = [](const std::string& uri) {
    const auto parsed = ParseSourceUri(uri);
    EXPECT_TRUE(parsed.ok()) << uri;
    return WarnOfReadablePassword(*parsed);
  };
  for (const std::string quiet :
       {"kurrentdb://db.example", "kurrentdb://db.example?tlsVerifyCert=false",
        "kurrentdb://localhost?tls=false", "kurrentdb://LOCALHOST?tls=false",
        "kurrentdb://127.3.2.1?tls=false", "kurrentdb://[::1]:9?tls=false", "embedded:log"}) {
    EXPECT_EQ(warning(quiet), "") << quiet;
  }
  for (const std::string loud :
       {"kurrentdb://db.example?tls=false", "kurrentdb://127.example?tls=false",
        "kurrentdb://localhost.example?tls=false", "kurrentdb://[::2]?tls=false",
        "kurrentdb://localhost,db.example?tls=false"}) {
    EXPECT_THAT(warning(loud), HasSubstr("readable for everybody on the way")) << loud;
  }
}

}  // namespace
}  // namespace catchup
