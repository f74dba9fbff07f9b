#include "host/base/host_port.h"

#include <gtest/gtest.h>

namespace catchup {
namespace {

TEST(HostPortTest, ReadsAHostWithAndWithoutAPort) {
  const auto named = ParseHostPort("node-1.example");
  ASSERT_TRUE(named.ok());
  EXPECT_EQ(named->host, "node-1.example");
  EXPECT_FALSE(named->port.has_value());

  const auto address = ParseHostPort("[::1]:2113");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "::1");
  EXPECT_EQ(address->port, 2113);
}

TEST(HostPortTest, SaysWhatItFoundAndWanted) {
  const auto refusal = [](std::string_view text) { return ParseHostPort(text).status().message(); };
  EXPECT_EQ(refusal(":5"), "host \"\": wanted a name, an IPv4 address or an IPv6 one in brackets");
  EXPECT_EQ(refusal("[::1"), "host in \"[::1\": wanted an IPv6 address in brackets");
  EXPECT_EQ(refusal("a:70000"), "port in \"a:70000\": wanted a number from 0 to 65535");
  EXPECT_EQ(refusal("[::1]5"), "port in \"[::1]5\": wanted a number from 0 to 65535");
  EXPECT_EQ(refusal("a:b:5"), "port in \"a:b:5\": wanted a number from 0 to 65535");
}

TEST(HostPortTest, OffersTheBracketsThatAnIPv6AddressIsWithout) {
  const auto refusal = [](std::string_view text) { return ParseHostPort(text).status().message(); };
  EXPECT_EQ(refusal("::1"), "IPv6 address without brackets in \"::1\": wanted \"[::1]:PORT\"");
  EXPECT_EQ(refusal("::"), "IPv6 address without brackets in \"::\": wanted \"[::]:PORT\"");
  EXPECT_EQ(refusal("::1:2113"),
            "IPv6 address without brackets in \"::1:2113\": wanted \"[::1]:2113\" or "
            "\"[::1:2113]:PORT\"");
  EXPECT_EQ(refusal("2001:db8:1:2:3:4:5:6:2113"),
            "IPv6 address without brackets in \"2001:db8:1:2:3:4:5:6:2113\": wanted "
            "\"[2001:db8:1:2:3:4:5:6]:2113\"");
}

TEST(ListenAddressTest, NeedsAPortWhichMayBeAnyFreeOne) {
  const auto address = ParseListenAddress("127.0.0.1:0");
  ASSERT_TRUE(address.ok());
  EXPECT_EQ(address->host, "127.0.0.1");
  EXPECT_EQ(address->port, 0);
  EXPECT_EQ(ParseListenAddress("localhost").status().message(),
            "no port in \"localhost\": wanted HOST:PORT");
  EXPECT_FALSE(ParseListenAddress(":5").ok());
  EXPECT_FALSE(ParseListenAddress("a:x").ok());
}

TEST(ListenAddressTest, ReadsWhatItWrites) {
  for (const std::string text : {"127.0.0.1:2113", "localhost:0", "[::]:5"}) {
    EXPECT_EQ(ParseListenAddress(text)->text(), text);
  }
}

}  // namespace
}  // namespace catchup
