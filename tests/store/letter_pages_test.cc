#include "host/store/letter_pages.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/store/letters.h"

// Pages of letters, and what is kept of operators' decisions.

namespace catchup {
namespace {

class LetterPagesTest : public testing::Test {
 protected:
  void SetUp() override { store_ = OpenLetters(folder_.path()); }

  std::string Page(const LetterFilter& filter, LetterView view = LetterView::kList) {
    auto page = LetterPage("g", filter, view, &store_->reader());
    EXPECT_TRUE(page.ok()) << page.status().message();
    return page.ok() ? *page : std::string();
  }
  static bool Has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  }
  static std::size_t Count(const std::string& page) {
    std::size_t count = 0;
    for (auto at = page.find("\n{"); at != std::string::npos; at = page.find("\n{", at + 1)) {
      ++count;
    }
    return count;
  }

  const TemporaryFolder folder_;
  std::unique_ptr<LetterStore> store_;
};

TEST_F(LetterPagesTest, AGroupWithoutLettersHasAnEmptyPage) {
  EXPECT_EQ(Page({}), R"({"group":"g","letters":[],"next":null,"count":0})");
}

TEST_F(LetterPagesTest, PagesTogetherAreAllLettersInOrder) {
  std::vector<Letter> letters;
  for (std::uint64_t n = 1; n <= 2 * kPageLetters + 1; ++n) {
    letters.push_back(MakeLetter(n));
  }
  ASSERT_TRUE(store_->Insert(0, letters).ok());
  const std::string first = Page({});
  EXPECT_EQ(Count(first), kPageLetters);
  EXPECT_TRUE(Has(first, "\"count\":" + std::to_string(2 * kPageLetters + 1)));
  EXPECT_TRUE(Has(first, "\"next\":\"" + FormatPosition(At(kPageLetters)) + "\""));
  LetterFilter filter;
  filter.after = At(kPageLetters);
  const std::string second = Page(filter);
  EXPECT_EQ(Count(second), kPageLetters);
  EXPECT_FALSE(Has(second, "\"count\""));
  filter.after = At(2 * kPageLetters);
  const std::string last = Page(filter);
  EXPECT_EQ(Count(last), 1u);
  EXPECT_TRUE(Has(last, "\"next\":null"));
}

TEST_F(LetterPagesTest, APageIsBoundedInBytesAndHasOneLetterAtLeast) {
  std::vector<Letter> letters;
  for (std::uint64_t n = 1; n <= 3; ++n) {
    letters.push_back(MakeLetter(n));
    letters.back().data = "\"" + std::string(kPageBytes, 'x') + "\"";
  }
  ASSERT_TRUE(store_->Insert(0, letters).ok());
  EXPECT_EQ(Count(Page({}, LetterView::kEvents)), 1u);
  EXPECT_EQ(Count(Page({})), 3u) << "no event in it";
}

// However few letters are meant, no page looks at more than so many.
TEST_F(LetterPagesTest, ALongLookIsSeveralPages) {
  std::vector<Letter> letters;
  for (std::uint64_t n = 1; n <= kPageLooksAt + 1; ++n) {
    letters.push_back(MakeLetter(n, n == kPageLooksAt + 1 ? "rare" : "s"));
    letters.back().data = "{}";
  }
  ASSERT_TRUE(store_->Insert(0, letters).ok());
  LetterFilter filter;
  filter.stream = "rare";
  const std::string first = Page(filter);
  EXPECT_EQ(Count(first), 0u);
  EXPECT_TRUE(Has(first, "\"next\":\"" + FormatPosition(At(kPageLooksAt)) + "\"")) << first;
  filter.after = At(kPageLooksAt);
  EXPECT_EQ(Count(Page(filter)), 1u);
}

TEST_F(LetterPagesTest, WhatWasDroppedIsKeptWithItsReason) {
  std::vector<Letter> letters = {MakeLetter(1), MakeLetter(2)};
  ASSERT_TRUE(store_->Insert(0, letters).ok());
  ASSERT_TRUE(store_->Drop(0, At(1), "no use", "user 7").ok());
  EXPECT_EQ(store_->Drop(0, At(1), "no use", "user 7").code(), Status::Code::kNotFound);
  store_.reset();
  store_ = OpenLetters(folder_.path());
  const auto one = OneLetter("g", At(1), &store_->reader());
  ASSERT_TRUE(one.ok() && one->has_value());
  EXPECT_TRUE(Has(**one, "\"state\":\"dropped\"")) << **one;
  EXPECT_TRUE(Has(**one, "\"reason\":\"no use\",\"by\":\"user 7\"")) << **one;
  const auto all = DroppedLetters("g", &store_->reader());
  EXPECT_TRUE(all.ok() && Has(*all, "\"id\":\"10:10\""));
  EXPECT_FALSE(OneLetter("g", At(9), &store_->reader())->has_value());
}

// The host calls none of them, whatever its delays would say.
TEST_F(LetterPagesTest, ALetterWhoseTypeAnOperatorHasParkedHasNoNextTry) {
  Letter letter = MakeLetter(1);
  letter.head.state = StoredState::kHealing;
  letter.head.type = "t";
  letter.head.due_ticks = 5;
  ASSERT_TRUE(InsertOne(store_.get(), letter).ok());
  const auto next_try = [this](LetterHold::By by) {
    EXPECT_TRUE(store_->SetHold(0, {"t", by, 5, "why"}).ok());
    const bool in_page = !Has(Page({}), "\"nextTryAt\":null");
    EXPECT_EQ(!Has(**OneLetter("g", At(1), &store_->reader()), "\"nextTryAt\":null"), in_page);
    return in_page;
  };
  EXPECT_TRUE(next_try(LetterHold::By::kHost)) << "one a minute is called";
  EXPECT_FALSE(next_try(LetterHold::By::kOperator));
}

TEST_F(LetterPagesTest, HeldTypesAreToldWithWhoHoldsThemSinceWhenAndWhy) {
  ASSERT_TRUE(store_->SetHold(0, {"a", LetterHold::By::kHost, 0, "odd"}).ok());
  ASSERT_TRUE(store_->SetHold(0, {"b", LetterHold::By::kOperator, 0, "no use"}).ok());
  const auto held = HeldTypes("g", &store_->reader());
  ASSERT_TRUE(held.ok()) << held.status().message();
  EXPECT_TRUE(Has(*held, R"({"type":"a","by":"host","since":null,"reason":"odd"})")) << *held;
  EXPECT_TRUE(Has(*held, R"({"type":"b","by":"operator","since":null,"reason":"no use"})"))
      << *held;
}

TEST_F(LetterPagesTest, AnEventToBeParkedIsKeptUntilItIsALetterByHand) {
  ASSERT_TRUE(store_->SetPark(0, {At(3), 5, "user 7", "no use"}).ok());
  EXPECT_EQ(store_->SetPark(1, {At(4), 5, "user 7", ""}).code(), Status::Code::kDenied);
  store_.reset();
  store_ = OpenLetters(folder_.path());
  std::vector<std::string> reasons;
  const auto see = [&](const LetterPark& park) { reasons.push_back(park.reason); };
  ASSERT_TRUE(store_->reader().ScanParks(see).ok());
  EXPECT_EQ(reasons, std::vector<std::string>{"no use"});

  Letter letter = MakeLetter(3);
  letter.head.letter_class = StoredClass::kByHand;
  ASSERT_TRUE(InsertOne(store_.get(), letter).ok());
  reasons.clear();
  ASSERT_TRUE(store_->reader().ScanParks(see).ok());
  EXPECT_TRUE(reasons.empty());
}

}  // namespace
}  // namespace catchup
