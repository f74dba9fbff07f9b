#include "host/daemon/dispatch/delivery_window.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace catchup {
namespace {

class TextFrame final : public EventFrame {
 public:
  TextFrame(std::uint64_t commit, std::string name) : stream(std::move(name)) {
    event.position = {commit, commit};
    event.revision = commit;
    event.stream = stream;
  }
  const std::string stream;
};

std::unique_ptr<EventFrame> Frame(std::uint64_t commit, const std::string& stream = "s") {
  return std::make_unique<TextFrame>(commit, stream);
}

// What goes to the ring now, at most `room` slots.
void Deliver(DeliveryWindow* window, Sequence first, Sequence last) {
  Command command;
  command.kind = Command::Kind::kDeliver;
  command.first = first;
  command.last = last;
  command.number = 1;
  window->Deliver(command);
}

std::vector<Sequence> Fill(DeliveryWindow* window, std::size_t room = 100) {
  std::vector<Sequence> written;
  while (written.size() < room && window->Next().has_value()) {
    written.push_back(window->Next()->sequence);
    window->Wrote();
  }
  return written;
}

DeliveryWindow WithThree() {
  DeliveryWindow window;
  for (Sequence at = 1; at <= 3; ++at) {
    window.Add(at, Frame(at * 10));
  }
  return window;
}

TEST(DeliveryWindowTest, GivesToTheRingOnlyWhatTheEngineDelivered) {
  DeliveryWindow window = WithThree();
  EXPECT_TRUE(Fill(&window).empty());

  Deliver(&window, 1, 2);

  EXPECT_EQ(Fill(&window), (std::vector<Sequence>{1, 2}));
  Deliver(&window, 3, 3);
  EXPECT_EQ(Fill(&window), (std::vector<Sequence>{3}));
}

TEST(DeliveryWindowTest, GoesOnWhereTheRingWasFull) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 3);

  EXPECT_EQ(Fill(&window, 1), (std::vector<Sequence>{1}));
  EXPECT_EQ(Fill(&window), (std::vector<Sequence>{2, 3}));
}

// What had not been settled is the next runner's, from the event on that the engine names.
TEST(DeliveryWindowTest, GivesANewRunnerWhatTheEngineDeliversToIt) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 3);
  Fill(&window);
  window.Release(1);

  window.BeginRunner();
  EXPECT_TRUE(Fill(&window).empty());
  Deliver(&window, 2, 3);

  EXPECT_EQ(Fill(&window), (std::vector<Sequence>{2, 3}));
}

// After a failure the ring begins anew, and with it what it was to wake the host at.
TEST(DeliveryWindowTest, GivesAgainWhatWasTakenBackAndAsksForItsWakeUpAnew) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 3);
  Fill(&window);
  EXPECT_TRUE(window.WakeAt(true).has_value());

  window.TakeBack();
  EXPECT_TRUE(Fill(&window).empty());
  EXPECT_FALSE(window.WakeAt(true).has_value());
  Deliver(&window, 1, 1);

  EXPECT_EQ(Fill(&window), (std::vector<Sequence>{1}));
  EXPECT_EQ(window.WakeAt(true), 1u);
}

TEST(DeliveryWindowTest, MakesTheSlotOfAnAdvanceItself) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 3);
  Deliver(&window, 4, 4);
  Fill(&window, 3);

  ASSERT_TRUE(window.Next().has_value());
  EXPECT_EQ(window.Next()->sequence, 4u);
  EXPECT_EQ(window.Next()->frame, nullptr);
  EXPECT_EQ(window.newest(), 4u);
}

TEST(DeliveryWindowTest, KeepsAnEventUntilItIsReleased) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 3);

  window.Release(2);

  EXPECT_EQ(window.Find(2), nullptr);
  ASSERT_NE(window.Find(3), nullptr);
  EXPECT_EQ(window.Find(3)->event.position, (Position{30, 30}));
  EXPECT_EQ(window.Find(4), nullptr);
  EXPECT_EQ(window.Find(0), nullptr);
  window.Release(3);
  EXPECT_TRUE(window.empty());
  EXPECT_EQ(window.Find(3), nullptr);
}

// The group went back: what was received and never handed out is let go.
TEST(DeliveryWindowTest, SkipsWhatIsReleasedBeforeItWasWritten) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 1);
  Fill(&window);
  window.Release(3);
  window.Add(4, Frame(20));

  Deliver(&window, 4, 4);

  EXPECT_EQ(Fill(&window), (std::vector<Sequence>{4}));
}

TEST(DeliveryWindowTest, RemembersTheLastEventReleasedWithItsOwnStream) {
  DeliveryWindow window;
  window.Add(1, Frame(10, "first"));
  window.Add(2, Frame(20, "second"));
  Deliver(&window, 1, 2);
  Deliver(&window, 3, 3);  // An advance.

  window.Release(1);
  auto released = window.ReleasedAt(Position{10, 10});
  ASSERT_TRUE(released.has_value());
  EXPECT_EQ(released->stream, "first");
  window.Release(3);

  released = window.ReleasedAt(Position{20, 20});
  ASSERT_TRUE(released.has_value());
  EXPECT_EQ(released->position, (Position{20, 20}));
  EXPECT_EQ(released->revision, 20u);
  EXPECT_EQ(released->stream, "second");
}

// What was let go because the group went back lies behind the last event handled.
TEST(DeliveryWindowTest, KnowsTheLastEventReleasedOnlyWhereItIsToLie) {
  DeliveryWindow window;
  EXPECT_FALSE(window.ReleasedAt(std::nullopt).has_value());
  window.Add(1, Frame(10));
  window.Add(2, Frame(20));
  window.Release(2);
  EXPECT_FALSE(window.ReleasedAt(Position{10, 10}).has_value());
  EXPECT_FALSE(window.ReleasedAt(std::nullopt).has_value());
}

TEST(DeliveryWindowTest, WantsNoWakeUpWhileNothingWaits) {
  DeliveryWindow window = WithThree();
  Deliver(&window, 1, 3);
  Fill(&window);

  EXPECT_EQ(window.WakeAt(false), std::nullopt);
}

TEST(DeliveryWindowTest, AsksOnceToBeWokenHalfWayThroughWhatTheRunnerHas) {
  DeliveryWindow window;
  for (Sequence at = 1; at <= 10; ++at) {
    window.Add(at, Frame(at));
  }
  Deliver(&window, 1, 10);
  Fill(&window, 8);

  EXPECT_EQ(window.WakeAt(false), std::optional<Sequence>(4));  // Two found no room.
  EXPECT_EQ(window.WakeAt(true), std::nullopt);
  window.Release(4);
  Fill(&window);
  EXPECT_EQ(window.WakeAt(true), std::optional<Sequence>(7));  // The source waits.
}

TEST(DeliveryWindowTest, AsksNobodyWhoHasNothing) {
  DeliveryWindow window = WithThree();
  window.BeginRunner();
  EXPECT_EQ(window.WakeAt(true), std::nullopt);

  Deliver(&window, 1, 3);
  EXPECT_EQ(window.WakeAt(true), std::nullopt);  // Nothing is written yet.
}

}  // namespace
}  // namespace catchup
