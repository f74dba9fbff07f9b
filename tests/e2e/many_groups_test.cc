#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "host/base/host_port.h"
#include "host/source/embedded/log_server.h"
#include "host/source/proto/gossip.pb.h"
#include "host/source/proto/streams.pb.h"
#include "tests/e2e/harness.h"
#include "tests/proxy/fault_proxy.h"
#include "tests/source/cluster/front.h"

// As many groups as one host is to bear, at a node that is found by asking it, behind a network.
// Each has a connection of its own, so that what becomes of one is nothing to the others; what is
// the same for all of them is asked once.

namespace catchup::e2e {
namespace {

using Direction = FaultProxy::Direction;
using Names = std::vector<std::string>;

constexpr std::size_t kGroups = 200;

std::string NameOf(std::size_t group) { return "g" + std::to_string(group); }

// What the node is asked, by whom.
class Calls {
 public:
  // Of a call that it is told of, by the name of the connection.
  void Count(const Front::Call& call) {
    event_store::client::streams::ReadReq read;
    const bool reads = call.method.ends_with(".Streams/Read") && read.ParseFromString(call.message);
    const bool head = reads && read.options().read_direction() ==
                                   event_store::client::streams::ReadReq::Options::Backwards;
    const std::lock_guard lock(mutex_);
    heads_[call.Header("connection-name")] += head ? 1 : 0;
    searches_ += call.method.ends_with(".Gossip/Read") ? 1 : 0;
  }
  // How often for the newest event of the log, over connections of this name.
  std::size_t heads(const std::string& connection) {
    const std::lock_guard lock(mutex_);
    return heads_[connection];
  }
  // How often for the nodes of its cluster.
  std::size_t searches() {
    const std::lock_guard lock(mutex_);
    return searches_;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::size_t> heads_;
  std::size_t searches_ = 0;
};

class ManyGroupsTest : public testing::Test {
 protected:
  ManyGroupsTest() {
    embedded::ServerOptions options;
    options.directory = site_.file("log");
    log_ = *embedded::EmbeddedServer::Start(options);
    node_ = std::make_unique<Front>(log_->address());
    network_ = std::make_unique<FaultProxy>(node_->address());
    node_->SetRule([this](const Front::Call& call) {
      Front::Fate fate;
      if (!call.open) {
        calls_.Count(call);
      }
      if (call.method.ends_with(".Gossip/Read")) {
        fate.answer = [this](const std::string&) { return OnlyNode(); };
      }
      return fate;
    });
    std::string groups;
    for (std::size_t i = 0; i < kGroups; ++i) {
      groups += JsonlGroup(NameOf(i));
    }
    // What is tested is how much is asked, so on no machine are answers to be late.
    site_.Configure(groups, "kurrentdb+discover://" + network_->address() +
                                "?tls=false&defaultDeadline=120000&gossipTimeout=120000&"
                                "keepAliveTimeout=120000");
  }

  // As the node tells it: it is a cluster of one, and reached through the network.
  std::string OnlyNode() const {
    using event_store::client::gossip::MemberInfo;
    event_store::client::gossip::ClusterInfo info;
    MemberInfo& member = *info.add_members();
    member.set_is_alive(true);
    member.set_state(MemberInfo::Leader);
    const auto place = ParseHostPort(network_->address());
    member.mutable_http_end_point()->set_address(place->host);
    member.mutable_http_end_point()->set_port(*place->port);
    return info.SerializeAsString();
  }

  void Append() {
    ASSERT_TRUE(log_->Seed("s", "x", "{}").ok());
    wanted_.push_back("s@" + std::to_string(wanted_.size()) + " x");
  }
  bool Has(std::size_t group) const {
    return ReadWholeLines(site_.data(NameOf(group), "out.jsonl")).size() >= wanted_.size();
  }
  // True once all but `others` groups have every event.
  bool AwaitAllBut(std::size_t others) const {
    std::set<std::size_t> left;
    for (std::size_t i = 0; i < kGroups; ++i) {
      left.insert(left.end(), i);
    }
    return WaitUntil(
        [&] {
          std::erase_if(left, [&](std::size_t group) { return Has(group); });
          return left.size() <= others;
        },
        std::chrono::minutes(2));
  }
  // Whose subscriptions were dropped, in order, but for the first so many.
  static Names Dropped(const Process& host, std::size_t but_for = 0) {
    Names names;
    for (const JsonObject& line : host.Log().With("Subscription dropped")) {
      names.push_back(line.at("group"));
    }
    names.erase(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(but_for));
    return names;
  }
  // What the log has of it, which tells more than a thousand times that all is well.
  static std::string Trouble(const Process& host) {
    std::string lines;
    std::istringstream log(host.Errors());
    for (std::string line; std::getline(log, line);) {
      lines += line.find("\"level\":\"info\"") == std::string::npos ? line + "\n" : "";
    }
    return lines;
  }

  Site site_;
  Calls calls_;
  std::unique_ptr<embedded::EmbeddedServer> log_;
  std::unique_ptr<Front> node_;
  std::unique_ptr<FaultProxy> network_;
  std::vector<std::string> wanted_;
};

TEST_F(ManyGroupsTest, AConnectionThatBreaksOrStallsIsNoOtherGroupsAndSearchAndHeadAreShared) {
  Append();
  const auto began = Clock::now();
  const auto host = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(AwaitAllBut(0)) << Trouble(*host);
  // None where the machine has time for 200 connections within the 2 s that each may take.
  const std::size_t early = Dropped(*host).size();
  EXPECT_TRUE(WaitUntil([&] {
    const std::size_t open = network_->counts().open;
    return open > kGroups && open <= kGroups + 1 + early;
  })) << network_->counts().open
      << ", wanted one of each group and one for the head";
  EXPECT_LE(calls_.searches(), 1 + early) << Trouble(*host);

  Names cut;
  for (int tries = 0; tries < 5 && cut.empty(); ++tries) {
    // The next bytes may be what the question for the head is answered.
    network_->CutAfter(Direction::kToClient, 1, FaultProxy::End::kReset);
    Append();
    ASSERT_TRUE(AwaitAllBut(0)) << Trouble(*host);
    cut = Dropped(*host, early);
  }
  EXPECT_EQ(cut.size(), 1u) << Trouble(*host);

  network_->SilenceAfter(Direction::kToClient, 1);
  Append();
  ASSERT_TRUE(network_->Await([](const auto& counts) { return counts.silent == 1; }));
  EXPECT_TRUE(AwaitAllBut(1)) << Trouble(*host);
  network_->Heal();
  EXPECT_TRUE(AwaitAllBut(0)) << Trouble(*host);
  EXPECT_EQ(Dropped(*host, early), cut) << Trouble(*host);

  EXPECT_TRUE(WaitUntil([&] { return calls_.heads("catchup-head") >= 1; })) << "nobody asked";
  const auto looks = static_cast<std::size_t>((Clock::now() - began) / std::chrono::seconds(5));
  EXPECT_LE(calls_.heads("catchup-head"), looks + 1);
  host->Signal(SIGTERM);
  EXPECT_EQ(host->Wait(), 0) << Trouble(*host);
  const HostLog log = host->Log();
  for (std::size_t i = 0; i < kGroups; ++i) {
    EXPECT_EQ(Written(site_, NameOf(i)), wanted_);
    EXPECT_EQ(log.With("Runner started", NameOf(i)).size(), 1u) << NameOf(i);
  }
}

}  // namespace
}  // namespace catchup::e2e
