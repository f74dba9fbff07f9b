#include "host/store/letter_steps.h"

#include <gtest/gtest.h>

#include <string>

#include "host/store/letter_json.h"
#include "tests/store/letters.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

class LetterStepsTest : public ::testing::Test {
 protected:
  void Reopen(std::vector<std::string> sinks) {
    store_.reset();
    LetterStore::Options options;
    options.sinks = std::move(sinks);
    store_ = OpenLetters(folder_.path(), options);
    ASSERT_NE(store_, nullptr);
  }
  void SetUp() override { Reopen({"a"}); }

  std::vector<LetterStep> Read(const std::string& sink) {
    auto steps = store_->ReadSteps(sink);
    EXPECT_TRUE(steps.ok()) << steps.status().message();
    return std::move(steps->steps);
  }
  std::vector<std::uint64_t> Numbers(const std::string& sink) {
    std::vector<std::uint64_t> numbers;
    for (const LetterStep& step : Read(sink)) {
      numbers.push_back(step.number);
    }
    return numbers;
  }
  void Insert(std::uint64_t n) { ASSERT_TRUE(InsertOne(store_.get(), MakeLetter(n)).ok()); }

  using Is = std::vector<std::uint64_t>;
  TemporaryFolder folder_;
  std::unique_ptr<LetterStore> store_;
};

TEST_F(LetterStepsTest, EachStepOfALetterIsStoredWithItsChange) {
  Insert(1);
  Letter letter = MakeLetter(1);
  ASSERT_TRUE(
      store_->Update(0, {letter.head, letter.cause, {{LetterStepKind::kRetried, "me"}}}).ok());
  ASSERT_TRUE(store_->Update(0, {letter.head, letter.cause, {}}).ok());
  letter.head.state = StoredState::kDead;
  ASSERT_TRUE(store_->Update(0, {letter.head, letter.cause, {{LetterStepKind::kDead, ""}}}).ok());
  ASSERT_TRUE(store_->Drop(0, At(1), "no use", "user 0").ok());
  Reopen({"a"});
  const std::vector<LetterStep> steps = Read("a");
  ASSERT_EQ(steps.size(), 4u);
  const LetterStepKind kinds[] = {LetterStepKind::kWritten, LetterStepKind::kRetried,
                                  LetterStepKind::kDead, LetterStepKind::kDropped};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].kind, kinds[i]);
    EXPECT_EQ(steps[i].number, i + 1);
    EXPECT_EQ(steps[i].position, At(1));
  }
  std::string members;
  AppendLetterMembers("g", letter.head, letter.cause, &members);
  std::string event;
  AppendLetterEvent(letter, &event);
  const std::string object = steps[3].Object(1u << 20);
  EXPECT_EQ(object.rfind("{\"step\":\"dropped\",\"number\":4,\"time\":\"20", 0), 0u) << object;
  EXPECT_NE(object.find("\"note\":\"no use\"," + members + ",\"event\":" + event + "}"),
            std::string::npos)
      << object;
}

// One change, both steps or none; the letter is in them as it was left.
TEST_F(LetterStepsTest, ARetryIsToldBeforeWhatItLedTo) {
  Insert(1);
  Insert(2);
  Letter letter = MakeLetter(1);
  letter.head.state = StoredState::kDead;
  ASSERT_TRUE(store_
                  ->Update(0, {letter.head,
                               letter.cause,
                               {{LetterStepKind::kRetried, "me"}, {LetterStepKind::kDead, ""}}})
                  .ok());
  ASSERT_TRUE(store_->RemoveHealed(0, At(2), "me").ok());
  const std::vector<LetterStep> steps = Read("a");
  ASSERT_EQ(steps.size(), 6u);
  const LetterStepKind kinds[] = {LetterStepKind::kRetried, LetterStepKind::kDead,
                                  LetterStepKind::kRetried, LetterStepKind::kHealed};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(steps[i + 2].kind, kinds[i]);
    const bool retried = kinds[i] == LetterStepKind::kRetried;
    EXPECT_EQ(steps[i + 2].head.find(R"("note":"me")") != std::string::npos, retried);
    EXPECT_EQ(steps[i + 2].head.find(R"("state":"dead")") != std::string::npos, i < 2);
  }
}

TEST_F(LetterStepsTest, AnEventThatIsTooLongForASinkIsLeftOut) {
  Insert(1);
  const LetterStep step = Read("a").front();
  const std::string whole = step.Object(1u << 20);
  EXPECT_EQ(step.Object(whole.size()), whole);
  EXPECT_NE(step.Object(whole.size() - 1)
                .find(",\"event\":null,\"eventBytes\":" + std::to_string(step.event.size()) + "}"),
            std::string::npos);
}

