#include "host/config/source_uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace catchup {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
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

SourceUri Read(const std::string& text) {
  const auto uri = ParseSourceUri(text);
  EXPECT_TRUE(uri.ok()) << text << ": " << uri.status().message();
  return uri.ok() ? *uri : SourceUri();
}

ConnectionSettings Settings(const std::string& options) {
  return Read("kurrentdb://a?" + options).settings;
}

std::vector<std::string> Targets(const SourceUri& uri) {
  std::vector<std::string> targets;
  for (const ServerAddress& server : uri.servers) {
    targets.push_back(server.target());
  }
  return targets;
}

// Connection strings (protocol notes 5.1).

TEST(SourceUriTest, ReadsAServer) {
  const SourceUri uri = Read("kurrentdb://db.example:2114");
  EXPECT_EQ(uri.kind, SourceUri::Kind::kServer);
  EXPECT_EQ(uri.servers, (std::vector<ServerAddress>{{"db.example", 2114}}));
  EXPECT_FALSE(uri.discover);
  EXPECT_EQ(uri.target(), "db.example:2114");
  EXPECT_THAT(uri.warnings, IsEmpty());
}

TEST(SourceUriTest, TakesEverySchemeTheServersClientsTake) {
  for (const std::string scheme : {"kurrentdb", "esdb", "kurrent", "kdb", "ESDB"}) {
    EXPECT_EQ(Read(scheme + "://localhost").target(), "localhost:2113");
    EXPECT_FALSE(Read(scheme + "://localhost").discover);
    EXPECT_TRUE(Read(scheme + "+discover://localhost").discover);
  }
  EXPECT_TRUE(Read("kurrentDB+Discover://localhost").discover);
}

TEST(SourceUriTest, ReadsAddresses) {
  EXPECT_EQ(Read("kdb://127.0.0.1:1/").target(), "127.0.0.1:1");
  EXPECT_EQ(Read("kdb://[::1]").target(), "[::1]:2113");
  EXPECT_EQ(Read("kdb://[::1]").servers[0].host, "::1");
  EXPECT_EQ(Read("kdb://[fe80::1]:65535/?tls=true").target(), "[fe80::1]:65535");
  EXPECT_EQ(Read("kdb://[::ffff:1.2.3.4]:5").target(), "[::ffff:1.2.3.4]:5");
}

TEST(SourceUriTest, SeveralHostsAreAskedForTheirCluster) {
  const SourceUri uri = Read("esdb://a,b.example:5,[::1],[::2]:7,127.0.0.1?tls=false");
  EXPECT_EQ(Targets(uri), (std::vector<std::string>{"a:2113", "b.example:5", "[::1]:2113",
                                                    "[::2]:7", "127.0.0.1:2113"}));
  EXPECT_TRUE(uri.discover);
}

TEST(SourceUriTest, DefaultsAreThoseOfTheOfficialClients) {
  const ConnectionSettings settings = Read("kurrentdb://a").settings;
  EXPECT_TRUE(settings.tls);
  EXPECT_TRUE(settings.verify_certificate);
  EXPECT_TRUE(settings.ca_file.empty());
  EXPECT_TRUE(settings.certificate_file.empty());
  EXPECT_TRUE(settings.key_file.empty());
  EXPECT_EQ(settings.node_preference, NodePreference::kLeader);
  EXPECT_EQ(settings.max_discover_attempts, 10u);
  EXPECT_EQ(settings.discovery_interval, 100ms);
  EXPECT_EQ(settings.gossip_timeout, 5s);
  EXPECT_EQ(settings.keepalive_interval, 10s);
  EXPECT_EQ(settings.keepalive_timeout, 10s);
  EXPECT_EQ(settings.deadline, 10s);
  EXPECT_EQ(settings.connection_name, "");
}

