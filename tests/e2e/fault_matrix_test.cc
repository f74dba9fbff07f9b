#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

// Whatever a plugin can do to its own process, with real ones, by the order of an event's data
// (tests/plugins/trouble). What holds each time: every event is handled in the end, in the order of
// its stream; the group beside keeps its runner and gets its events; the log is what it promises to
// be. By kind of fault:
//
//   deaths in a call              here
//   calls that never return       here; in set-up and stop: set_up_fault_test
//   memory, descriptors           limits_test
//   what is thrown, statuses      here, trouble_test; tables: runner_load_test
//   the process's own state       here
//   the host called wrongly       here, host_table_test
//   floods of text                here
//   libraries of its own          here
//   stray writes                  scribble_test, ring_scribble_test

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Strings = std::vector<std::string>;

std::string Order(const std::string& what, const std::string& more = "") {
  return "{\"do\":\"" + what + "\"" + more + "}";
}

constexpr char kTimesTwo[] = ",\"times\":2";

// A group of the trouble plugin and a good one. Before and behind the misdeed an event that is
// none, on its stream and on another; types of their own, so that no fault is taken for another's.
class FaultTest : public testing::Test {
 protected:
  FaultTest() { site_.UseTestProgram(50); }

  void Start(const std::string& order, const std::string& keys = "") {
    site_.Append({EventLine("s", "before"), EventLine("s", "fault", order),
                  EventLine("s", "behind"), EventLine("other", "behind")});
    site_.Configure(TroubleGroup("bad", "prefixes = [\"\"]\n" + keys) + JsonlGroup("good"));
    host_ = site_.Start({"run", "host.toml"});
  }
  // Everything was handled: the last delivery of each event is behind those of the events before it
  // in its stream, and no letter is left.
  void ExpectAllHandled() {
    EXPECT_TRUE(WaitUntil([&] {
      const Strings deliveries = Delivered(site_, "bad");
      const auto has = [&](const std::string& event) {
        return std::any_of(deliveries.begin(), deliveries.end(), [&](const std::string& line) {
          return line.rfind(event + " ", 0) == 0;
        });
      };
      return has("s@2") && has("other@0");
    })) << host_->Errors();
  }
  void ExpectTheOtherGroupWell() {
    site_.Append({EventLine("late", "t")});
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "good").size() == 5; })) << host_->Errors();
    EXPECT_EQ(host_->Log().With("Runner started", "good").size(), 1u);
  }
  void End(int code = 0) {
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), code) << host_->Errors();
  }
  // Of the log: one JSON object a line, none longer than promised.
  void ExpectEveryLineParses() const {
    const std::string text = host_->Errors();
    std::size_t lines = 0;
    for (std::size_t at = 0; at < text.size(); ++lines) {
      const std::size_t end = text.find('\n', at);
      ASSERT_NE(end, std::string::npos) << "the last line has no end";
      ASSERT_LE(end - at, 16u << 10);
      const JsonObject line = ParseJsonObject(text.substr(at, end - at));
      ASSERT_TRUE(line.count("msg") == 1) << text.substr(at, end - at);
      at = end + 1;
    }
    EXPECT_GT(lines, 5u);
  }

  Site site_;
  std::unique_ptr<Process> host_;
};

struct Death {
  std::string what;
  std::string says;  // Of the runner's end.
  std::string signal;
};

class DeathTest : public FaultTest, public testing::WithParamInterface<Death> {};

