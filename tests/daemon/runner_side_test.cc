#include "host/daemon/runner/runner_side.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "host/store/checkpoint_store.h"
#include "tests/daemon/scripted_source.h"
#include "tests/daemon/workshop.h"

namespace catchup {
namespace {

// Real runners, fed from a window.
class RunnerSideTest : public testing::Test, public RunnerListener {
 protected:
  void SetUp() override {
    // The folder of a group is its store's to make.
    ASSERT_TRUE(CheckpointStore::Open(shop_.state->groups(), "group", shop_.config.filter).ok());
    shop_.config.handler_timeout = std::chrono::milliseconds(500);
    control_groups_.emplace(*ControlGroups::Take(control_.path()));
    side_ = std::make_unique<RunnerSide>(
        shop_.config,
        RunnerSide::Services{shop_.reactor.get(), &*shop_.binary, &*shop_.state,
                             [](const std::string&) {}, &*control_groups_},
        gate_, this);
  }
  void TearDown() override {
    gate_->Close([this] { side_->Close(); });
    shop_.CloseShop();
  }

  void Spawn(SpawnNumber spawn = 1) {
    gate_->Enter([&] {
      window_.BeginRunner();
      side_->Spawn(spawn, spawn, shop_.plugin_directories[0] / "scripted.so");
    });
  }
  void Deliver(const std::string& type) {
    gate_->Enter([&] {
      const Sequence at = ++last_;
      window_.Add(at, std::make_unique<ScriptedFrame>(at, type));
      Command command;
      command.first = command.last = at;
      command.number = 1;
      window_.Deliver(command);
      Fill();
      side_->WakeAt(at);
    });
  }
  void Fill() {
    side_->Fill(&window_, [](Sequence) { return Position(); });
    side_->Publish();
  }

  void OnSpawnWaits(const std::string& what) override { waits_.Tell(what); }
  void OnSpawnWaitEnds(bool) override {}
  void OnRunnerReady(SpawnNumber spawn, const Outcome&) override { ready_.Tell(spawn); }
  void OnSettled(SpawnNumber, Sequence last) override {
    if (last > window_.settled()) {
      window_.Release(last);
      settled_.Tell(last);
    }
  }
  void OnFailed(SpawnNumber, const BadOutcome& outcome, FailureClass) override {
    failed_.Tell(outcome);
  }
  void OnHung(SpawnNumber spawn, const RunnerLink::Overdue& overdue) override {
    hung_.Tell(overdue.LimitText());
    side_->Abort(spawn);
  }
  void OnContractBroken(SpawnNumber, const std::string& text) override { broken_.Tell(text); }
  void OnReplaceable(SpawnNumber, const std::string&) override {}
  void OnRetirable(SpawnNumber, const std::string& why) override { retirable_.Tell(why); }
  void OnRunnerNotStarted(SpawnNumber, ExitClass why, const std::string& text) override {
    not_started_.Tell({why, text});
  }
  void OnDiscardable(SpawnNumber spawn, const std::string& why) override {
    discardable_.Tell(why);
    side_->Kill(spawn);
  }
  void OnRunnerGone(SpawnNumber, const Gone& gone) override { gone_.Tell(gone.ending); }
  void OnFolderLost(const std::string& text) override { folder_lost_.Tell(text); }
  void OnClock() override {}
  bool Draining() const override { return false; }
  FailureClass ClassOf(std::int32_t, std::string_view) const override {
    return FailureClass::kUnknown;
  }
  EventFields Describe(Sequence) const override { return {}; }

  Workshop shop_;
  const TemporaryFolder control_;  // Plain files in place of the kernel's.
  std::optional<ControlGroups> control_groups_;
  std::shared_ptr<Gate> gate_ = std::make_shared<Gate>([] {});
  std::unique_ptr<RunnerSide> side_;
  DeliveryWindow window_;  // Inside turns, as the next.
  Sequence last_ = 0;
  Told<std::string> waits_, hung_, broken_, folder_lost_, discardable_, retirable_;
  Told<SpawnNumber> ready_;
  Told<Sequence> settled_;
  Told<BadOutcome> failed_;
  Told<std::pair<ExitClass, std::string>> not_started_;
  Told<RunnerLink::Ending> gone_;
};

TEST_F(RunnerSideTest, HandsEventsToARunnerAndSaysWhatIsSettled) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());

  Deliver("ok");
  ASSERT_EQ(settled_.Await(0), 1u);
  Deliver("ok");
  EXPECT_EQ(settled_.Await(1), 2u);
}

