#include "host/store/letter_sink.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <string>

#include "host/store/letter_feeder.h"
#include "tests/store/failing_disk.h"
#include "tests/store/letters.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

LetterStep MakeStep(std::uint64_t number) {
  LetterStep step;
  step.number = number;
  step.position = At(number);
  step.head = "\"step\":\"written\",\"number\":" + std::to_string(number);
  step.event = "{\"stream\":\"s\"}";
  return step;
}

std::string Line(std::uint64_t number) {
  return "{\"step\":\"written\",\"number\":" + std::to_string(number) +
         ",\"event\":{\"stream\":\"s\"}}\n";
}

class LineSinkTest : public ::testing::Test {
 protected:
  void TearDown() override { FailingDisk::Disarm(); }
  Status Deliver(std::uint64_t number) {
    const LetterStep step = MakeStep(number);
    return sink_.Deliver({&step, 1});
  }
  std::string Text() { return ReadFile(file()); }
  std::filesystem::path file() const { return folder_.path() / "steps.jsonl"; }

  TemporaryFolder folder_;
  LineSink sink_{folder_.path() / "steps.jsonl"};
};

TEST_F(LineSinkTest, AddsALineForEachStep) {
  ASSERT_TRUE(Deliver(1).ok());
  const std::vector<LetterStep> two = {MakeStep(2), MakeStep(3)};
  ASSERT_TRUE(sink_.Deliver(two).ok());
  EXPECT_EQ(Text(), Line(1) + Line(2) + Line(3));
}

TEST_F(LineSinkTest, SurvivesRotationByNameAndByCutting) {
  ASSERT_TRUE(Deliver(1).ok());
  std::filesystem::rename(file(), folder_.path() / "steps.1");
  ASSERT_TRUE(Deliver(2).ok());
  EXPECT_EQ(Text(), Line(2));
  EXPECT_EQ(ReadFile(folder_.path() / "steps.1"), Line(1));
  std::filesystem::resize_file(file(), 0);
  ASSERT_TRUE(Deliver(3).ok());
  EXPECT_EQ(Text(), Line(3));
}

