#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// The keys of a group that say what becomes of a failed call, each as its plugin and its log see
// it.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;
using Strings = std::vector<std::string>;

std::string Fails(const std::string& text, const std::string& more = {}) {
  return R"({"do":"fail","text":")" + text + "\"" + more + "}";
}

class FailureKeysTest : public testing::Test {
 protected:
  void Run(const std::string& keys) {
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\n" + keys));
    host_ = site_.Start({"run", "host.toml"});
  }
  void End() {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  }
  std::string Last(const std::string& msg, const std::string& member) const {
    return host_->Log().Last(msg, "g", member);
  }
  bool WaitForReason(const std::string& part) {
    return WaitUntil([&] {
      return Last("State changed", "reason").find(part) != std::string::npos ||
             Last("Waiting after a failed call", "reason").find(part) != std::string::npos;
    });
  }
  std::size_t Letters() const { return host_->Log().With("Dead letter written", "g").size(); }
  bool WaitForLetters(std::size_t count) {
    return WaitUntil([&] { return Letters() == count; });
  }

  Site site_;
  std::unique_ptr<Process> host_;
};

TEST_F(FailureKeysTest, RetryDelayIsTheFirstWaitAQuarterMoreOrLess) {
  site_.Append({EventLine("s", "t", R"({"do":"retry","text":"away"})")});
  Run("retry_delay = \"8s\"");
  constexpr const char* kWaits = "Waiting after a failed call";
  ASSERT_TRUE(host_->WaitForLog(kWaits, "g"));
  const long delay_ms = std::stol(host_->Log().With(kWaits, "g").at(0).at("delayMs"));
  EXPECT_GE(delay_ms, 6'000);
  EXPECT_LE(delay_ms, 10'000);
  End();
}

TEST_F(FailureKeysTest, RetryMaxDelayIsTheMostOfAnyWait) {
  site_.Append({EventLine("s", "t", R"({"do":"retry","text":"away"})")});
  Run("retry_delay = \"100ms\"\nretry_max_delay = \"100ms\"\nbreaker.failures = 1000");
  // Doubling up to the default, the waits before the last one came to minutes.
  EXPECT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() >= 14; })) << host_->Errors();
  End();
}

TEST_F(FailureKeysTest, MaxRetriesCountsTheCallsBeyondTheFirst) {
  site_.Append({EventLine("s", "t", Fails("odd"))});
  Run("max_retries = 2\nretry_delay = \"100ms\"\ndead_letters.heal_for = \"0s\"");
  ASSERT_TRUE(WaitForLetters(1)) << host_->Errors();
  End();
  EXPECT_EQ(Delivered(site_, "g"), (Strings{"s@0 fail 1", "s@0 fail 2", "s@0 fail 3"}));
}

TEST_F(FailureKeysTest, MaxCrashesCountsTheDeathsBeyondTheFirst) {
  site_.UseTestProgram(50);
  site_.Append({EventLine("s", "t", R"({"do":"abort"})")});
  Run("max_crashes = 2\ndead_letters.heal_for = \"0s\"");
  ASSERT_TRUE(WaitForLetters(1)) << host_->Errors();
  End();
  EXPECT_EQ(Delivered(site_, "g"), (Strings{"s@0 abort 1", "s@0 abort 2", "s@0 abort 3"}));
}

// "never": not by the host itself, whatever time passes or starts again.
TEST_F(FailureKeysTest, HealForOfZeroLeavesALetterToAPerson) {
  const std::string keys = "max_retries = 0\ndead_letters.heal_for = \"0s\"";
  site_.Append({EventLine("s", "t", Fails("odd", ",\"until\":\"mended\""))});
  Run(keys);
  ASSERT_TRUE(WaitForLetters(1)) << host_->Errors();
  WriteFile(site_.data("g", "mended"), "");
  site_.Append({EventLine("other", "t")});
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() == 2; }));
  End();
  EXPECT_EQ(Last("Group ended", "healingCount"), "0");
  EXPECT_EQ(Last("Group ended", "dlqCount"), "1");
  Run(keys);
  ASSERT_TRUE(WaitUntil([&] { return Last("State changed", "state") == "caught up"; }))
      << host_->Errors();
  EXPECT_EQ(Delivered(site_, "g").size(), 2u);
  const Finished retried = site_.Catchup({"dlq", "retry", "g", "--all", "--config", "host.toml"});
  EXPECT_EQ(retried.exit, 0) << retried.err;
  EXPECT_THAT(retried.out, HasSubstr("healed"));
  End();
}

