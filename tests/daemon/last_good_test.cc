// Where a log that is served for real and what a group has handled part (protocol notes 3.6).
#include "host/daemon/source/last_good.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/source/client/kurrent_source.h"
#include "tests/source/client/frames.h"
#include "tests/source/embedded/served_log.h"

namespace catchup {
namespace {

using testing::HasSubstr;

namespace wire = event_store::client::streams;

class LastGoodTest : public embedded::ServedLogTest {
 protected:
  void SetUp() override {
    ServedLogTest::SetUp();
    source_ = *OpenKurrentSource(To(server_->address()));
  }

  // Appends an event, which a group then handles.
  Witness Handle(const std::string& stream) {
    const Events event = Some(1);
    const std::uint64_t at = client_->MustAppend(stream, event);
    return {{at, at}, event[0].id, revisions_[stream]++, stream};
  }
  // The same event with the id of another.
  static Witness Elsewhere(Witness witness) {
    witness.event_id = RandomUuid();
    return witness;
  }

  LastGoodAnswer Find(const std::vector<Witness>& newest_first) {
    std::promise<LastGoodAnswer> good;
    FindLastGood(source_.get(), newest_first, [&](const auto& found) { good.set_value(found); });
    return good.get_future().get();
  }
  // Where it lies; none: there is none.
  std::optional<Position> PlaceFound(const std::vector<Witness>& newest_first) {
    const auto good = Find(newest_first);
    EXPECT_TRUE(good.ok()) << good.end().text;
    return good.ok() && good->event ? std::optional(good->event->position) : std::nullopt;
  }

  std::unique_ptr<Source> source_;
  std::map<std::string, std::uint64_t> revisions_;
};

TEST_F(LastGoodTest, OfAnUnchangedLogItIsTheNewest) {
  const Witness older = Handle("orders");
  const Witness newer = Handle("orders");
  EXPECT_EQ(PlaceFound({newer, older}), newer.position);
}

TEST_F(LastGoodTest, OneInWhosePlaceAnotherEventLiesIsPassedOver) {
  const Witness older = Handle("orders");
  const Witness newer = Handle("orders");
  EXPECT_EQ(PlaceFound({Elsewhere(newer), older}), older.position);
}

TEST_F(LastGoodTest, OneWithinARecordOrBehindTheEndIsPassedOver) {
  const Witness older = Handle("orders");
  Witness within = Handle("orders");
  within.position.commit += 1;
  within.position.prepare += 1;
  Witness behind = Elsewhere(Handle("orders"));
  behind.position = {behind.position.commit + 10'000, behind.position.commit + 10'000};
  EXPECT_EQ(PlaceFound({behind, within, older}), older.position);
}

// As of one that is scavenged: its place is one, and nothing is shown there.
TEST_F(LastGoodTest, OneThatIsNotAtItsPlaceIsLookedForInItsStream) {
  Witness handled = Handle("orders");
  wire::AppendResp reply;
  ASSERT_TRUE(client_->Append("nothing", {}, &reply).ok());
  handled.position = {reply.success().position().commit_position(),
                      reply.success().position().commit_position()};
  Handle("orders");
  EXPECT_EQ(PlaceFound({handled}), handled.position);
  EXPECT_EQ(PlaceFound({Elsewhere(handled)}), std::nullopt);
  handled.stream.clear();
  EXPECT_EQ(PlaceFound({handled}), std::nullopt);
}

TEST_F(LastGoodTest, WhatTheNewestIsContradictedByIsTold) {
  const Witness older = Handle("orders");
  const Witness newer = Handle("orders");
  EXPECT_EQ(Find({newer, Elsewhere(older)})->refuted, "");
  const Witness other = Elsewhere(newer);
  EXPECT_EQ(Find({other, Elsewhere(older)})->refuted,
            "event " + FormatUuid(other.event_id) + " lay at " + FormatPosition(other.position) +
                ", and in this log event " + FormatUuid(newer.event_id) + " lies at " +
                FormatPosition(newer.position));
}

TEST_F(LastGoodTest, WhereNoneIsLeftThereIsNone) {
  const Witness older = Handle("orders");
  const Witness newer = Handle("orders");
  EXPECT_EQ(PlaceFound({Elsewhere(newer), Elsewhere(older)}), std::nullopt);
  EXPECT_EQ(PlaceFound({}), std::nullopt);
}

TEST_F(LastGoodTest, AServerThatDoesNotAnswerIsNamed) {
  const Witness handled = Handle("orders");
  server_->Shutdown();
  const auto good = Find({handled});
  ASSERT_FALSE(good.ok());
  EXPECT_THAT(good.end().text, HasSubstr(std::string(source_->address())));
}

}  // namespace
}  // namespace catchup
