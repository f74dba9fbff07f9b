#include "host/base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

namespace catchup {
namespace {

TEST(StatusTest, IsOkByItself) {
  const Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_TRUE(static_cast<bool>(status));
  EXPECT_EQ(status.message(), "");
}

TEST(StatusTest, KeepsCodeAndText) {
  const Status status = Status::Corrupt("slot 1");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(status.code(), Status::Code::kCorrupt);
  EXPECT_EQ(status.message(), "slot 1");
}

TEST(StatusTest, PutsAPrefixBeforeAFailureOnly) {
  EXPECT_EQ(Status::NotFound("x").Within("a").Within("b").message(), "b: a: x");
  EXPECT_EQ(Status::NotFound("x").Within("a").code(), Status::Code::kNotFound);
  EXPECT_TRUE(Status().Within("a").ok());
}

TEST(StatusTest, TurnsErrorNumbersIntoCodes) {
  EXPECT_EQ(Status::FromErrno("open /x", EACCES).message(), "open /x: Permission denied");
  EXPECT_EQ(Status::FromErrno("", EACCES).code(), Status::Code::kDenied);
  EXPECT_EQ(Status::FromErrno("", EROFS).code(), Status::Code::kDenied);
  EXPECT_EQ(Status::FromErrno("", ENOENT).code(), Status::Code::kNotFound);
  EXPECT_EQ(Status::FromErrno("", ENOSPC).code(), Status::Code::kExhausted);
  EXPECT_EQ(Status::FromErrno("", ECONNREFUSED).code(), Status::Code::kUnavailable);
  EXPECT_EQ(Status::FromErrno("", EIO).code(), Status::Code::kInternal);
}

TEST(ResultTest, HoldsAValueOrAFailure) {
  const Result<std::string> good = std::string("value");
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(*good, "value");
  EXPECT_EQ(good->size(), 5u);
  const Result<std::string> bad = Status::Invalid("why");
  EXPECT_FALSE(bad.ok());
  EXPECT_EQ(bad.status().message(), "why");
}

TEST(ResultTest, HandsOverWhatCannotBeCopied) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 5);
}

TEST(ResultDeathTest, AbortsOnTheValueOfAFailure) {
  const Result<int> bad = Status::Invalid("why");
  EXPECT_DEATH((void)bad.value(), "broken invariant");
}

TEST(ReturnIfErrorTest, LeavesWithTheFailure) {
  const auto run = [](Status first, bool* reached) -> Status {
    CATCHUP_RETURN_IF_ERROR(first);
    *reached = true;
    return {};
  };
  bool reached = false;
  EXPECT_EQ(run(Status::InUse("x"), &reached).code(), Status::Code::kInUse);
  EXPECT_FALSE(reached);
  EXPECT_TRUE(run({}, &reached).ok());
  EXPECT_TRUE(reached);
}

Result<std::unique_ptr<int>> Make(int number) {
  if (number < 0) {
    return Status::Invalid("found " + std::to_string(number));
  }
  return std::make_unique<int>(number);
}

Result<int> Sum(int first, int second) {
  CATCHUP_ASSIGN_OR_RETURN(const auto one, Make(first));
  CATCHUP_ASSIGN_OR_RETURN(auto other, Make(second));
  *other += *one;
  return *other;
}

TEST(AssignOrReturnTest, GivesTheValueAlsoOfWhatCannotBeCopied) {
  const auto sum = Sum(3, 4);
  ASSERT_TRUE(sum.ok());
  EXPECT_EQ(*sum, 7);
}

TEST(AssignOrReturnTest, LeavesWithTheFirstFailure) {
  EXPECT_EQ(Sum(-1, -2).status().message(), "found -1");
  EXPECT_EQ(Sum(1, -2).status().message(), "found -2");
}

TEST(AssignOrReturnTest, AssignsToWhatIsThereAndLeavesItAloneOnAFailure) {
  const auto run = [](int number, std::unique_ptr<int>* kept) -> Status {
    CATCHUP_ASSIGN_OR_RETURN(*kept, Make(number));
    return {};
  };
  std::unique_ptr<int> kept;
  EXPECT_TRUE(run(5, &kept).ok());
  EXPECT_EQ(*kept, 5);
  EXPECT_EQ(run(-1, &kept).code(), Status::Code::kInvalid);
  EXPECT_EQ(*kept, 5);
}

TEST(AssignOrReturnTest, TakesAnExpressionWithCommas) {
  const auto run = []() -> Result<int> {
    CATCHUP_ASSIGN_OR_RETURN(const auto pair,
                             Result<std::pair<int, int>>(std::pair<int, int>{1, 2}));
    return pair.first + pair.second;
  };
  EXPECT_EQ(*run(), 3);
}

}  // namespace
}  // namespace catchup
