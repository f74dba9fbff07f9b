#include <catchup/plugin.h>

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "host/daemon/runner/tickets.h"
#include "tests/ring/ring_pair.h"

// Random histories of both ends in one process, against a model that a reader can check: a log of
// events, and for each the calls that are to fail. The host gives them in order, and after a
// failure either that one again or the next. Whatever happens, and wherever a stop cuts it short:
//
//   every event is handled, or given up by the host, exactly once and in order
//   nothing behind a failed event is called before the host has decided on that
//   each call carries the attempt and is for as many as the host said

namespace catchup {
namespace {

constexpr std::size_t kEvents = 120;

struct Planned {
  std::string data;
  int failures = 0;      // Calls for it that fail before one succeeds.
  bool give_up = false;  // After the first failure the host passes it over.
};

// How an event ended, and how often it had been called for alone or at the head of what failed.
struct Ended {
  bool handled = false;
  bool passed_over = false;
};

class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < kEvents; ++i) {
      log_.push_back({std::string(DataSize(), static_cast<char>('a' + i % 26)),
                      Chance(8) ? static_cast<int>(random_() % 3) + 1 : 0, Chance(3)});
    }
    failures_ = std::vector<int>(kEvents, 0);
    ended_ = std::vector<Ended>(kEvents);
  }

  // Spawns one runner after the other until all events have ended.
  void Run() {
    while (done_ < kEvents && !testing::Test::HasFatalFailure()) {
      Spawn();
    }
    for (std::size_t i = 0; i < kEvents; ++i) {
      ASSERT_TRUE(ended_[i].handled != ended_[i].passed_over) << i;
      ASSERT_EQ(ended_[i].passed_over, log_[i].failures > 0 && log_[i].give_up) << i;
    }
  }

  int epochs() const { return epochs_; }
  int stops() const { return stops_; }
  int large() const { return large_; }

 private:
  bool Chance(unsigned one_in) { return random_() % one_in == 0; }

  std::size_t DataSize() {
    if (Chance(60)) {
      return kMaxInlineRecord + random_() % kEventRingBytes;
    }
    return Chance(5) ? random_() % (kMaxInlineRecord / 2) : random_() % 300;
  }

  void Spawn() {
    pair_.emplace(RingPair::OverDescriptors());
    tickets_.Forget();
    given_ = done_;
    last_ticket_ = 0;
    settled_ = 0;
    alone_until_ = 0;
    waits_for_epoch_ = begun_ = false;
    while (done_ < kEvents && !testing::Test::HasFatalFailure()) {
      if (Chance(400)) {
        // What was settled when the runner ended counts; the rest comes again.
        ++stops_;
        pair_->host->RequestStop();
        HostLooks();
        return;
      }
      switch (random_() % 3) {
        case 0:
          HostGives();
          break;
        case 1:
          RunnerTakes();
          break;
        default:
          HostLooks();
      }
    }
  }

  void HostGives() {
    for (std::size_t most = random_() % 30; most > 0 && given_ < kEvents; --most) {
      const bool alone = given_ < alone_until_;
      const Ticket ticket =
          pair_->host->WriteEvent(EventWithData(log_[given_].data), Attempt(given_),
                                  alone ? CallFor::kOne : CallFor::kSeveral);
      if (ticket == 0) {
        break;
      }
      ASSERT_EQ(ticket, ++last_ticket_);
      tickets_.Give(ticket, ++given_);
    }
    if (Chance(2)) {
      pair_->host->Publish();
    }
    large_ += pair_->host->used_large_region() ? 1 : 0;
  }

  std::uint32_t Attempt(std::size_t event) const {
    return static_cast<std::uint32_t>(failures_[event]) + 1;
  }

  // As the runner's loop does it: one call for what is there, in its batch.
  void RunnerTakes() {
    RunnerEnd& ring = *pair_->runner;
    if (waits_for_epoch_) {
      // It would sleep otherwise.
      if (!begun_) {
        return;
      }
      ASSERT_TRUE(ring.AwaitEpoch());
      waits_for_epoch_ = begun_ = false;
    }
    std::vector<RecordView> batch;
    const std::size_t most = 1 + random_() % 6;
    for (auto record = ring.Peek(); record.has_value() && batch.size() < most;
         record = ring.PeekBehind(batch.back())) {
      if (!batch.empty() && (record->alone || batch.front().alone)) {
        break;
      }
      batch.push_back(*record);
    }
    ASSERT_EQ(ring.damage(), nullptr);
    if (!batch.empty()) {
      Handle(batch);
    }
  }

  void Handle(const std::vector<RecordView>& batch) {
    RunnerEnd& ring = *pair_->runner;
    ring.BeginCall(CallKind::kHandleBatch, batch.front().ticket);
    std::size_t applied = 0;
    for (; applied < batch.size(); ++applied) {
      const RecordView& record = batch[applied];
      const std::size_t event = tickets_.ItemOf(record.ticket) - 1;
      ASSERT_EQ(event, next_) << "called out of order";
      ASSERT_EQ(DataOf(record), log_[event].data);
      ASSERT_EQ(record.body->attempt, Attempt(event));
      if (failures_[event] < log_[event].failures) {
        break;
      }
      ++next_;
    }
    ring.EndCall();
    if (applied == batch.size()) {
      ring.Consume(batch.back());
      ring.Settle(batch.back().ticket);
      return;
    }
    if (applied != 0) {
      ring.Settle(batch[applied - 1].ticket);
    }
    ring.PostFailure(CallKind::kHandleBatch, CATCHUP_FAILED,
                     {batch[applied].ticket, batch.front().ticket, batch.back().ticket}, "no");
    waits_for_epoch_ = true;
  }

  void EndUpTo(Ticket settled) {
    const std::size_t event = tickets_.ItemOf(settled);
    for (; done_ < event; ++done_) {
      ASSERT_LT(done_, next_) << "settled without having been handled";
      ended_[done_].handled = true;
    }
  }

  void HostLooks() {
    const auto settled = pair_->host->PollSettled();
    ASSERT_TRUE(settled.ok()) << settled.status().message();
    ASSERT_GE(*settled, settled_);
    settled_ = *settled;
    EndUpTo(settled_);
    const auto outcome = pair_->host->PollOutcome();
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    if (outcome.value().has_value()) {
      Decide(**outcome);
    } else if (pair_->runner->stop_requested()) {
      next_ = done_;  // What was called and not settled is called again.
    }
  }

  void Decide(const Outcome& failure) {
    const std::size_t event = tickets_.ItemOf(failure.ticket) - 1;
    alone_until_ = std::max(alone_until_, tickets_.ItemOf(failure.call_last));
    EndUpTo(failure.ticket - 1);
    ASSERT_EQ(done_, event);
    ++failures_[event];
    if (log_[event].give_up) {
      ended_[event].passed_over = true;
      ++done_;
    }
    next_ = done_;
    given_ = done_;
    tickets_.Forget();
    ++epochs_;
    ASSERT_TRUE(pair_->host->BeginEpoch().ok());
    begun_ = true;
  }

  std::mt19937_64 random_;
  std::vector<Planned> log_;
  std::vector<int> failures_;  // So far, by event.
  std::vector<Ended> ended_;
  std::size_t done_ = 0;  // Events that have ended, as the host knows.
  std::size_t next_ = 0;  // The event that may be called for.

  std::optional<RingPair> pair_;
  Tickets tickets_;  // Items are events, from 1.
  std::size_t given_ = 0;
  std::size_t alone_until_ = 0;
  Ticket last_ticket_ = 0;
  Ticket settled_ = 0;
  bool waits_for_epoch_ = false;
  bool begun_ = false;

  int epochs_ = 0;
  int stops_ = 0;
  int large_ = 0;
};

