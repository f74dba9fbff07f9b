#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// `catchup dlq` at the worst moments: every command ends with what it did or why it did not, and no
// letter is lost or handled twice.

namespace catchup::e2e {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using Strings = std::vector<std::string>;

std::string Until(const std::string& what, const std::string& file) {
  return R"({"do":")" + what + R"(","text":"no such article","until":")" + file + "\"}";
}

class DlqTroubleTest : public testing::Test {
 protected:
  // One letter, of stream "a", whose call is fine once the file `mended` is there; then `trouble`.
  void Begin(const std::string& trouble, const std::string& keys = {}) {
    site_.Append({EventLine("a", "t", Until("reject", "mended"))});
    site_.Configure(TroubleGroup("g", "prefixes = [\"\"]\n" + keys));
    host_ = site_.Start({"run", "host.toml"});
    ASSERT_TRUE(host_->WaitForLog("Dead letter written", "g")) << host_->Errors();
    WriteFile(site_.file("exported"), Dlq({"export", "g"}).out);
    const JsonObject letter = ParseJsonObject(ReadLines(site_.file("exported")).at(0));
    id_ = letter.at("commit") + ":" + letter.at("prepare");
    if (!trouble.empty()) {
      site_.Append({EventLine("b", "t", trouble)});
    }
  }
  void Mend(const std::string& file = "mended") { WriteFile(site_.data("g", file), ""); }
  void End(int code = 0) {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), code) << host_->Errors();
  }

  Strings Command(Strings arguments) const {
    arguments.insert(arguments.begin(), "dlq");
    arguments.insert(arguments.end(), {"--config", "host.toml"});
    return arguments;
  }
  Finished Dlq(const Strings& arguments) { return site_.Catchup(Command(arguments)); }
  std::unique_ptr<Process> StartDlq(const Strings& arguments) {
    return site_.Start(Command(arguments));
  }
  std::size_t Letters() {
    const std::string out = Dlq({"export", "g"}).out;
    return static_cast<std::size_t>(std::count(out.begin(), out.end(), '\n'));
  }
  std::ptrdiff_t Count(const std::string& begin) const {
    const Strings delivered = Delivered(site_, "g");
    return std::count_if(delivered.begin(), delivered.end(),
                         [&](const std::string& one) { return one.rfind(begin, 0) == 0; });
  }
  bool WaitForCall(const std::string& begin) {
    return WaitUntil([&] { return Count(begin) > 0; });
  }

  Site site_;
  std::unique_ptr<Process> host_;
  std::string id_;
};

TEST_F(DlqTroubleTest, WhileAGroupStopsNothingIsCalledAndNothingHangs) {
  Begin(R"({"do":"slow","ms":4000})");
  ASSERT_TRUE(WaitForCall("b@0")) << host_->Errors();
  const auto stop = site_.Start({"stop", "g", "--config", "host.toml"});
  ASSERT_TRUE(WaitUntil([&] {
    return host_->Log().Last("State changed", "g", "state") == "draining";
  })) << host_->Errors();
  // Refused, whether it still drains or has ended meanwhile.
  const Finished retry = Dlq({"retry", "g", id_});
  EXPECT_EQ(retry.exit, 1) << retry.out;
  EXPECT_THAT(retry.err, AnyOf(HasSubstr("is under way: stop"), HasSubstr("catchup start g")));
  // Stored where it has ended.
  const Finished park = Dlq({"park", "g", "--type", "u", "--reason", "x"});
  EXPECT_TRUE(park.exit == 0 || park.err.find("is under way: stop") != std::string::npos)
      << park.err;
  EXPECT_EQ(stop->Wait(), 0) << stop->Errors();
  EXPECT_EQ(Letters(), 1u);
  // What needs no call is done.
  EXPECT_EQ(Dlq({"drop", "g", id_, "--reason", "no use"}).exit, 0);
  EXPECT_EQ(Letters(), 0u);
  End();
  EXPECT_EQ(Count("a@0"), 1);
}