TEST(SourceUriTest, ReadsEveryOption) {
  const ConnectionSettings settings = Settings(
      "tls=true&tlsVerifyCert=false&tlsCaFile=/etc/ca.pem&userCertFile=c.pem&userKeyFile=k.pem"
      "&nodePreference=readOnlyReplica&maxDiscoverAttempts=7&discoveryInterval=250"
      "&gossipTimeout=3000&keepAliveInterval=1000&keepAliveTimeout=2000&defaultDeadline=4000"
      "&connectionName=billing&throwOnAppendFailure=false");
  EXPECT_TRUE(settings.tls);
  EXPECT_FALSE(settings.verify_certificate);
  EXPECT_EQ(settings.ca_file, "/etc/ca.pem");
  EXPECT_EQ(settings.certificate_file, "c.pem");
  EXPECT_EQ(settings.key_file, "k.pem");
  EXPECT_EQ(settings.node_preference, NodePreference::kReadOnlyReplica);
  EXPECT_EQ(settings.max_discover_attempts, 7u);
  EXPECT_EQ(settings.discovery_interval, 250ms);
  EXPECT_EQ(settings.gossip_timeout, 3s);
  EXPECT_EQ(settings.keepalive_interval, 1s);
  EXPECT_EQ(settings.keepalive_timeout, 2s);
  EXPECT_EQ(settings.deadline, 4s);
  EXPECT_EQ(settings.connection_name, "billing");
}

TEST(SourceUriTest, KeysAndWordsMayHaveAnyCase) {
  EXPECT_FALSE(Settings("TLS=False").tls);
  EXPECT_EQ(Settings("NODEpreference=FOLLOWER").node_preference, NodePreference::kFollower);
  EXPECT_EQ(Settings("nodepreference=Random").node_preference, NodePreference::kRandom);
  EXPECT_EQ(Settings("connectionname=Billing").connection_name, "Billing");
}

TEST(SourceUriTest, AnEmptyListOfOptionsIsNone) {
  EXPECT_TRUE(Read("kdb://a?").settings.tls);
  EXPECT_FALSE(Read("kdb://a/?tls=false&").settings.tls);
}

TEST(SourceUriTest, DecodesPercentSignsInValues) {
  EXPECT_EQ(Settings("connectionName=a%40b%3d%26%25+%41").connection_name, "a@b=&%+A");
  EXPECT_EQ(Settings("tlsCaFile=/etc/my%20ca%C3%A4.pem").ca_file, "/etc/my ca\xc3\xa4.pem");
  EXPECT_FALSE(Settings("tls=%66alse").tls);
  const std::string wanted =
      ": wanted two hexadecimal digits behind each \"%\", as \"%25\" for one itself";
  for (const std::string bad : {"%", "a%4", "%4g", "100%25%", "%%41"}) {
    EXPECT_EQ(Refusal("kdb://a?connectionName=" + bad),
              "option connectionName=\"" + bad + "\"" + wanted);
  }
}

TEST(SourceUriTest, MinusOneTurnsKeepaliveOff) {
  const ConnectionSettings settings = Settings("keepAliveInterval=-1&keepAliveTimeout=-1");
  EXPECT_EQ(settings.keepalive_interval, std::nullopt);
  EXPECT_EQ(settings.keepalive_timeout, std::nullopt);
}

TEST(SourceUriTest, TimesAreMilliseconds) {
  const std::string time = ": wanted a number of milliseconds from 1 to 2147483647";
  for (const std::string name : {"discoveryInterval", "gossipTimeout", "defaultDeadline"}) {
    for (const std::string bad :
         {"", "0", "-1", "10s", "1.5", "0x5", " 5", "2147483648", "99999999999999999999"}) {
      EXPECT_EQ(Refusal("kdb://a?" + name + "=" + bad),
                "option " + name + "=\"" + bad + "\"" + time);
    }
  }
  for (const std::string name : {"keepAliveInterval", "keepAliveTimeout"}) {
    for (const std::string bad : {"", "0", "-2", "10s", "off"}) {
      EXPECT_EQ(Refusal("kdb://a?" + name + "=" + bad),
                "option " + name + "=\"" + bad + "\"" + time + ", or -1 for off");
    }
  }
  EXPECT_EQ(Settings("keepAliveInterval=2147483647").keepalive_interval, 2147483647ms);
}

TEST(SourceUriTest, WarnsOfATimeThatSomeClientsTakeForSeconds) {
  EXPECT_THAT(Read("kdb://a?gossipTimeout=5").warnings,
              ElementsAre("gossipTimeout=5 is 5 ms here, where some clients take it for seconds; "
                          "wanted 5000 if those are meant"));
  EXPECT_THAT(Read("kdb://a?gossipTimeout=100").warnings, IsEmpty());
}

