#include "host/daemon/server_connection.h"

#include <gtest/gtest.h>

#include <chrono>

namespace catchup {
namespace {

using namespace std::chrono_literals;

TEST(ServerConnectionTest, IsAsTheOfficialClientsWouldMakeIt) {
  const ConnectionOptions options = ServerConnection({}, "db.example:2113", "orders");
  EXPECT_EQ(options.address, "db.example:2113");
  EXPECT_EQ(options.connection_name, "catchup-orders");
  EXPECT_TRUE(options.requires_leader);
  EXPECT_EQ(options.keepalive_time, 10s);
  EXPECT_EQ(options.keepalive_timeout, 10s);
  EXPECT_EQ(options.deadline, 10s);
}

TEST(ServerConnectionTest, FollowsTheConnectionString) {
  ConnectionSettings settings;
  settings.connection_name = "billing";
  settings.node_preference = NodePreference::kReadOnlyReplica;
  settings.keepalive_interval = std::nullopt;
  settings.keepalive_timeout = 3s;
  settings.deadline = 4s;

  const ConnectionOptions options = ServerConnection(settings, "a:1", "orders");

  EXPECT_EQ(options.connection_name, "billing-orders");
  EXPECT_FALSE(options.requires_leader);
  EXPECT_EQ(options.keepalive_time, std::nullopt);
  EXPECT_EQ(options.keepalive_timeout, 3s);
  EXPECT_EQ(options.deadline, 4s);
}

}  // namespace
}  // namespace catchup