TEST_F(RunnerSideTest, EndsARunnerThatIsAskedTo) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());

  gate_->Enter([&] { side_->Drain(1); });

  const auto ending = gone_.Await();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kClean) << ending->text;
}

TEST_F(RunnerSideTest, NeverStartsOneThatIsNotWantedAnyMore) {
  gate_->Enter([&] {
    side_->Spawn(1, 1, shop_.plugin_directories[0] / "scripted.so");
    side_->Kill(1);
  });

  const auto why = not_started_.Await();
  ASSERT_TRUE(why.has_value());
  EXPECT_EQ(why->first, ExitClass::kClean);
}

TEST_F(RunnerSideTest, ChargesADeathToTheEventInWork) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  Deliver("ok");
  Deliver("abort");

  const auto ending = gone_.Await();

  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kCrash);
  EXPECT_EQ(ending->charged, 2u);
  // What it settled before it died counts.
  EXPECT_EQ(settled_.Await(0), 1u);
}

// Whatever the code: a runner ends by itself only when it is asked to.
TEST_F(RunnerSideTest, AnExitBetweenTwoCallsIsThePluginsDoing) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  Deliver("exit-when-told");
  ASSERT_EQ(settled_.Await(0), 1u);
  WriteFile(shop_.data() / "leave", "");

  const auto ending = gone_.Await();

  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kExit);
  EXPECT_EQ(ending->charged, 0u);
  EXPECT_EQ(ending->text, "exit code 0 between two calls");
}

TEST_F(RunnerSideTest, ARunnerGetsAControlGroupBeforeItsPluginIsLoaded) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  const std::filesystem::path group = control_.path() / "runner-group-1";
  EXPECT_EQ(ReadFile(group / "memory.max"), std::to_string((512 + 64) << 20));
  EXPECT_NE(ReadFile(group / "cgroup.procs"), "");
}

TEST_F(RunnerSideTest, AKillByTheKernelForWantOfMemoryIsToldFromOthers) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  WriteFile(control_.path() / "runner-group-1/memory.events", "oom 1\noom_kill 1\n");
  Deliver("kill-itself");

  const auto ending = gone_.Await();

  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kMemory);
  EXPECT_EQ(ending->charged, 1u);
  EXPECT_NE(ending->text.find("limits.memory = 512MiB"), std::string::npos) << ending->text;
}

TEST_F(RunnerSideTest, TellsWhichCallFailedAndWhy) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  Deliver("reject");

  const auto outcome = failed_.Await();

  ASSERT_TRUE(outcome.has_value());
  EXPECT_EQ(outcome->sequence, 1u);
  EXPECT_EQ(outcome->text, "no such customer");
}

TEST_F(RunnerSideTest, FindsACallThatOutlastsItsLimit) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  Deliver("hang");

  EXPECT_EQ(hung_.Await(), "handler_timeout = 500ms");
  const auto ending = gone_.Await();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kHung);
}

TEST_F(RunnerSideTest, KillsARunnerThatBreaksTheContract) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  Deliver("unknown-status");

  EXPECT_TRUE(broken_.Await().has_value());
  const auto ending = gone_.Await();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kContract);
}

// What such a runner does leaves nothing, so a call of it that fails says nothing.
TEST_F(RunnerSideTest, ThrowsARunnerAwayWhoseDirectoryIsNotTheGroupsAnyMore) {
  Spawn();
  ASSERT_TRUE(ready_.Await().has_value());
  std::filesystem::remove_all(shop_.data());
  Deliver("failed");

  EXPECT_TRUE(discardable_.Await().has_value());
  const auto ending = gone_.Await();
  ASSERT_TRUE(ending.has_value());
  EXPECT_EQ(ending->exit_class, ExitClass::kKilled);
  EXPECT_EQ(failed_.size(), 0u);
}

TEST_F(RunnerSideTest, WaitsForTheRunnerOfAnEarlierHost) {
  auto held = RunnerLock::TryTake(shop_.state->runner_lock("group", 0));
  ASSERT_TRUE(held.ok());
  Spawn();
  ASSERT_TRUE(waits_.Await().has_value());
  EXPECT_EQ(ready_.size(), 0u);

  { const RunnerLock gone = std::move(*held); }

  EXPECT_TRUE(ready_.Await().has_value());
}

TEST_F(RunnerSideTest, CannotStartWhereTheGroupsFolderIsGone) {
  std::filesystem::remove_all(shop_.state->group("group"));
  Spawn();

  const auto why = not_started_.Await();

  ASSERT_TRUE(why.has_value());
  EXPECT_EQ(why->first, ExitClass::kSetup);
}

}  // namespace
}  // namespace catchup