TEST_F(LetterStepsTest, AStepHasTheSameIdHoweverOftenItIsRead) {
  Insert(1);
  Insert(2);
  const auto steps = Read("a");
  EXPECT_EQ(steps[0].Id("g"), Read("a")[0].Id("g"));
  EXPECT_NE(steps[0].Id("g"), steps[1].Id("g"));
  EXPECT_NE(steps[0].Id("g"), steps[0].Id("h"));
  EXPECT_EQ(steps[0].Id("g").bytes[6] >> 4, 5);
}

TEST_F(LetterStepsTest, ARedeliveryIsNoStep) {
  Insert(1);
  Insert(1);
  EXPECT_EQ(Numbers("a"), (Is{1}));
}

TEST_F(LetterStepsTest, StepsGoOnceEverySinkHasThem) {
  Reopen({"a", "b"});
  for (std::uint64_t n = 1; n <= 4; ++n) {
    Insert(n);
  }
  ASSERT_TRUE(store_->SetPlace("a", 3).ok());
  EXPECT_EQ(Numbers("a"), (Is{4}));
  EXPECT_EQ(Numbers("b"), (Is{1, 2, 3, 4}));
  ASSERT_TRUE(store_->SetPlace("b", 2).ok());
  Reopen({"a", "b"});
  EXPECT_EQ(Numbers("a"), (Is{4}));
  EXPECT_EQ(Numbers("b"), (Is{3, 4}));
  ASSERT_TRUE(store_->SetPlace("b", 1).ok());  // Never goes back.
  EXPECT_EQ(Numbers("b"), (Is{3, 4}));
  ASSERT_TRUE(store_->SetPlace("b", 4).ok());
  ASSERT_TRUE(store_->SetPlace("a", 4).ok());
  EXPECT_TRUE(Numbers("a").empty());
  Insert(5);
  EXPECT_EQ(Numbers("a"), (Is{5}));
}

TEST_F(LetterStepsTest, ASinkThatIsNotConfiguredAnyMoreHoldsNothing) {
  Reopen({"a", "b"});
  Insert(1);
  ASSERT_TRUE(store_->SetPlace("a", 1).ok());
  EXPECT_EQ(Numbers("b"), (Is{1}));
  Reopen({"a"});
  EXPECT_TRUE(Numbers("b").empty());
  Insert(2);
  Reopen({"a", "b"});
  EXPECT_EQ(Numbers("b"), (Is{2}));  // A new one begins with the oldest there is.
  Reopen({});
  Insert(3);
  Reopen({"a"});
  EXPECT_TRUE(Numbers("a").empty());
}

TEST_F(LetterStepsTest, WithoutASinkNoStepIsStored) {
  Reopen({});
  Insert(1);
  Reopen({"a"});
  EXPECT_TRUE(Numbers("a").empty());
}

// A sink that stays away must not fill the disk.
TEST_F(LetterStepsTest, TheOldestStepsGoWhereASinkStaysAway) {
  store_.reset();
  LetterStore::Options options;
  options.sinks = {"a"};
  options.max_step_bytes = 20'000;
  store_ = OpenLetters(folder_.path(), options);
  for (std::uint64_t n = 1; n <= 100; ++n) {
    Insert(n);
    ASSERT_TRUE(store_->RemoveHealed(0, At(n)).ok());
  }
  const auto numbers = Numbers("a");
  EXPECT_EQ(numbers.back(), 200u);
  EXPECT_GT(numbers.front(), 100u);
  EXPECT_GT(numbers.size(), 10u);
}

TEST_F(LetterStepsTest, AReadIsBounded) {
  std::vector<Letter> letters;
  for (std::uint64_t n = 1; n <= LetterSteps::kMaxRead + 10; ++n) {
    letters.push_back(MakeLetter(n));
  }
  ASSERT_TRUE(store_->Insert(0, letters).ok());
  EXPECT_EQ(Read("a").size(), LetterSteps::kMaxRead);
}

TEST_F(LetterStepsTest, AChangeThatFailsLeavesNoStep) {
  Insert(1);
  LetterHead absent = MakeLetter(2).head;
  EXPECT_FALSE(store_->Update(0, {absent, {}, {{LetterStepKind::kDead, ""}}}).ok());
  Insert(3);
  EXPECT_EQ(Numbers("a"), (Is{1, 2}));
}

}  // namespace
}  // namespace catchup
