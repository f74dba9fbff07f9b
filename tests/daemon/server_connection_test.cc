#include "host/daemon/source/server_connection.h"

#include <gtest/gtest.h>

#include <chrono>

namespace catchup {
namespace {

using namespace std::chrono_literals;

TEST(ServerConnectionTest, IsAsTheOfficialClientsWouldMakeIt) {
  const ConnectionOptions options = ServerConnection({}, "db.example:2113", "orders", nullptr);
  EXPECT_EQ(options.address, "db.example:2113");
  EXPECT_EQ(options.connection_name, "catchup-orders");
  EXPECT_TRUE(options.requires_leader);
  EXPECT_EQ(options.keepalive_time, 10s);
  EXPECT_EQ(options.keepalive_timeout, 10s);
  EXPECT_EQ(options.deadline, 10s);
  ASSERT_TRUE(options.tls.has_value());
  EXPECT_TRUE(options.tls->verify_server);
}

TEST(ServerConnectionTest, ShowsTheCredentials) {
  const ConnectionOptions options =
      ServerConnection({}, "a:1", "orders", Credentials::OfLine("a:b", "the environment"));
  const Result<std::string> header = options.authorization();
  ASSERT_TRUE(header.ok());
  EXPECT_EQ(*header, "Basic YTpi");
  EXPECT_EQ(options.credentials_origin, "the environment");
  EXPECT_EQ(ServerConnection({}, "a:1", "orders", nullptr).authorization, nullptr);
}

TEST(ServerConnectionTest, FollowsTheConnectionString) {
  ConnectionSettings settings;
  settings.connection_name = "billing";
  settings.node_preference = NodePreference::kReadOnlyReplica;
  settings.keepalive_interval = std::nullopt;
  settings.keepalive_timeout = 3s;
  settings.deadline = 4s;
  settings.verify_certificate = false;
  settings.ca_file = "/ca.pem";
  settings.certificate_file = "/cert.pem";
  settings.key_file = "/key.pem";

  const ConnectionOptions options = ServerConnection(settings, "a:1", "orders", nullptr);

  EXPECT_EQ(options.connection_name, "billing-orders");
  EXPECT_FALSE(options.requires_leader);
  EXPECT_EQ(options.keepalive_time, std::nullopt);
  EXPECT_EQ(options.keepalive_timeout, 3s);
  EXPECT_EQ(options.deadline, 4s);
  EXPECT_EQ(options.connect_timeout, 4s) << "whoever cannot wait so long says so";
  ASSERT_TRUE(options.tls.has_value());
  EXPECT_FALSE(options.tls->verify_server);
  EXPECT_EQ(options.tls->ca_file, "/ca.pem");
  EXPECT_EQ(options.tls->certificate_file, "/cert.pem");
  EXPECT_EQ(options.tls->key_file, "/key.pem");

  settings.tls = false;
  EXPECT_FALSE(ServerConnection(settings, "a:1", "orders", nullptr).tls.has_value());
}

}  // namespace
}  // namespace catchup