TEST(RingHistoryTest, EveryEventEndsOnceAndInOrder) {
  constexpr std::uint64_t kHistories = 400;
  int epochs = 0;
  int stops = 0;
  int large = 0;
  for (std::uint64_t seed = 1; seed <= kHistories; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    ASSERT_NO_FATAL_FAILURE(history.Run());
    epochs += history.epochs();
    stops += history.stops();
    large += history.large();
  }
  EXPECT_GT(epochs, 4000);
  EXPECT_GT(stops, 20);
  EXPECT_GT(large, 100);
}

TEST(TicketsTest, AnEpochsTicketsStandForItsItemsOnly) {
  Tickets tickets;
  EXPECT_EQ(tickets.ItemOf(1), 0u);
  EXPECT_EQ(tickets.TicketOf(1), 0u);
  tickets.Give(1, 40);
  tickets.Give(2, 41);
  EXPECT_EQ(tickets.ItemOf(0), 0u);
  EXPECT_EQ(tickets.ItemOf(2), 41u);
  EXPECT_EQ(tickets.ItemOf(3), 0u);
  EXPECT_EQ(tickets.TicketOf(40), 1u);
  EXPECT_EQ(tickets.TicketOf(39), 1u);
  EXPECT_EQ(tickets.TicketOf(42), 0u);

  tickets.Forget();
  EXPECT_EQ(tickets.ItemOf(2), 0u);
  tickets.Give(3, 41);
  EXPECT_EQ(tickets.ItemOf(3), 41u);
  EXPECT_EQ(tickets.ItemOf(2), 0u);
  EXPECT_EQ(tickets.TicketOf(41), 3u);
}

// As where a letter's followers lie between the events of other streams.
TEST(TicketsTest, ItemsThatAreNotGivenHaveNoTicket) {
  Tickets tickets;
  tickets.Give(7, 40);
  tickets.Give(8, 43);
  tickets.Give(9, 44);
  tickets.Give(10, 50);
  EXPECT_EQ(tickets.ItemOf(7), 40u);
  EXPECT_EQ(tickets.ItemOf(8), 43u);
  EXPECT_EQ(tickets.ItemOf(9), 44u);
  EXPECT_EQ(tickets.ItemOf(10), 50u);
  EXPECT_EQ(tickets.ItemOf(6), 0u);
  EXPECT_EQ(tickets.ItemOf(11), 0u);
  EXPECT_EQ(tickets.TicketOf(40), 7u);
  EXPECT_EQ(tickets.TicketOf(41), 8u) << "the first one behind it";
  EXPECT_EQ(tickets.TicketOf(44), 9u);
  EXPECT_EQ(tickets.TicketOf(45), 10u);
  EXPECT_EQ(tickets.TicketOf(51), 0u);

  tickets.ForgetBefore(9);
  EXPECT_EQ(tickets.ItemOf(7), 0u);
  EXPECT_EQ(tickets.ItemOf(9), 44u);
  EXPECT_EQ(tickets.ItemOf(10), 50u);
  tickets.ForgetBefore(10);
  EXPECT_EQ(tickets.ItemOf(10), 50u) << "the last one is asked for again and again";
  tickets.Give(11, 51);
  EXPECT_EQ(tickets.ItemOf(11), 51u);
}

}  // namespace
}  // namespace catchup