// A kill in the middle of a write.
TEST_F(LineSinkTest, HalfALineOfOursIsCutOff) {
  for (std::size_t size = 1; size < Line(2).size(); ++size) {
    WriteFile(file(), Line(1) + Line(2).substr(0, size));
    ASSERT_TRUE(Deliver(2).ok());
    EXPECT_EQ(Text(), Line(1) + Line(2)) << size;
  }
  const std::string long_line = "{\"step\":\"" + std::string(200'000, 'x');
  WriteFile(file(), Line(1) + long_line);
  ASSERT_TRUE(Deliver(2).ok());
  EXPECT_EQ(Text(), Line(1) + Line(2));
}

TEST_F(LineSinkTest, SomebodyElsesLineIsEnded) {
  WriteFile(file(), "# by hand");
  ASSERT_TRUE(Deliver(1).ok());
  EXPECT_EQ(Text(), "# by hand\n" + Line(1));
}

TEST_F(LineSinkTest, AFullDiskLeavesWholeLinesOnly) {
  ASSERT_TRUE(Deliver(1).ok());
  FailingDisk::Arm(FailingDisk::kWrite, ENOSPC, 1, true);
  const Status full = Deliver(2);
  EXPECT_EQ(full.code(), Status::Code::kExhausted);
  EXPECT_EQ(full.message().rfind(file().string() + ": ", 0), 0u) << full.message();
  EXPECT_EQ(Text(), Line(1));
  FailingDisk::Disarm();
  ASSERT_TRUE(Deliver(2).ok());
  EXPECT_EQ(Text(), Line(1) + Line(2));
}

TEST_F(LineSinkTest, WhatIsNoFileOfItsOwnIsRefused) {
  std::filesystem::create_directory(file());
  EXPECT_FALSE(Deliver(1).ok());
  std::filesystem::remove(file());
  ASSERT_EQ(::mkfifo(file().c_str(), 0600), 0);
  EXPECT_EQ(Deliver(1).message(),
            file().string() + ": it is not a regular file, wanted a file of lines");
  std::filesystem::remove(file());
  WriteFile(file(), "");
  const UniqueFd other(::open(file().c_str(), O_RDWR | O_CLOEXEC));
  ASSERT_EQ(::flock(other.get(), LOCK_EX), 0);
  EXPECT_EQ(Deliver(1).message(), file().string() + ": another process has it locked");
}

// A sink that fails when told to.
class FickleSink : public LetterSink {
 public:
  Status Deliver(std::span<const LetterStep> steps) override {
    if (broken) {
      return Status::Unavailable("nobody there");
    }
    for (const LetterStep& step : steps) {
      got.push_back(step.number);
    }
    return {};
  }
  bool broken = false;
  std::vector<std::uint64_t> got;
};

class LetterFeederTest : public ::testing::Test {
 protected:
  LetterFeederTest() {
    LetterStore::Options options;
    options.sinks = {"a"};
    store_ = OpenLetters(folder_.path(), options);
    auto sink = std::make_unique<FickleSink>();
    sink_ = sink.get();
    feeder_ = std::make_unique<LetterFeeder>(
        "g", "a", std::move(sink),
        LetterFeeder::Store{[this] { return store_->ReadSteps("a"); },
                            [this](std::uint64_t number) {
                              return confirms_ ? store_->SetPlace("a", number)
                                               : Status::Exhausted("no room");
                            }});
  }

  void Insert(std::uint64_t n) { ASSERT_TRUE(InsertOne(store_.get(), MakeLetter(n)).ok()); }

  using Numbers = std::vector<std::uint64_t>;
  TemporaryFolder folder_;
  std::unique_ptr<LetterStore> store_;
  FickleSink* sink_ = nullptr;
  bool confirms_ = true;
  std::unique_ptr<LetterFeeder> feeder_;
};

TEST_F(LetterFeederTest, DeliversEachStepOnceAndThenWaits) {
  EXPECT_FALSE(feeder_->Feed());
  Insert(1);
  Insert(2);
  EXPECT_EQ(feeder_->Feed(), std::chrono::nanoseconds(0));
  EXPECT_FALSE(feeder_->Feed());
  Insert(3);
  EXPECT_TRUE(feeder_->Feed());
  EXPECT_EQ(sink_->got, (Numbers{1, 2, 3}));
  EXPECT_TRUE(store_->ReadSteps("a")->steps.empty());
}

TEST_F(LetterFeederTest, ABrokenSinkIsTriedEverMoreSeldomAndMissesNothing) {
  sink_->broken = true;
  Insert(1);
  std::chrono::nanoseconds last{};
  for (int i = 0; i < 100; ++i) {
    const auto wait = feeder_->Feed();
    ASSERT_TRUE(wait);
    EXPECT_GE(*wait, last);
    EXPECT_LE(*wait, LetterFeeder::kLongestWait);
    last = *wait;
  }
  EXPECT_EQ(last, LetterFeeder::kLongestWait);
  Insert(2);
  EXPECT_TRUE(feeder_->Feed());
  EXPECT_EQ(feeder_->standing().behind, 2u);
  EXPECT_FALSE(feeder_->standing().trouble.empty());
  sink_->broken = false;
  EXPECT_TRUE(feeder_->Feed());
  EXPECT_EQ(feeder_->standing().behind, 0u);
  EXPECT_TRUE(feeder_->standing().trouble.empty());
  EXPECT_EQ(sink_->got, (Numbers{1, 2}));
  sink_->broken = true;
  Insert(3);
  EXPECT_EQ(feeder_->Feed(), LetterFeeder::kFirstWait);
}

TEST_F(LetterFeederTest, WhatWasNotConfirmedComesAgain) {
  Insert(1);
  confirms_ = false;
  EXPECT_EQ(feeder_->Feed(), LetterFeeder::kFirstWait);
  confirms_ = true;
  EXPECT_TRUE(feeder_->Feed());
  EXPECT_EQ(sink_->got, (Numbers{1, 1}));
  EXPECT_FALSE(feeder_->Feed());
}

}  // namespace
}  // namespace catchup