TEST(SourceUriTest, WarnsOfAServerThatNobodyChecks) {
  EXPECT_THAT(Read("kdb://a?tlsVerifyCert=false").warnings,
              ElementsAre(HasSubstr("tlsVerifyCert=false: nobody checks")));
  EXPECT_THAT(Read("kdb://a?tlsVerifyCert=false&tls=false").warnings, IsEmpty());
}

TEST(SourceUriTest, WarnsOfWhatHasNoEffectWithoutTls) {
  EXPECT_THAT(Read("kdb://a?tls=false&tlsCaFile=ca.pem").warnings,
              ElementsAre("tlsCaFile without effect: tls=false"));
  EXPECT_THAT(Read("kdb://a?tls=false&userCertFile=c&userKeyFile=k").warnings,
              ElementsAre("userCertFile without effect: tls=false"));
}

TEST(SourceUriTest, ReadsAnEmbeddedLog) {
  const auto uri = ParseSourceUri("embedded:../data/e v?x@y");
  ASSERT_TRUE(uri.ok());
  EXPECT_EQ(uri->kind, SourceUri::Kind::kEmbedded);
  EXPECT_EQ(uri->path, "../data/e v?x@y");
  EXPECT_EQ(uri->target(), "");
  EXPECT_FALSE(uri->settings.tls);
}

TEST(SourceUriTest, TakesNoPathOfAnotherStyle) {
  const std::string slashes = "\"//\" behind \"embedded:\": wanted \"embedded:PATH\"";
  EXPECT_EQ(Refusal("embedded://events"), slashes + ", as \"embedded:events\"");
  EXPECT_EQ(Refusal("embedded:///var/events"), slashes + ", as \"embedded:/var/events\"");
  EXPECT_EQ(Refusal("embedded://"), slashes);
  EXPECT_EQ(Refusal("embedded://admin:changeit@db"), slashes) << "repeats a password";
  EXPECT_EQ(Refusal("embedded://admin:changeit%40db"), slashes) << "repeats a password";
  EXPECT_EQ(Refusal("embedded:$EVENTS"),
            "path \"$EVENTS\": wanted a whole path, because variables are not replaced in it");
  EXPECT_EQ(Refusal("embedded:{{events}}"),
            "path \"{{events}}\": wanted a whole path, because nothing is put in the place of "
            "\"{{events}}\"");
  EXPECT_EQ(Refusal("embedded:file:///x"),
            "path \"file:///x\": wanted a path, not a URL, as \"/x\"");
  const std::string variable =
      "a variable stands in it, which is not replaced: wanted \"kurrentdb://HOST:PORT\" "
      "or "
      "\"embedded:PATH\"";
  EXPECT_EQ(Refusal("${KURRENT}"), variable);
  EXPECT_EQ(Refusal("kurrentdb://$HOST:2113?tls=false"), variable);
  EXPECT_EQ(Refusal("{{ kurrent }}"), variable);
  EXPECT_EQ(Refusal("kurrentdb://<host>:2113?tls=false"), variable);
  EXPECT_EQ(Refusal("kurrentdb://%DB%:2113?tls=false"), variable);
}

TEST(SourceUriTest, NamesAllServersInOneText) {
  EXPECT_EQ(Read("kurrentdb://a,[::1]:5?tls=false").targets(), "a:2113, [::1]:5");
  EXPECT_EQ(Read("kurrentdb://a").targets(), "a:2113");
}