TEST_F(DlqTroubleTest, ARetryThatWaitsWhenTheGroupStopsIsAnswered) {
  Begin(R"({"do":"slow","ms":2000})");
  ASSERT_TRUE(WaitForCall("b@0")) << host_->Errors();
  const auto retry = StartDlq({"retry", "g", id_});
  EXPECT_EQ(site_.Catchup({"stop", "g", "--config", "host.toml"}).exit, 0);
  const int code = retry->Wait();
  EXPECT_EQ(code, 1) << retry->Output();
  EXPECT_THAT(retry->Errors() + retry->Output(),
              AnyOf(HasSubstr("the group"), HasSubstr("group g"), HasSubstr("failed (domain)")));
  EXPECT_EQ(Letters(), 1u);
  End();
}

// Of several deaths in a row, each at another moment of the commands.
TEST_F(DlqTroubleTest, WhileARunnerIsDeadALetterWaitsForTheNextOne) {
  Begin(R"({"do":"segv","times":2})");
  Mend();
  ASSERT_TRUE(host_->WaitForLog("Runner ended", "g")) << host_->Errors();
  const Finished retry = Dlq({"retry", "g", id_});
  EXPECT_EQ(retry.exit, 0) << retry.err;
  EXPECT_EQ(retry.out, id_ + "  healed\n");
  EXPECT_TRUE(WaitUntil([&] { return Count("b@0 segv 3") == 1; })) << host_->Errors();
  EXPECT_EQ(Letters(), 0u);
  EXPECT_EQ(Count("a@0"), 2) << "once as an event, once as a letter";
  End();
}

// It is open and half-open in turns, and never closed, whatever it is at each command.
TEST_F(DlqTroubleTest, WhileTheBreakerOpensAndProbesARetryIsRefusedAndTheLetterStays) {
  Begin(Until("retry", "mended"),
        "breaker = { failures = 1, open = \"100ms\", max_open = \"100ms\" }\n");
  ASSERT_TRUE(WaitUntil([&] { return Count("b@0") > 1; })) << host_->Errors();
  for (int i = 0; i < 10; ++i) {
    const Finished retry = Dlq({"retry", "g", id_});
    EXPECT_EQ(retry.exit, 1) << retry.out;
    EXPECT_THAT(retry.err, HasSubstr("no letter is called while the breaker is open"));
  }
  EXPECT_EQ(Letters(), 1u);
  EXPECT_EQ(Count("a@0"), 1);
  Mend();
  site_.Append({EventLine("c", "t"), EventLine("c", "t"), EventLine("c", "t")});  // Close it.
  EXPECT_TRUE(WaitUntil([&] { return Dlq({"retry", "g", id_}).exit == 0; })) << host_->Errors();
  EXPECT_EQ(Letters(), 0u);
  End();
}

// One success of three, and the log is quiet from then on.
TEST_F(DlqTroubleTest, WhereNoEventIsLeftToProbeWithTheLetterThatIsAskedForIsTheProbe) {
  Begin(Until("retry", "mended"),
        "breaker = { failures = 1, open = \"100ms\", max_open = \"100ms\" }\n");
  ASSERT_TRUE(WaitUntil([&] { return Count("b@0") > 1; })) << host_->Errors();
  Mend();
  ASSERT_TRUE(host_->WaitForLog("Going on after failed calls", "g")) << host_->Errors();
  const Finished retry = Dlq({"retry", "g", id_});
  EXPECT_EQ(retry.exit, 0) << retry.err;
  EXPECT_EQ(retry.out, id_ + "  healed\n");
  EXPECT_EQ(Letters(), 0u);
  End();
}

TEST_F(DlqTroubleTest, WhereNoHostRunsWhatOnlyItCanDoSaysToStartIt) {
  Begin("");
  End();
  for (const Strings& command :
       {Strings{"retry", "g", id_}, Strings{"drop", "g", id_, "--reason", "x"},
        Strings{"retry", "g", "--all"}, Strings{"unpark", "g", "--type", "t"}}) {
    const Finished refused = Dlq(command);
    EXPECT_EQ(refused.exit, 1) << command[0];
    EXPECT_THAT(refused.err, HasSubstr("start it first")) << command[0];
  }
  EXPECT_EQ(Letters(), 1u);
}