// Another group's event takes longer than a retry would.
TEST_F(FailureKeysTest, BreakerFailuresAreTheCallsUntilItOpens) {
  site_.Append({EventLine("s", "t", R"({"do":"retry","text":"away"})")});
  site_.Configure(TroubleGroup("g",
                               "prefixes = [\"t\"]\n"
                               "retry_delay = \"100ms\"\nretry_max_delay = \"100ms\"\n"
                               "breaker = { failures = 3, open = \"1h\", max_open = \"1h\" }") +
                  TroubleGroup("other", "prefixes = [\"u\"]"));
  host_ = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() >= 3; })) << host_->Errors();
  site_.Append({EventLine("s", "u", R"({"do":"slow","ms":1000})"), EventLine("s", "u")});
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "other").size() == 2; })) << host_->Errors();
  EXPECT_EQ(Delivered(site_, "g").size(), 3u) << "none while it is open";
  EXPECT_EQ(Letters(), 0u);
  End();
}

TEST_F(FailureKeysTest, BreakerBudgetIsHowManyLettersATextRuleMakes) {
  Strings lines;
  for (int i = 0; i < 5; ++i) {
    lines.push_back(EventLine("s" + std::to_string(i), "t", Fails("validation failed")));
  }
  site_.Append(lines);
  Run("breaker = { budget = 2, open = \"1h\", max_open = \"1h\" }\ndead_letters.heal_for = \"0s\"");
  ASSERT_TRUE(WaitForReason("more than 2 of the last 20")) << host_->Errors();
  End();
  EXPECT_EQ(Letters(), 2u);
  EXPECT_EQ(Delivered(site_, "g").size(), 3u);
}

TEST_F(FailureKeysTest, ClassifyDomainMakesALetterWithoutAnotherTry) {
  site_.Append({EventLine("a", "t", Fails("Item 17 is sold out")), EventLine("b", "t")});
  Run("dead_letters.heal_for = \"0s\"\nclassify.domain = [\"re:Item [0-9]+ is sold out$\"]");
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() == 2; })) << host_->Errors();
  ASSERT_TRUE(WaitForLetters(1)) << host_->Errors();
  EXPECT_EQ(Last("Dead letter written", "class"), "domain-text");
  End();
  EXPECT_EQ(Delivered(site_, "g"), (Strings{"a@0 fail 1", "b@0 ok 1"}));
}

// Where both match, waiting is safe.
TEST_F(FailureKeysTest, ClassifyInfrastructureWaitsAndIsStrongerThanDomain) {
  site_.Append({EventLine("a", "t", Fails("the shelf is bare", ",\"times\":2"))});
  Run("max_retries = 0\nretry_delay = \"100ms\"\nretry_max_delay = \"100ms\"\n"
      "classify = { domain = [\"shelf\"], infrastructure = [\"SHELF IS\"] }");
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "g").size() == 3; })) << host_->Errors();
  End();
  EXPECT_EQ(Letters(), 0u);
}

// The list takes the place of the built-in one.
TEST_F(FailureKeysTest, AnEmptyListOfRulesIsNoRule) {
  site_.Append({EventLine("a", "t", Fails("connection timeout"))});
  Run("max_retries = 0\ndead_letters.heal_for = \"0s\"\nclassify.infrastructure = []");
  ASSERT_TRUE(WaitForLetters(1)) << host_->Errors();
  EXPECT_EQ(Last("Dead letter written", "class"), "unknown");
  End();
}

TEST(FailureKeysInAFileTest, WhatIsImpossibleIsNamedWithItsPlaceAndNothingStarts) {
  Site site;
  site.Configure(TroubleGroup("g",
                              "prefixes = [\"\"]\nlanes = 0\nmax_crashes = 0\n"
                              "classify.domain = [\"fine\", \"re:a(\"]\n"
                              "dead_letters.max_letters = 0\ndead_letters.heal_for = \"0s\""));
  for (const char* command : {"run", "check"}) {
    const Finished refused = site.Catchup({command, "host.toml"});
    EXPECT_EQ(refused.exit, 78) << refused.err;
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 4) << refused.err;
    EXPECT_THAT(refused.err,
                HasSubstr("host.toml:14:9: lanes = 0: wanted an integer from 1 to 64"));
    EXPECT_THAT(refused.err, HasSubstr("host.toml:15:15: max_crashes = 0: wanted"));
    EXPECT_THAT(refused.err, HasSubstr("host.toml:16:28: classify.domain[1] = \"re:a(\": wanted"));
    EXPECT_THAT(refused.err, HasSubstr("host.toml:17:28: dead_letters.max_letters = 0: wanted"));
  }
}

}  // namespace
}  // namespace catchup::e2e
