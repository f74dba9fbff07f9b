#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"
#include "tests/e2e/shop.h"

// A host, or a runner, that is killed at the worst of moments (host/base/test_seams.h) loses
// nothing, and repeats no more than was promised.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

// Checkpoint batch and window, as configured below.
constexpr std::size_t kDuplicateBound = 10 + 64;
constexpr std::size_t kEvents = 3'000;

enum class Victim { kRunner, kHost };

struct Fault {
  const char* point;
  Victim victim;
  const char* group;  // Whose runner it is; the host has one plan for all.
  int times;
};

void PrintTo(const Fault& fault, std::ostream* out) {
  *out << fault.point << " " << fault.group << " " << fault.times;
}

class FailPointTest : public testing::Test {
 protected:
  FailPointTest() : random_(TestSeed()) {
    site_.UseTestProgram();
    shop_ = MakeShop(&random_, kEvents);
    site_.Append(shop_.lines);
  }

  // Only the runner of `faulty` hears of the plan; the host always does. Both groups get `keys`.
  void Configure(const std::string& faulty, const std::string& keys = "") {
    const auto env = [&](const std::string& group) {
      return group == faulty ? "env = [\"CATCHUP_TEST_FAIL\"]\n" : "";
    };
    const std::string window = "window = { events = 64 }\n" + keys;
    site_.Configure(
        "[groups.jsonl]\nplugin = \"jsonl.so\"\nprefixes = [\"\"]\n" + window + env("jsonl") +
        "config = { file = \"out.jsonl\" }\n" +
        "[groups.order-totals]\nplugin = \"order_totals.so\"\nprefixes = [\"order-\"]\n" + window +
        env("order-totals") + "config = { database = \"totals.db\" }\n");
  }
  void Plan(const std::string& point, const std::string& action, int times) {
    WriteFile(plan_, point + " " + action + " " + std::to_string(times) + "\n");
    site_.SetEnv("CATCHUP_TEST_FAIL", plan_);
  }
  bool Fired() const { return std::filesystem::exists(plan_ + ".fired"); }

  // Everything was handled, in order, and no more of it twice than a window and a batch.
  void ExpectWhole() {
    const auto repetitions = CheckOrder(ReadWritten(site_.data("jsonl", "out.jsonl")), shop_);
    EXPECT_LE(repetitions.size(), 1u);
    for (const Repetition& repetition : repetitions) {
      EXPECT_LE(repetition.events, kDuplicateBound);
    }
    // It keeps its position with what it stores, so that every effect is there exactly once.
    EXPECT_EQ(ReadTotals(site_.data("order-totals", "totals.db")), shop_.Customers());
  }

  std::mt19937_64 random_;
  Shop shop_;
  Site site_;
  const std::string plan_ = site_.file("plan");
};

class KillAtAPointTest : public FailPointTest, public testing::WithParamInterface<Fault> {};

TEST_P(KillAtAPointTest, CostsNoEventAndRepeatsNoMoreThanPromised) {
  const Fault fault = GetParam();
  Configure(fault.group);
  Plan(fault.point, "kill", fault.times);

  const Finished run = site_.RunUntilCaughtUp();
  ASSERT_TRUE(Fired()) << run.err;
  if (fault.victim == Victim::kHost) {
    EXPECT_EQ(run.exit, 128 + SIGKILL) << run.err;
  } else {
    const auto ends = run.Log().With("Runner ended", fault.group);
    EXPECT_TRUE(std::any_of(ends.begin(), ends.end(), [](const JsonObject& end) {
      return end.at("exitClass") != "clean";
    })) << run.err;
  }

  const Finished second = site_.RunUntilCaughtUp();
  ASSERT_EQ(second.exit, 0) << second.err;
  ExpectWhole();
}

std::vector<Fault> Faults() {
  std::vector<Fault> faults;
  for (const char* point : {"before-handle", "after-handle", "after-outcome"}) {
    for (const char* group : {"jsonl", "order-totals"}) {
      faults.push_back({point, Victim::kRunner, group, 5});
    }
  }
  for (const char* group : {"jsonl", "order-totals"}) {
    faults.push_back({"runner-drain", Victim::kRunner, group, 1});
  }
  for (const char* point :
       {"outcome-unread", "before-checkpoint-write", "after-checkpoint-write"}) {
    for (const int times : {3, 8}) {
      faults.push_back({point, Victim::kHost, "", times});
    }
  }
  for (const int times : {1, 2}) {
    faults.push_back({"host-drain", Victim::kHost, "", times});
  }
  return faults;
}

INSTANTIATE_TEST_SUITE_P(K2, KillAtAPointTest, testing::ValuesIn(Faults()));

// It has applied events and stands still before it can say so; the host gives it up. Whatever of it
// arrives after that is believed by nobody, and its events come again.
class StoppedRunnerTest : public FailPointTest, public testing::WithParamInterface<const char*> {};

TEST_P(StoppedRunnerTest, IsReplacedAndWhatItHadDoneCountsOnce) {
  const std::string group = GetParam();
  site_.UseTestProgram(10);
  Configure(group, "handler_timeout = \"2s\"\n");
  Plan("after-handle", "stop", 5);

  const auto host = site_.Start({"run", "host.toml", "--until-caught-up"});
  ASSERT_TRUE(host->WaitForLog("Call hung", group));
  ASSERT_TRUE(Fired());
  // It goes on as if nothing had been, unless what the host sent it meanwhile has ended it.
  const auto runners = host->Log().With("Runner started", group);
  (void)kill(static_cast<pid_t>(std::stoi(runners.front().at("pid"))), SIGCONT);

  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(host->Log().With("Runner ended", group).front().at("exitClass"), "hung");
  EXPECT_FALSE(host->Log().Has("Dead letter written", group)) << host->Errors();
  ExpectWhole();
}

INSTANTIATE_TEST_SUITE_P(K5, StoppedRunnerTest, testing::Values("jsonl", "order-totals"),
                         [](const auto& param) {
                           return std::string(param.param) == "jsonl" ? "at_least_once"
                                                                      : "effectively_once";
                         });

// What the disk refuses for a while is written later.
TEST_F(FailPointTest, ACheckpointThatIsNotWrittenAtOnceIsWaitedFor) {
  Configure("");
  Plan("before-checkpoint-write", "fail", 4);

  const Finished run = site_.RunUntilCaughtUp();

  EXPECT_TRUE(Fired());
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("told to by a test"));
  EXPECT_TRUE(run.Log().Has("Wait over"));
  ExpectWhole();
}

// A host that was stopped and goes on, as under a debugger, finds its runners as they were.
TEST_F(FailPointTest, AHostThatStoodStillGoesOn) {
  Configure("");
  Plan("outcome-unread", "stop", 3);

  const auto host = site_.Start({"run", "host.toml", "--until-caught-up"});
  ASSERT_TRUE(WaitUntil([&] { return host->Stopped() || !host->Running(); }));
  ASSERT_TRUE(Fired());
  host->Signal(SIGCONT);

  EXPECT_EQ(host->Wait(), 0) << host->Errors();
  EXPECT_EQ(host->Log().With("Runner started").size(), 2u);
  ExpectWhole();
}

}  // namespace
}  // namespace catchup::e2e
