#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>
#include <vector>

#include "host/source/embedded/log_server.h"
#include "tests/e2e/harness.h"
#include "tests/source/cluster/cluster.h"

namespace catchup::e2e {

// A site with a cluster of three before one log, which the real program reads.
class ClusterTest : public testing::Test {
 protected:
  ClusterTest() : log_(StartLog("log")), cluster_(std::make_unique<Cluster>(log_->address())) {}

  // The log in this folder of the site, served.
  std::unique_ptr<embedded::EmbeddedServer> StartLog(const std::string& folder) const {
    embedded::ServerOptions options;
    options.directory = site_.file(folder);
    return *embedded::EmbeddedServer::Start(options);
  }

  std::unique_ptr<Process> Run(const std::string& uri, const std::string& groups = {}) {
    site_.Configure(groups.empty() ? JsonlGroup("copy") : groups, uri);
    return site_.Start({"run", "host.toml"});
  }
  // One more event, which the group is to get.
  void ExpectOneMore(Process* host) {
    ASSERT_TRUE(log_->Seed("s", "x", "{}").ok());
    wanted_.push_back("s@" + std::to_string(wanted_.size()) + " x");
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "copy").size() >= wanted_.size(); }))
        << host->Errors();
    EXPECT_EQ(Written(site_, "copy"), wanted_);
  }
  bool AwaitState(Process* host, const std::string& state, const std::string& words = {}) {
    return WaitUntil([&] {
      const HostLog log = host->Log();
      return log.Last("State changed", "copy", "state") == state &&
             log.Last("State changed", "copy", "reason").find(words) != std::string::npos;
    });
  }
  static void ExpectStops(Process* host) {
    host->Signal(SIGTERM);
    EXPECT_EQ(host->Wait(), 0) << host->Errors();
  }

  Site site_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Cluster> cluster_;
  std::vector<std::string> wanted_;
};

}  // namespace catchup::e2e
