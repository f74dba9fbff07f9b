#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// A group that may have no more letters waits, says so, loses nothing, and goes on by itself once
// somebody has made room.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

class FullLettersTest : public testing::Test {
 protected:
  // Rejects of as many streams, and at the end an event that is fine.
  void Append(int rejects, const std::string& more = {}) {
    Strings lines;
    for (int i = 0; i < rejects; ++i) {
      lines.push_back(EventLine("s" + std::to_string(i), "t",
                                R"({"do":"reject","text":"no such article")" + more + "}"));
    }
    lines.push_back(EventLine("last", "t"));
    site_.Append(lines);
  }
  void Configure(const std::string& bound) {
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\ndead_letters = { order = \"event\", " +
                                          bound + " }") +
                    JsonlGroup("other"));
  }
  void Run() { host_ = site_.Start({"run", "host.toml"}); }
  void End() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }

  Finished Dlq(Strings arguments) {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return site_.Catchup(arguments);
  }
  // By `dlq export`, whose lines are events.
  Strings Letters() {
    WriteFile(site_.file("exported"), Dlq({"export", "g"}).out);
    Strings streams;
    for (const std::string& line : ReadLines(site_.file("exported"))) {
      streams.push_back(ParseJsonObject(line).at("stream"));
    }
    return streams;
  }
  std::string FirstId() {
    WriteFile(site_.file("exported"), Dlq({"export", "g", "--limit", "1"}).out);
    const JsonObject letter = ParseJsonObject(ReadLines(site_.file("exported")).at(0));
    return letter.at("commit") + ":" + letter.at("prepare");
  }
  std::string Reason() const { return host_->Log().Last("State changed", "g", "reason"); }
  bool WaitsForRoom() {
    return WaitUntil([&] {
      return host_->Log().Last("State changed", "g", "state") == "waiting" &&
             Reason().rfind("dead letters full: ", 0) == 0;
    });
  }
  bool IsDelivered(const std::string& delivery) const {
    const Strings delivered = Delivered(site_, "g");
    return std::count(delivered.begin(), delivered.end(), delivery) > 0;
  }

  Site site_;
  std::unique_ptr<Process> host_;
};

TEST_F(FullLettersTest, WithoutRoomForAnotherOneAGroupWaitsUntilOneIsDropped) {
  Append(5);
  Configure("max_letters = 3");
  Run();
  ASSERT_TRUE(WaitsForRoom()) << host_->Errors();
  EXPECT_THAT(Reason(), HasSubstr("no such article")) << "why the event is to be a letter";
  EXPECT_TRUE(WaitUntil([&] { return Letters() == Strings{"s0", "s1", "s2"}; })) << host_->Errors();
  EXPECT_FALSE(IsDelivered("last@0 ok 1"));
  ASSERT_TRUE(WaitUntil([&] { return Written(site_, "other").size() == 6; }))
      << "nobody else notices";

  for (const std::string next : {"s3", "s4"}) {
    const Finished dropped = Dlq({"drop", "g", FirstId(), "--reason", "no use"});
    EXPECT_EQ(dropped.exit, 0) << dropped.err;
    EXPECT_TRUE(WaitUntil([&] { return Letters().back() == next; })) << host_->Errors();
  }
  EXPECT_TRUE(WaitUntil([&] { return IsDelivered("last@0 ok 1"); })) << host_->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Letters() == Strings{"s2", "s3", "s4"}; })) << host_->Errors();
  ASSERT_TRUE(WaitUntil([&] {
    return host_->Log().Last("State changed", "g", "state") == "caught up";
  })) << host_->Errors();
  End();
  EXPECT_EQ(host_->Log().Last("Group ended", "g", "dlqCount"), "3");
}

TEST_F(FullLettersTest, ARestartFindsTheSameAndALargerBoundMakesRoom) {
  Append(3);
  Configure("max_letters = 2");
  Run();
  ASSERT_TRUE(WaitsForRoom()) << host_->Errors();
  End();
  Run();
  ASSERT_TRUE(WaitsForRoom()) << host_->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Letters() == Strings{"s0", "s1"}; })) << host_->Errors();
  End();
  Configure("max_letters = 3");
  Run();
  EXPECT_TRUE(WaitUntil([&] { return IsDelivered("last@0 ok 1"); })) << host_->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Letters() == Strings{"s0", "s1", "s2"}; })) << host_->Errors();
  End();
}

// A smaller bound than what is there takes nothing away.
TEST_F(FullLettersTest, ASmallerBoundKeepsWhatIsThere) {
  Append(3);
  Configure("max_letters = 3");
  Run();
  ASSERT_TRUE(WaitUntil([&] { return IsDelivered("last@0 ok 1"); })) << host_->Errors();
  End();
  Configure("max_letters = 1");
  Run();
  site_.Append({EventLine("s9", "t", R"({"do":"reject","text":"no such article"})")});
  ASSERT_TRUE(WaitsForRoom()) << host_->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Letters() == Strings{"s0", "s1", "s2"}; })) << host_->Errors();
  End();
}

// A follower of a parked stream is a letter, too.
TEST_F(FullLettersTest, WithoutRoomForAFollowerAGroupWaits) {
  site_.Append({EventLine("a", "t", R"({"do":"reject","text":"no"})"), EventLine("a", "t"),
                EventLine("a", "t"), EventLine("b", "t")});
  site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\ndead_letters.max_letters = 2"));
  Run();
  ASSERT_TRUE(WaitsForRoom()) << host_->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Letters() == Strings{"a", "a"}; })) << host_->Errors();
  const Finished dropped = Dlq({"drop", "g", FirstId(), "--reason", "no use"});
  EXPECT_EQ(dropped.exit, 0) << dropped.err;
  // Those behind it are called in their order.
  EXPECT_TRUE(WaitUntil([&] { return IsDelivered("b@0 ok 1"); })) << host_->Errors();
  EXPECT_TRUE(WaitUntil([&] { return Letters().empty(); })) << host_->Errors();
  End();
  EXPECT_EQ(Delivered(site_, "g").size(), 4u) << "each once";
}

TEST_F(FullLettersTest, WithoutRoomForItsBytesAGroupWaitsUntilOneIsDropped) {
  constexpr int kEvents = 36;
  Append(kEvents, ",\"rest\":\"" + std::string(1'000'000, 'x') + "\"");
  Configure("max_bytes = \"32MiB\"");
  Run();
  ASSERT_TRUE(WaitsForRoom()) << host_->Errors();
  const std::size_t most = (32u << 20) / 1'000'000;
  EXPECT_GE(Letters().size(), most - 1);
  EXPECT_LE(Letters().size(), most);
  EXPECT_FALSE(IsDelivered("last@0 ok 1"));
  while (!IsDelivered("last@0 ok 1")) {
    const Finished dropped = Dlq({"drop", "g", FirstId(), "--reason", "no use"});
    ASSERT_EQ(dropped.exit, 0) << dropped.err;
    const std::size_t room = Letters().size();
    ASSERT_TRUE(WaitUntil([&] {
      return IsDelivered("last@0 ok 1") || Letters().size() > room || WaitsForRoom();
    })) << host_->Errors();
  }
  EXPECT_EQ(Letters().back(), "s" + std::to_string(kEvents - 1));
  End();
}

}  // namespace
}  // namespace catchup::e2e