TEST_F(DlqTroubleTest, TwoWhoRetryAllAtOnceHandleEachLetterOnce) {
  constexpr int kLetters = 20;
  Strings lines;
  for (int i = 0; i < kLetters; ++i) {
    lines.push_back(EventLine("s" + std::to_string(i), "t", Until("reject", "mended")));
  }
  site_.Append(lines);
  Begin("");
  ASSERT_TRUE(WaitUntil([&] { return Letters() == kLetters + 1; })) << host_->Errors();
  Mend();
  const auto one = StartDlq({"retry", "g", "--all"});
  const auto two = StartDlq({"retry", "g", "--all"});
  EXPECT_EQ(one->Wait(), 0) << one->Output() << one->Errors();
  EXPECT_EQ(two->Wait(), 0) << two->Output() << two->Errors();
  EXPECT_EQ(Letters(), 0u);
  EXPECT_EQ(Count("s"), 2 * kLetters) << "each once as an event, once as a letter";
  End();
}

// Which of them comes first is chance; the letter is gone once, and both say what they found.
TEST_F(DlqTroubleTest, ARetryAndADropOfOneLetterAtOnceAgree) {
  Begin("");
  Mend();
  const auto retry = StartDlq({"retry", "g", id_});
  const auto drop = StartDlq({"drop", "g", id_, "--reason", "no use"});
  const int dropped = drop->Wait();
  const int retried = retry->Wait();
  EXPECT_EQ(Letters(), 0u);
  const bool told =
      host_->WaitForLog(dropped == 0 ? "Dead letter dropped" : "Dead letter healed", "g");
  EXPECT_TRUE(told) << host_->Errors();
  if (dropped != 0) {
    EXPECT_THAT(drop->Errors(), HasSubstr("group g has no letter " + id_));
    EXPECT_EQ(retried, 0) << retry->Errors();
  }
  EXPECT_FALSE((retry->Output() + retry->Errors()).empty());
  End();
}

TEST_F(DlqTroubleTest, TwoWhoDropOneLetterAtOnceDoItOnce) {
  Begin("");
  const auto one = StartDlq({"drop", "g", id_, "--reason", "one"});
  const auto two = StartDlq({"drop", "g", id_, "--reason", "two"});
  EXPECT_EQ(one->Wait() + two->Wait(), 1) << one->Errors() << two->Errors();
  EXPECT_EQ(Letters(), 0u);
  EXPECT_EQ(host_->Log().With("Dead letter dropped", "g").size(), 1u);
  End();
}

// The letter's own call ends the group.
TEST_F(DlqTroubleTest, ARetryWhoseCallEndsTheGroupIsAnswered) {
  site_.Append({EventLine("f", "t", R"({"do":"fatal","text":"no","until":"never"})")});
  site_.Configure(TroubleGroup("g") + JsonlGroup("keeps-the-host-up"));
  host_ = site_.Start({"run", "host.toml"});
  ASSERT_TRUE(host_->WaitForLog("Group ended", "g")) << host_->Errors();
  const std::string place = host_->Log().Last("Call failed", "g", "position");
  ASSERT_FALSE(place.empty()) << host_->Errors();
  EXPECT_EQ(Dlq({"park", "g", "--event", place, "--reason", "for later"}).exit, 0);
  ASSERT_EQ(site_.Catchup({"start", "g", "--config", "host.toml"}).exit, 0);
  ASSERT_TRUE(WaitUntil([&] { return Letters() == 1; })) << host_->Errors();
  const Finished retry = Dlq({"retry", "g", place});
  EXPECT_EQ(retry.exit, 1) << retry.out;
  EXPECT_FALSE((retry.out + retry.err).empty());
  EXPECT_EQ(Letters(), 1u);
  End();
}

}  // namespace
}  // namespace catchup::e2e