// Twice, the second time alone, and then well.
TEST_P(DeathTest, CostsARespawnAndItsReportNamesPluginEventAndSignal) {
  Start(Order(GetParam().what, kTimesTwo));
  ExpectAllHandled();
  ExpectTheOtherGroupWell();
  End();
  Strings deliveries = Delivered(site_, "bad");
  std::erase_if(deliveries, [](const std::string& line) { return line.rfind("s@", 0) != 0; });
  const std::string what = "s@1 " + GetParam().what;
  EXPECT_EQ(deliveries, (Strings{"s@0 ok 1", what + " 1", what + " 2", what + " 3", "s@2 ok 1"}));
  const HostLog log = host_->Log();
  EXPECT_EQ(log.Last("Group ended", "bad", "dlqCount"), "0");
  std::size_t charged = 0;
  for (const JsonObject& line : log.With("Runner ended", "bad")) {
    const bool is_death = line.at("reason").find(GetParam().says) != std::string::npos;
    charged += is_death && line.at("event").find("s@1 fault") != std::string::npos ? 1 : 0;
  }
  EXPECT_EQ(charged, 2u) << host_->Errors();
  if (GetParam().signal.empty()) {
    return;
  }
  const auto crashes = log.With("Runner crashed", "bad");
  ASSERT_EQ(crashes.size(), 2u) << host_->Errors();
  for (const JsonObject& crash : crashes) {
    EXPECT_EQ(crash.at("signal"), GetParam().signal);
    EXPECT_EQ(crash.at("plugin"), "trouble.so");
    EXPECT_EQ(crash.at("stream"), "s");
    EXPECT_EQ(crash.at("revision"), "1");
    EXPECT_THAT(crash.at("frames"), HasSubstr("trouble.so+0x"));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, DeathTest,
    testing::Values(Death{"segv", "SIGSEGV", "SIGSEGV"}, Death{"bus", "SIGBUS", "SIGBUS"},
                    Death{"fpe", "SIGFPE", "SIGFPE"}, Death{"ill", "SIGILL", "SIGILL"},
                    Death{"abort", "SIGABRT", "SIGABRT"}, Death{"terminate", "SIGABRT", "SIGABRT"},
                    Death{"stack_overflow", "SIGSEGV", "SIGSEGV"},
                    Death{"huge_length", "SIGSEGV", "SIGSEGV"}, Death{"exit", "exit code 3", ""},
                    Death{"_exit", "exit code 4", ""}, Death{"pthread_exit", "SIGABRT", "SIGABRT"}),
    [](const auto& param) {
      return param.param.what == "_exit" ? "exit_at_once" : param.param.what;
    });

// Nobody can say what runs then: it may die, hang or go on, but it costs no event.
TEST_F(FaultTest, AJumpOutOfTheCallCostsNoEvent) {
  Start(Order("longjmp", kTimesTwo), "handler_timeout = \"1s\"\n");
  ExpectAllHandled();
  ExpectTheOtherGroupWell();
  End();
}

class NoReturnTest : public FaultTest, public testing::WithParamInterface<const char*> {
 protected:
  NoReturnTest() { site_.UseTestProgram(10); }  // A report needs its time on a busy machine, too.
};

TEST_P(NoReturnTest, IsAbortedAtItsLimitWithAReportAndTheEventComesAgain) {
  Start(Order(GetParam(), ",\"times\":1,\"ms\":3600000"), "handler_timeout = \"1s\"\n");
  ExpectAllHandled();
  ExpectTheOtherGroupWell();
  End();
  const HostLog log = host_->Log();
  EXPECT_EQ(log.Last("Call hung", "bad", "limit"), "handler_timeout");
  EXPECT_THAT(log.Last("Call hung", "bad", "event"), HasSubstr("s@1 fault"));
  EXPECT_EQ(log.Last("Group ended", "bad", "dlqCount"), "0");
  ASSERT_TRUE(log.Has("Runner hung", "bad")) << host_->Errors();
  EXPECT_THAT(log.Last("Runner hung", "bad", "frames"), HasSubstr("trouble.so+0x"));
}

INSTANTIATE_TEST_SUITE_P(Kinds, NoReturnTest, testing::Values("hang", "spin", "deadlock", "slow"),
                         [](const auto& param) { return std::string(param.param); });

TEST_F(FaultTest, APluginThatBurnsEveryCoreKeepsNobodyFromItsEvents) {
  Start(Order("burn", ",\"ms\":3000"));
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "bad").size() >= 2; })) << host_->Errors();
  ExpectTheOtherGroupWell();
  ExpectAllHandled();
  End();
  EXPECT_EQ(host_->Log().Last("Group ended", "bad", "errorCount"), "0");
}

// What goes by the text: the event comes again until it does.
TEST_F(FaultTest, WhateverIsThrownIsAFailureWithAText) {
  for (const std::string what : {"throw", "throw_int", "throw_foreign"}) {
    SCOPED_TRACE(what);
    Site site;
    site.Append({EventLine("s", "t", Order(what, ",\"text\":\"odd\",\"times\":2"))});
    site.Configure(TroubleGroup("bad"));
    const Finished run = site.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 0) << run.err;
    EXPECT_EQ(Delivered(site, "bad").size(), 3u);
    EXPECT_EQ(run.Log().Last("Call failed", "bad", "status"), "FAILED");
    EXPECT_EQ(run.Log().Last("Call failed", "bad", "class"), "unknown");
    EXPECT_NE(run.Log().Last("Call failed", "bad", "reason"), "");
    EXPECT_EQ(run.Log().With("Runner started", "bad").size(), 1u);
  }
}