TEST(SourceUriTest, NamesTheOptionNearestToAnUnknownOne) {
  EXPECT_EQ(Refusal("kurrentdb://a?tlsVerifyCerts=false"),
            "unknown option \"tlsVerifyCerts\": the nearest known option is \"tlsVerifyCert\"");
  EXPECT_EQ(Refusal("kurrentdb://a?node_preference=leader"),
            "unknown option \"node_preference\": the nearest known option is \"nodePreference\"");
  EXPECT_EQ(Refusal("kurrentdb://a?keepalive=5"),
            "unknown option \"keepalive\": the nearest known option is \"keepAliveInterval\"");
  EXPECT_EQ(Refusal("kurrentdb://a?tsl=false"),
            "unknown option \"tsl\": the nearest known option is \"tls\"");
  const std::string all =
      "wanted one of tls, tlsVerifyCert, tlsCaFile, userCertFile, userKeyFile, nodePreference, "
      "maxDiscoverAttempts, discoveryInterval, gossipTimeout, keepAliveInterval, "
      "keepAliveTimeout, defaultDeadline, connectionName, throwOnAppendFailure";
  EXPECT_EQ(Refusal("kurrentdb://a?colour=red"), "unknown option \"colour\": " + all);
  EXPECT_EQ(Refusal("kurrentdb://a?tls=false&=1"), "unknown option \"\": " + all);
  EXPECT_EQ(Refusal("kurrentdb://a?tls=false&&tls=false"), "unknown option \"\": " + all);
}

TEST(SourceUriTest, SaysWhichValueIsWrong) {
  EXPECT_EQ(Refusal("kdb://a?tls"), "option tls=\"\": wanted true or false");
  EXPECT_EQ(Refusal("kdb://a?tls=1"), "option tls=\"1\": wanted true or false");
  EXPECT_EQ(Refusal("kdb://a?throwOnAppendFailure=no"),
            "option throwOnAppendFailure=\"no\": wanted true or false");
  EXPECT_EQ(Refusal("kdb://a?nodePreference=primary"),
            "option nodePreference=\"primary\": wanted leader, follower, random or "
            "readOnlyReplica");
  EXPECT_EQ(Refusal("kdb://a?maxDiscoverAttempts=0"),
            "option maxDiscoverAttempts=\"0\": wanted a number from 1 to 1000000");
  EXPECT_THAT(Refusal("kdb://a?tlsCaFile=~/ca.pem"),
              HasSubstr("option tlsCaFile=\"~/ca.pem\": wanted a whole path"));
  EXPECT_EQ(Refusal("kdb://a?tlsCaFile="),
            "option tlsCaFile=\"\": wanted a path that is not empty");
  EXPECT_EQ(Refusal("kdb://a?userCertFile=c"),
            "option userCertFile without userKeyFile: wanted both or neither");
  EXPECT_EQ(Refusal("kdb://a?userKeyFile=k"),
            "option userKeyFile without userCertFile: wanted both or neither");
  EXPECT_EQ(Refusal("kdb://a?tls=true&TLS=true"), "option tls twice: wanted it once");
  EXPECT_EQ(
      Refusal("kdb://a?defaultDeadline=$DEADLINE"),
      "option defaultDeadline=\"$DEADLINE\": wanted a value itself, because variables are not "
      "replaced in it");
  EXPECT_EQ(Refusal("kdb://a?connectionName={{name}}"),
            "option connectionName=\"{{name}}\": wanted a value itself, because nothing is put in "
            "the place of \"{{name}}\"");
}

// gRPC ends the process over a header that it cannot send.
TEST(SourceUriTest, TakesNoNameThatIsNoHeader) {
  const std::string wanted = ": wanted 1 to 128 printable ASCII characters, no space around them";
  for (const std::string bad : {"", "%20a", "a%20", "a%0ab", "%C3%A4", "%7f"}) {
    EXPECT_THAT(Refusal("kdb://a?connectionName=" + bad), HasSubstr(wanted)) << bad;
  }
  EXPECT_THAT(Refusal("kdb://a?connectionName=" + std::string(129, 'n')), HasSubstr(wanted));
  EXPECT_EQ(Settings("connectionName=" + std::string(128, 'n')).connection_name.size(), 128u);
  EXPECT_EQ(Settings("connectionName=a%20b").connection_name, "a b");
}

