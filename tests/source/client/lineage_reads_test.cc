// What the questions that recognise a log (protocol notes 3.6) are answered with by one that speaks
// as a node does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "host/source/client/kurrent_source.h"
#include "tests/source/client/ask.h"
#include "tests/source/client/frames.h"
#include "tests/source/client/recording_sink.h"
#include "tests/source/embedded/served_log.h"

namespace catchup::embedded {
namespace {

using testing::HasSubstr;

using Kind = StreamRevision::Kind;

class LineageReadsTest : public ServedLogTest {
 protected:
  void SetUp() override {
    ServedLogTest::SetUp();
    source_ = *OpenKurrentSource(To(server_->address()));
  }

  // Appends one event and returns where it lies.
  Position Append(const std::string& stream) {
    const std::uint64_t at = client_->MustAppend(stream, Some(1));
    return {at, at};
  }
  FirstRecord First(Position from) {
    const auto first = AskFirst(source_.get(), from);
    EXPECT_TRUE(first.ok()) << first.end().text;
    return first.ok() ? first->value_or(FirstRecord()) : FirstRecord();
  }
  StreamRevision Revision(const std::string& stream, std::uint64_t revision) {
    const auto found = AskRevision(source_.get(), stream, revision);
    EXPECT_TRUE(found.ok()) << found.end().text;
    return found.ok() ? *found : StreamRevision();
  }
  // How a subscription from there ends.
  EndOfCall EndOfSubscription(Position from) {
    SubscribeOptions options = Everything();
    options.from = from;
    const auto sink = std::make_shared<RecordingSink>();
    const auto subscription = source_->Subscribe(options, sink);
    return sink->AwaitEnd().value_or(EndOfCall{});
  }

  std::unique_ptr<Source> source_;
};

TEST_F(LineageReadsTest, AnEventIsFoundAtItsPlaceAndInItsStreamWithTheSameId) {
  client_->MustAppend("orders", Some(2));
  const Events written = Some(1);
  const std::uint64_t at = client_->MustAppend("orders", written);
  EXPECT_EQ(First({at, at}), (FirstRecord{{at, at}, written[0].id}));
  EXPECT_EQ(Revision("orders", 2), (StreamRevision{Kind::kEvent, written[0].id}));
}

TEST_F(LineageReadsTest, ALinkIsFoundAsItself) {
  client_->MustAppend("orders", Some(1));
  const Events link = {{"$>", "0@orders"}};
  const std::uint64_t at = client_->MustAppend("links", link);
  EXPECT_EQ(First({at, at}), (FirstRecord{{at, at}, link[0].id, true}));
  EXPECT_EQ(Revision("links", 0), (StreamRevision{Kind::kEvent, link[0].id}));
}

// A count read and a subscription word it differently, and neither is to be tried again.
TEST_F(LineageReadsTest, APlaceWithinARecordIsNone) {
  const Position at = Append("orders");
  Append("orders");
  for (const std::uint64_t prepare : {at.commit + 1, std::uint64_t{0}}) {
    const Position inside{at.commit + 1, prepare};
    const auto first = AskFirst(source_.get(), inside);
    ASSERT_FALSE(first.ok());
    EXPECT_EQ(first.end().kind, EndClass::kInvalidPosition);
    EXPECT_THAT(first.end().text, HasSubstr("UNKNOWN: Unexpected ReadAllResult: InvalidPosition"));

    const EndOfCall end = EndOfSubscription(inside);
    EXPECT_EQ(end.kind, EndClass::kInvalidPosition);
    EXPECT_THAT(end.text, HasSubstr("INVALID_ARGUMENT: Trying to read from an invalid position."));
  }
}

TEST_F(LineageReadsTest, ARecordThatNoReadShowsIsAPlaceAndTheEnd) {
  const Position before = Append("orders");
  ASSERT_TRUE(server_->SeedHidden().ok());
  const auto hidden = AskEnd(source_.get());
  ASSERT_TRUE(hidden.ok()) << hidden.end().text;
  const Position end = hidden->value_or(Position());
  EXPECT_GT(end, before) << "the head is " << FormatPosition(before);
  EXPECT_EQ(*ReadHeadAndWait(source_.get()), before);
  EXPECT_EQ(*AskFirst(source_.get(), end), std::nullopt);

  const Position after = Append("orders");
  EXPECT_EQ(First(end).position, after);
}

TEST_F(LineageReadsTest, BehindTheEndThereIsNothing) {
  const Position last = Append("orders");
  const auto first = AskFirst(source_.get(), {last.commit + 100'000, last.commit + 100'000});
  ASSERT_TRUE(first.ok()) << first.end().text;
  EXPECT_EQ(*first, std::nullopt);
}

TEST_F(LineageReadsTest, AStreamThatIsShorterEndsBelow) {
  client_->MustAppend("orders", Some(3));
  EXPECT_EQ(Revision("orders", 3).kind, Kind::kEndsBelow);
  EXPECT_EQ(Revision("orders", 900).kind, Kind::kEndsBelow);
}

TEST_F(LineageReadsTest, AStreamThatWasNeverThereOrWasDeletedSaysNothing) {
  EXPECT_EQ(Revision("never", 0).kind, Kind::kGone);

  client_->MustAppend("hidden", Some(3));
  ASSERT_TRUE(client_->Delete("hidden").ok());
  EXPECT_EQ(Revision("hidden", 1).kind, Kind::kGone);
  EXPECT_EQ(Revision("hidden", 7).kind, Kind::kGone);

  client_->MustAppend("closed", Some(3));
  ASSERT_TRUE(client_->Tombstone("closed").ok());
  EXPECT_EQ(Revision("closed", 1).kind, Kind::kGone);
}

TEST_F(LineageReadsTest, WhatIsCutOffSaysNothingAndWhatFollowsIsThere) {
  client_->MustAppend("orders", Some(3));
  WriteMetadata("orders", R"({"$tb":2})");
  EXPECT_EQ(Revision("orders", 1).kind, Kind::kGone);
  EXPECT_EQ(Revision("orders", 2).kind, Kind::kEvent);

  WriteMetadata("orders", R"({"$tb":3})");
  EXPECT_EQ(Revision("orders", 2).kind, Kind::kGone) << "nothing is left to be shown";
  EXPECT_EQ(Revision("orders", 3).kind, Kind::kEndsBelow);

  client_->MustAppend("last", Some(3));
  WriteMetadata("last", R"({"$maxCount":1})");
  EXPECT_EQ(Revision("last", 0).kind, Kind::kGone);
  EXPECT_EQ(Revision("last", 2).kind, Kind::kEvent);
}

TEST_F(LineageReadsTest, AStreamThatWasOpenedAgainSaysNothingOfWhatWasBefore) {
  client_->MustAppend("orders", Some(3));
  ASSERT_TRUE(client_->Delete("orders").ok());
  client_->MustAppend("orders", Some(1));
  EXPECT_EQ(Revision("orders", 2).kind, Kind::kGone);
  EXPECT_EQ(Revision("orders", 3).kind, Kind::kEvent);
}

}  // namespace
}  // namespace catchup::embedded