// Of a plugin in C, or one that does without the C++ layer: no status came back, so it is a death.
TEST(ThrowTest, WhatLeavesACallByAnExceptionIsACrashOfItsEvent) {
  Site site;
  site.Append(
      {EventLine("s", "ok"), EventLine("s", "std"), EventLine("s", "int"), EventLine("s", "ok")});
  site.Configure("[groups.bad]\nplugin = \"thrower.so\"\nprefixes = [\"\"]\n" + JsonlGroup("good"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(Called(site, "bad"),
            (Strings{"s@0 ok", "s@1 std", "s@1 std", "s@2 int", "s@2 int", "s@3 ok"}));
  const auto crashes = run.Log().With("Runner crashed", "bad");
  ASSERT_EQ(crashes.size(), 2u) << run.err;
  EXPECT_EQ(crashes[0].at("signal"), "SIGABRT");
  EXPECT_EQ(crashes[0].at("eventType"), "std");
  EXPECT_THAT(crashes[0].at("frames"), HasSubstr("thrower.so+0x"));
  EXPECT_EQ(run.Log().With("Runner started", "good").size(), 1u);
}

// The stores are not among what a runner has, and the next one has everything again.
TEST_F(FaultTest, ClosedDescriptorsHurtNobodyElse) {
  Start(Order("close_fds", ",\"times\":1"));
  ExpectAllHandled();
  ExpectTheOtherGroupWell();
  End();
}

// Its rings are among what it can write to: then nothing it says counts any more.
TEST_F(FaultTest, GarbageInEveryDescriptorStopsTheGroupAtMost) {
  Start(Order("write_fds", ",\"times\":1"));
  ExpectTheOtherGroupWell();
  ASSERT_TRUE(WaitUntil([&] {
    return host_->Log().Last("Group ended", "bad", "state") == "failed" ||
           Delivered(site_, "bad").size() >= 4;
  })) << host_->Errors();
  host_->Signal(SIGTERM);
  host_->Wait();
  if (host_->Log().Last("Group ended", "bad", "state") == "failed") {
    EXPECT_THAT(host_->Log().Last("Group ended", "bad", "reason"), HasSubstr("contract broken"));
  }
  EXPECT_FALSE(host_->Log().Has("Dead letter written", "bad"));

  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
  const Strings deliveries = Delivered(site_, "bad");
  for (const std::string event : {"s@0 ok", "s@1 write_fds", "s@2 ok", "other@0 ok", "late@0 ok"}) {
    EXPECT_TRUE(std::any_of(deliveries.begin(), deliveries.end(), [&](const std::string& line) {
      return line.rfind(event, 0) == 0;
    })) << event;
  }
}

// The process that it left is gone within a second of the stop.
TEST_F(FaultTest, WhatIsForkedAwayIsGoneWithTheHost) {
  Start(Order("fork", ",\"times\":1"));
  ExpectAllHandled();
  const ForeignProcess left(std::stoi(ReadFile(site_.data("bad", "left"))));
  EXPECT_FALSE(left.Gone());
  End();
  EXPECT_TRUE(left.WaitGone(std::chrono::seconds(1)));
}

// Signals blocked, another working directory, locale, rounding: events go on, and the stop works.
TEST_F(FaultTest, AProcessWhoseStateIsChangedStillWorksAndStops) {
  Start(Order("rude", ",\"times\":1"));
  // Its journal is a relative path, so what comes behind is written where it went to.
  ASSERT_TRUE(WaitUntil([&] { return Delivered(site_, "bad").size() >= 2; })) << host_->Errors();
  ExpectTheOtherGroupWell();
  End();
  EXPECT_EQ(host_->Log().Last("Group ended", "bad", "state"), "stopped");
}

TEST_F(FaultTest, ACallFromAThreadThatMayNotStopsTheGroupAndLosesNothing) {
  Start(Order("threads", ",\"times\":1"));
  ASSERT_TRUE(WaitUntil([&] { return host_->Log().Has("Group ended", "bad"); })) << host_->Errors();
  EXPECT_EQ(host_->Log().Last("Group ended", "bad", "state"), "failed");
  EXPECT_THAT(host_->Log().Last("Group ended", "bad", "reason"),
              HasSubstr("handle called set_error from another thread"));
  ExpectTheOtherGroupWell();
  host_->Signal(SIGTERM);
  host_->Wait();
  EXPECT_FALSE(host_->Log().Has("Dead letter written", "bad"));
  const Finished again = site_.RunUntilCaughtUp();
  EXPECT_EQ(again.exit, 0) << again.err;
}

// Nothing is asked of a plugin any more by then, so the runner's end tells of it.
TEST(AfterStopTest, ACallFromAThreadThatMayNotStopsTheGroupAndLosesNothing) {
  for (const auto& [misdeed, call] :
       {std::pair("error-in-stop", "set_error"), std::pair("log-in-destroy", "log")}) {
    SCOPED_TRACE(misdeed);
    const auto group = [](const std::string& config) {
      return "[groups.bad]\nplugin = \"fixture.so\"\nprojection = \"plain\"\n"
             "prefixes = [\"\"]\nconfig = { " +
             config + " }\n";
    };
    Site site;
    site.Append({EventLine("s", "ok"), EventLine("s", "ok")});
    site.Configure(group("\"" + std::string(misdeed) + "\" = true") + JsonlGroup("good"));
    const Finished run = site.RunUntilCaughtUp();
    EXPECT_EQ(run.exit, 1) << run.err;
    EXPECT_EQ(run.Log().Last("Group ended", "bad", "state"), "failed");
    EXPECT_THAT(run.Log().Last("Group ended", "bad", "reason"),
                HasSubstr("contract broken: in its last call or after it the plugin called " +
                          std::string(call) + " from another thread"));
    EXPECT_EQ(run.Log().Last("Group ended", "bad", "dlqCount"), "0");
    EXPECT_THAT(run.err, HasSubstr("\"text\":\"against the contract: called "));
    EXPECT_EQ(run.Log().Last("Group ended", "good", "state"), "stopped");

    site.Configure(group("") + JsonlGroup("good"));
    EXPECT_EQ(site.RunUntilCaughtUp().exit, 0);
  }
}

// Ten MiB of every byte there is, as an error's text and as a line of the log.
TEST_F(FaultTest, ABigTextOfAnyBytesIsCutAndEveryLineParses) {
  Start(Order("big_text", ",\"bytes\":10485760,\"until\":\"mended\""), "max_retries = 1\n");
  ASSERT_TRUE(host_->WaitForLog("Dead letter written", "bad"));
  ExpectTheOtherGroupWell();
  End();
  ExpectEveryLineParses();
  const auto letters = site_.Catchup({"dlq", "list", "bad", "--json", "--config", "host.toml"});
  EXPECT_EQ(letters.exit, 0) << letters.err;
  EXPECT_THAT(letters.out, HasSubstr("\"unknown\""));
  // One letter, its reason and what JSON makes of it.
  EXPECT_LT(letters.out.size(), 6u * (64 << 10) + 4096);

  WriteFile(site_.data("bad", "mended"), "");
  host_ = site_.Start({"run", "host.toml"});
  ExpectAllHandled();
  End();
}

// Four hundred MiB: what finds no place in the log is counted, and nobody waits for a reader.
TEST_F(FaultTest, AFloodOfOutputIsTakenAndCountedAndEveryLineParses) {
  Start(Order("stdout_flood", ",\"bytes\":419430400"));
  ExpectAllHandled();
  ExpectTheOtherGroupWell();
  End();
  ExpectEveryLineParses();
  EXPECT_LT(host_->Errors().size(), 1u << 20);
  bool counted = false;
  for (const JsonObject& line : host_->Log().With("Log lines left out", "bad")) {
    counted = counted || line.at("of") == "Runner output";
  }
  EXPECT_TRUE(counted);
}

// protobuf, gRPC and Boost, the .proto files of the host, and names of the runner's.
TEST(LibrariesTest, ThoseOfAPluginAndTheHostsKnowNothingOfEachOther) {
  Site site;
  site.Append({EventLine("s", "t"), EventLine("s", "t"), EventLine("s", "t")});
  site.Configure("[groups.own]\nplugin = \"own_libraries.so\"\nprefixes = [\"\"]\n" +
                 JsonlGroup("good"));
  const Finished run = site.RunUntilCaughtUp();
  EXPECT_EQ(run.exit, 0) << run.err;
  EXPECT_EQ(ReadLines(site.data("own", "count")), (Strings{"0", "1", "2"}));
  EXPECT_EQ(run.Log().With("Runner started", "own").size(), 1u);
}

}  // namespace
}  // namespace catchup::e2e