TEST(SourceUriTest, SaysWhatIsWrongWithTheHosts) {
  EXPECT_EQ(Refusal("kurrentdb:a"),
            "no scheme in it: wanted \"kurrentdb://HOST:PORT\" or \"embedded:PATH\"");
  EXPECT_EQ(Refusal("kurrentdb+gossip://a"),
            "scheme \"kurrentdb+gossip\": wanted \"kurrentdb://HOST:PORT\" or "
            "\"embedded:PATH\"");
  EXPECT_EQ(Refusal("a b://c"),
            "no scheme before \"://\": wanted \"kurrentdb://HOST:PORT\" or "
            "\"embedded:PATH\"");
  EXPECT_EQ(Refusal("kdb+discover://a,b"),
            "several hosts \"a,b\" behind \"+discover\": wanted one, whose name stands for all "
            "nodes, or the scheme without \"+discover\"");
  EXPECT_EQ(Refusal("kdb://a,b,a:2113"), "host \"a:2113\" twice: wanted each once");
  EXPECT_EQ(Refusal("kdb://db.example,DB.example"),
            "host \"DB.example:2113\" twice: wanted each once");
  EXPECT_EQ(Refusal("kdb://[fe80::1%eth0]:2113"),
            "zone \"%eth0\" behind the address in \"[fe80::1%eth0]:2113\": wanted an address "
            "without one, or a name");
  EXPECT_THAT(Refusal("kdb://a,,b"), HasSubstr("host \"\": wanted"));
  EXPECT_THAT(Refusal("kdb://a,"), HasSubstr("host \"\": wanted"));
  std::string many = "kdb://h0";
  for (int i = 1; i < 64; ++i) {
    many += ",h" + std::to_string(i);
  }
  EXPECT_EQ(Read(many).servers.size(), 64u);
  EXPECT_EQ(Refusal(many + ",one"),
            "more than 64 hosts: wanted some nodes of a cluster, which know the others");
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
  const std::string port = "port of host \"a\": wanted a number from 1 to 65535";
  EXPECT_EQ(Refusal("kurrentdb://a:?tls=false"), port);
  EXPECT_EQ(Refusal("kurrentdb://a:-1?tls=false"), port);
  EXPECT_EQ(Refusal("kurrentdb://a:1:2?tls=false"), port);
  EXPECT_EQ(Refusal("kurrentdb://a:65536?tls=false"), port);
  EXPECT_EQ(Refusal("kurrentdb://a:4294967297?tls=false"), port);
  EXPECT_EQ(Refusal("kurrentdb://a:0?tls=false"), port);
  EXPECT_EQ(Refusal("kurrentdb://[::1]:x?tls=false"),
            "port of host \"[::1]\": wanted a number from 1 to 65535");
  EXPECT_EQ(Refusal("kurrentdb://[1::2::3]?tls=false"),
            "host in \"[1::2::3]\": wanted an IPv6 address in brackets");
  EXPECT_THAT(Refusal("kurrentdb://::1"), HasSubstr("IPv6 address without brackets"));
  EXPECT_THAT(Refusal("kurrentdb://1:2:3:4:5:6:7:8"), HasSubstr("IPv6 address without brackets"));
  EXPECT_EQ(Refusal("kurrentdb://a/b?tls=false"), "a path behind the host: wanted none or \"/\"");
}

TEST(SourceUriTest, NeverRepeatsAPassword) {
  for (const std::string text : {"kurrentdb://admin:s3cret@a?tls=false",
                                 "esdb://s3cret@a",
                                 "kdb://admin:s3?cret@a",
                                 "kdb://admin:s3/cret@a?tls=false",
                                 "kdb+discover://admin:s3cret@a",
                                 "ftp://admin:s3cret@a",
                                 "admin:s3cret@a",
                                 "kdb://admin:s3cret%40a",
                                 "kdb://a,admin:s3cret@b",
                                 "kdb://admin:s3cret",
                                 "kdb://ad:s3:be",
                                 "kdb://a?connectionName=s3@b",
                                 "kdb://a?password=s3cret",
                                 "kdb://a,admin:s3cret",
                                 "kdb://admin:s3::cret",
                                 "kdb://admin:1/s3cret",
                                 "kdb://admin:s3c[::1]ret?t%40a",
                                 "admin:s3cret@kdb://a",
                                 "kdb://admin:1?s3cret%40a",
                                 "kdb://[::1]:s3cret",
                                 "kdb://[::1]s3cret@a"}) {
    EXPECT_THAT(Refusal(text), Not(HasSubstr("s3"))) << text;
  }
}

}  // namespace
}  // namespace catchup
