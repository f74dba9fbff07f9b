#include "host/config/source_uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace catchup {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string Refusal(const std::string& text) {
  const auto uri = ParseSourceUri(text);
  EXPECT_FALSE(uri.ok()) << text;
  if (uri.ok()) {
    return "";
  }
  EXPECT_EQ(uri.status().code(), Status::Code::kInvalid);
  return uri.status().message();
}

TEST(SourceUriTest, ReadsAServer) {
  const auto uri = ParseSourceUri("kurrentdb://db.example:2114?tls=false");
  ASSERT_TRUE(uri.ok()) << uri.status().message();
  EXPECT_EQ(uri->kind, SourceUri::Kind::kServer);
  EXPECT_EQ(uri->host, "db.example");
  EXPECT_EQ(uri->port, 2114);
  EXPECT_EQ(uri->target(), "db.example:2114");
}

TEST(SourceUriTest, TakesEverySchemeTheServersClientsTake) {
  for (const std::string scheme : {"kurrentdb", "esdb", "kurrent", "kdb", "ESDB"}) {
    const auto uri = ParseSourceUri(scheme + "://localhost?tls=false");
    ASSERT_TRUE(uri.ok()) << scheme;
    EXPECT_EQ(uri->target(), "localhost:2113");
  }
}

TEST(SourceUriTest, ReadsAddressesAndCaseOfOptions) {
  EXPECT_EQ(ParseSourceUri("kdb://127.0.0.1:1/?TLS=False")->target(), "127.0.0.1:1");
  EXPECT_EQ(ParseSourceUri("kdb://[::1]?tls=false")->target(), "[::1]:2113");
  EXPECT_EQ(ParseSourceUri("kdb://[fe80::1]:65535?tls=false")->target(), "[fe80::1]:65535");
}

TEST(SourceUriTest, ReadsAnEmbeddedLog) {
  const auto uri = ParseSourceUri("embedded:../data/e v?x@y");
  ASSERT_TRUE(uri.ok());
  EXPECT_EQ(uri->kind, SourceUri::Kind::kEmbedded);
  EXPECT_EQ(uri->path, "../data/e v?x@y");
  EXPECT_EQ(uri->target(), "");
}

TEST(SourceUriTest, TakesNoPathOfAnotherStyle) {
  const std::string slashes = "\"//\" behind \"embedded:\": wanted \"embedded:PATH\"";
  EXPECT_EQ(Refusal("embedded://events"), slashes + ", as \"embedded:events\"");
  EXPECT_EQ(Refusal("embedded:///var/events"), slashes + ", as \"embedded:/var/events\"");
  EXPECT_EQ(Refusal("embedded://"), slashes);
  EXPECT_EQ(Refusal("embedded:$EVENTS"),
            "path \"$EVENTS\": wanted a whole path, because variables are not replaced in it");
  EXPECT_EQ(Refusal("embedded:{{events}}"),
            "path \"{{events}}\": wanted a whole path, because nothing is put in the place of "
            "\"{{events}}\"");
  EXPECT_EQ(Refusal("embedded:file:///x"),
            "path \"file:///x\": wanted a path, not a URL, as \"/x\"");
  const std::string variable =
      "a variable stands in it, which is not replaced: wanted \"kurrentdb://HOST:PORT?tls=false\" "
      "or "
      "\"embedded:PATH\"";
  EXPECT_EQ(Refusal("${KURRENT}"), variable);
  EXPECT_EQ(Refusal("kurrentdb://$HOST:2113?tls=false"), variable);
  EXPECT_EQ(Refusal("{{ kurrent }}"), variable);
  EXPECT_EQ(Refusal("kurrentdb://<host>:2113?tls=false"), variable);
  EXPECT_EQ(Refusal("kurrentdb://%DB%:2113?tls=false"), variable);
}

TEST(SourceUriTest, SaysWhatThisVersionLacks) {
  EXPECT_EQ(Refusal("kurrentdb://a"),
            "TLS is on: this version supports connections without it, wanted \"?tls=false\" at the "
            "end");
  EXPECT_EQ(Refusal("kurrentdb://a?tls=true"),
            "option tls=\"true\": this version supports tls=false");
  EXPECT_EQ(Refusal("kurrentdb://a,b:5?tls=false"),
            "several hosts \"a,b:5\": this version supports one");
  EXPECT_EQ(Refusal("kurrentdb+discover://a?tls=false"),
            "scheme \"kurrentdb+discover\": this version supports no discovery, wanted "
            "\"kurrentdb://HOST:PORT?tls=false\" or \"embedded:PATH\"");
  EXPECT_EQ(Refusal("kurrentdb://a?tls=false&nodePreference=leader"),
            "option \"nodePreference\": this version supports tls=false and no other");
}

TEST(SourceUriTest, SaysWhatIsWrong) {
  EXPECT_EQ(Refusal("kurrentdb://a?tls=false&colour=red"),
            "unknown option \"colour\": wanted tls=false");
  EXPECT_EQ(Refusal("kurrentdb://a?tls=false&=1"), "unknown option \"\": wanted tls=false");
  EXPECT_EQ(Refusal("kurrentdb:a"),
            "no scheme in it: wanted \"kurrentdb://HOST:PORT?tls=false\" or \"embedded:PATH\"");
}

TEST(SourceUriTest, RefusesHostsAndPortsThatAreNone) {
  const std::string host = ": wanted a name, an IPv4 address or an IPv6 one in brackets";
  EXPECT_EQ(Refusal("kurrentdb://?tls=false"), "host \"\"" + host);
  EXPECT_EQ(Refusal("kurrentdb://a b?tls=false"), "host \"a b\"" + host);
  EXPECT_EQ(Refusal("kurrentdb://:2113?tls=false"), "host \"\"" + host);
  EXPECT_EQ(Refusal("kurrentdb://[a]?tls=false"),
            "host in \"[a]\": wanted an IPv6 address in brackets");
  EXPECT_EQ(Refusal("kurrentdb://[::1?tls=false"),
            "host in \"[::1\": wanted an IPv6 address in brackets");
  EXPECT_EQ(Refusal("kurrentdb://a:?tls=false"), "port in \"a:\": wanted a number from 0 to 65535");
  EXPECT_EQ(Refusal("kurrentdb://a:-1?tls=false"),
            "port in \"a:-1\": wanted a number from 0 to 65535");
  EXPECT_EQ(Refusal("kurrentdb://a:65536?tls=false"),
            "port in \"a:65536\": wanted a number from 0 to 65535");
  EXPECT_EQ(Refusal("kurrentdb://a:1:2?tls=false"),
            "port in \"a:1:2\": wanted a number from 0 to 65535");
  EXPECT_EQ(Refusal("kurrentdb://a:0?tls=false"), "port 0: wanted a number from 1 to 65535");
  EXPECT_EQ(Refusal("kurrentdb://a/b?tls=false"), "path \"/b\": wanted none or \"/\"");
}

TEST(SourceUriTest, NeverRepeatsAPassword) {
  for (const std::string text :
       {"kurrentdb://admin:s3cret@a?tls=false", "esdb://s3cret@a", "kdb://admin:s3?cret@a",
        "kdb://admin:s3/cret@a?tls=false", "kdb+discover://admin:s3cret@a", "ftp://admin:s3cret@a",
        "admin:s3cret@a"}) {
    EXPECT_THAT(Refusal(text), Not(HasSubstr("s3"))) << text;
  }
}

}  // namespace
}  // namespace catchup
