#include <catchup/plugin.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/daemon/runner/tickets.h"
#include "host/engine/engine.h"
#include "tests/ring/ring_pair.h"

// A plugin writes over everything it can reach of what it shares with the host, with values that
// look right among others, at many moments. Whatever it was: the host lives, the group stops
// because of it or nothing has changed at all, and after a clean restart every event was handled.
//
// Some events fail at first, so that there are epochs: the host gives those again, as a trial does.
//
// One process plays both sides over real rings, with the real engine between them and a store that
// is as late as a disk may be; what the plugin handled is written down apart from all of them.

namespace catchup {
namespace {

using testing::HasSubstr;

constexpr std::size_t kEvents = 60;
constexpr std::size_t kWindow = 16;
// Each fails the first time that it is called.
constexpr std::size_t kFailing[] = {7, 8, 23, 45};

Position PositionOf(Sequence event) { return {100 * event, 100 * event}; }

// What outlives a host.
struct Journal {
  std::vector<int> handled = std::vector<int>(kEvents + 1, 0);  // How often, by event from 1.
  std::optional<Position> durable;

  // The first event at or below the checkpoint that was never handled; 0 for none.
  std::size_t FirstLost() const {
    for (std::size_t event = 1; event <= kEvents; ++event) {
      if (handled[event] == 0 && durable && PositionOf(event) <= *durable) {
        return event;
      }
    }
    return 0;
  }
};

// The plugin's misdeed, in the middle of its call for the event: it has the mapping and what lay in
// it at earlier moments.
using Snapshot = std::array<std::uint64_t, sizeof(OutcomeRingHeader) / sizeof(std::uint64_t)>;
using Misdeed = std::function<void(std::size_t event, std::byte* outcomes, const Snapshot& before)>;

// One run of a host with its runner.
class Host {
 public:
  Host(Journal* journal, Misdeed misdeed)
      : journal_(*journal),
        misdeed_(std::move(misdeed)),
        pair_(RingPair::OverDescriptors()),
        engine_(Options()) {}

  // Until the group has ended. Empty, or what was wrong.
  std::string Run() {
    WriteSetup();
    Give([&](Commands* out) {
      engine_.Start({.recorded_start = {}, .checkpoint = journal_.durable}, Now(), out);
    });
    constexpr int kLongest = 5'000;
    for (int i = 0; i < kLongest && !finished_; ++i) {
      now_ += std::chrono::milliseconds(1);
      Feed();
      RunnerStep();
      // The host looks less often than the runner works.
      if (i % 3 == 0) {
        Poll();
      }
      StoreStep();
      Wake();
      if (killed_ && !exited_) {
        exited_ = true;
        Poll();
        Give([&](Commands* out) {
          engine_.RunnerExited(1, broken_ ? ExitClass::kContract : ExitClass::kClean, 0, "", Now(),
                               out);
        });
      }
    }
    return finished_ ? wrong_ : "stuck in state " + std::string(GroupStateName(engine_.state()));
  }

  GroupState state() const { return engine_.state(); }
  std::uint64_t epochs() const { return epoch_; }
  const std::string& reason() const { return engine_.reason(); }
  Snapshot words() const {
    Snapshot words;
    std::memcpy(words.data(), pair_.host->mappings().outcomes, sizeof words);
    return words;
  }

 private:
  static EngineOptions Options() {
    EngineOptions options;
    options.checkpoint_batch_size = 3;
    options.checkpoint_interval = std::chrono::milliseconds(20);
    options.window_events = kWindow;
    options.stop_on_caught_up = true;
    return options;
  }

  Tick Now() const { return {now_, 250}; }

  void WriteSetup() {
    RunnerSetup setup;
    setup.group = "scribbled";
    ASSERT_TRUE(pair_.host->WriteSetup(setup).ok());
    pair_.host->Publish();
    ASSERT_TRUE(pair_.runner->ReadSetup().ok());
    pair_.runner->PostReady(8, false, std::nullopt);
  }

  template <typename Input>
  void Give(Input input) {
    Commands commands;
    input(&commands);
    for (const Command& command : commands) {
      CarryOut(command);
    }
  }

  void CarryOut(const Command& command) {
    switch (command.kind) {
      case Command::Kind::kConnect:
        connecting_ = command.number;
        break;
      case Command::Kind::kReadEnd:
        asking_end_ = command.number;
        break;
      case Command::Kind::kSubscribe:
        call_ = command.number;
        next_ = 1;
        while (next_ <= kEvents && command.from && PositionOf(next_) <= *command.from) {
          ++next_;
        }
        break;
      case Command::Kind::kDeliver:
        deliver_until_ = command.last;
        break;
      case Command::Kind::kDrainRunner:
        pair_.host->RequestStop();
        break;
      case Command::Kind::kAbortRunner:
      case Command::Kind::kKillRunner:
        killed_ = true;
        break;
      case Command::Kind::kPersist:
        asked_ = command.from;
        break;
      case Command::Kind::kWakeAt:
        wake_at_ = command.at;
        break;
      case Command::Kind::kFinished:
        finished_ = true;
        break;
      default:
        break;
    }
  }

  // The source gives an event, and the ring gets what it has room for.
  void Feed() {
    if (connecting_ != 0) {
      const CallNumber call = std::exchange(connecting_, 0);
      Give([&](Commands* out) { engine_.ServerKnown(call, {}, Now(), out); });
    }
    if (asking_end_ != 0) {
      const CallNumber call = std::exchange(asking_end_, 0);
      Give([&](Commands* out) { engine_.EndKnown(call, PositionOf(kEvents), Now(), out); });
    }
    if (call_ != 0 && engine_.wants_frames() && next_ <= kEvents) {
      const std::size_t event = next_++;
      Give([&](Commands* out) {
        const Sequence sequence = engine_.Event(call_, PositionOf(event), 1, false, {}, Now(), out);
        event_of_.resize(sequence + 1);
        event_of_[sequence] = event;
      });
    } else if (call_ != 0 && next_ == kEvents + 1 && !caught_up_) {
      caught_up_ = true;
      Give([&](Commands* out) { engine_.CaughtUp(call_, PositionOf(kEvents), Now(), out); });
    }
    // Large ones, so that the ring is full and turns round.
    static const std::string kData(30'000, 'd');
    while (written_ < deliver_until_) {
      const Ticket ticket = pair_.host->WriteEvent(EventWithData(kData), 1);
      if (ticket == 0) {
        break;
      }
      tickets_.Give(ticket, ++written_);
    }
    pair_.host->Publish();
  }

  // As the runner's loop does it, but without waiting.
  void RunnerStep() {
    RunnerEnd& ring = *pair_.runner;
    if (killed_ || ended_) {
      return;
    }
    if (ring.stop_requested()) {
      ended_ = true;
      killed_ = true;
      ring.PostStopped();
      return;
    }
    if (waits_for_epoch_) {
      // It would sleep otherwise.
      const auto& header = *reinterpret_cast<EventRingHeader*>(pair_.host->mappings().events);
      if (header.epoch.load() == epoch_) {
        return;
      }
      ++epoch_;
      waits_for_epoch_ = !ring.AwaitEpoch();
    }
    const std::optional<RecordView> record = ring.Peek();
    if (!FoundDamage() && record.has_value()) {
      ring.BeginCall(CallKind::kHandle, record->ticket);
      const std::size_t event = event_of_.at(tickets_.ItemOf(record->ticket));
      const bool fails =
          std::find(std::begin(kFailing), std::end(kFailing), event) != std::end(kFailing) &&
          failed_.insert(event).second;
      if (!fails) {
        ++journal_.handled[event];
      }
      before_.push_back(words());
      if (misdeed_) {
        misdeed_(event, pair_.host->mappings().outcomes, before_[before_.size() / 2]);
      }
      ring.Log(1, "handled " + std::to_string(event));
      ring.EndCall();
      if (FoundDamage()) {
        return;
      }
      if (fails) {
        const FailedEvents failed = {record->ticket, record->ticket, record->ticket};
        ring.PostFailure(CallKind::kHandle, CATCHUP_RETRY, failed, "not yet");
        waits_for_epoch_ = true;
      } else {
        ring.Consume(*record);
        ring.Settle(record->ticket);
      }
    }
  }

  bool FoundDamage() {
    if (pair_.runner->damage() == nullptr) {
      return false;
    }
    if (!ended_) {
      ended_ = true;
      pair_.runner->PostFailure(CallKind::kNone, kRunnerContract, {}, pair_.runner->damage());
    }
    return true;
  }

  void Poll() {
    if (broken_) {
      return;
    }
    const auto settled = pair_.host->PollSettled();
    if (!settled.ok()) {
      return Break(settled.status().message());
    }
    if (engine_.state() != GroupState::kStarting || settled.value() != 0) {
      Settle(settled.value());
    }
    while (!broken_) {
      const auto outcome = pair_.host->PollOutcome();
      if (!outcome.ok()) {
        return Break(outcome.status().message());
      }
      if (!outcome.value().has_value()) {
        return;
      }
      if (outcome.value()->kind == OutcomeKind::kReady) {
        Give([&](Commands* out) { engine_.RunnerReady(1, {}, Now(), out); });
      } else if (outcome.value()->kind == OutcomeKind::kFailure) {
        if (outcome.value()->status == kRunnerContract) {
          return Break(outcome.value()->text);
        }
        GiveAgain(outcome.value()->ticket);
      }
    }
  }

  void Settle(Ticket ticket) {
    settled_ = std::max(settled_, tickets_.ItemOf(ticket));
    Give([&](Commands* out) { engine_.Settled(1, settled_, Now(), out); });
  }

  void GiveAgain(Ticket failed) {
    Settle(failed - 1);
    written_ = tickets_.ItemOf(failed) - 1;
    tickets_.Forget();
    if (const Status begun = pair_.host->BeginEpoch(); !begun.ok()) {
      Break(begun.message());
    }
  }

  void Break(const std::string& text) {
    broken_ = true;
    Give([&](Commands* out) { engine_.ContractBroken(1, text, Now(), out); });
  }

  // A write begins a while after it was asked for, and ends a while after that.
  void StoreStep() {
    if (writing_ && --write_steps_ == 0) {
      const Position position = *std::exchange(writing_, std::nullopt);
      journal_.durable = position;
      if (journal_.FirstLost() != 0 && wrong_.empty()) {
        wrong_ = "event " + std::to_string(journal_.FirstLost()) + " lies below the checkpoint";
      }
      Give([&](Commands* out) { engine_.CheckpointDurable(position, {}, Now(), out); });
    } else if (asked_ && !writing_) {
      const Position position = *std::exchange(asked_, std::nullopt);
      if (!engine_.may_persist()) {
        return Give([&](Commands* out) { engine_.CheckpointNotBegun(Now(), out); });
      }
      writing_ = position;
      write_steps_ = 2;
    }
  }

  void Wake() {
    if (wake_at_ && now_ >= *wake_at_) {
      wake_at_.reset();
      Give([&](Commands* out) { engine_.Woke(Now(), out); });
    }
  }

  Journal& journal_;
  Misdeed misdeed_;
  RingPair pair_;
  Engine engine_;
  std::chrono::nanoseconds now_ = std::chrono::hours(1);
  std::optional<std::chrono::nanoseconds> wake_at_;
  std::vector<std::size_t> event_of_;  // By sequence.
  std::vector<Snapshot> before_;
  std::string wrong_;

  CallNumber connecting_ = 0;
  CallNumber asking_end_ = 0;
  CallNumber call_ = 0;
  std::size_t next_ = 1;
  Sequence deliver_until_ = 0;
  Sequence written_ = 0;
  Sequence settled_ = 0;
  Tickets tickets_;
  std::set<std::size_t> failed_;
  std::uint64_t epoch_ = kFirstEpoch;
  bool waits_for_epoch_ = false;
  std::optional<Position> asked_;
  std::optional<Position> writing_;
  int write_steps_ = 0;
  bool caught_up_ = false;
  bool ended_ = false;
  bool killed_ = false;
  bool exited_ = false;
  bool broken_ = false;
  bool finished_ = false;
};

struct Tally {
  int broken = 0;
  int harmless = 0;
};

// A host whose plugin does this once, then a host whose plugin is mended.
void RunTwice(const Misdeed& misdeed, Tally* tally) {
  Journal journal;
  {
    Host host(&journal, misdeed);
    const std::string wrong = host.Run();
    ASSERT_EQ(wrong, "");
    if (host.state() == GroupState::kFailed) {
      ++tally->broken;
      ASSERT_THAT(host.reason(), HasSubstr("contract"));
    } else {
      ++tally->harmless;
      ASSERT_EQ(host.state(), GroupState::kStopped);
    }
    ASSERT_EQ(journal.FirstLost(), 0u);
  }
  Host again(&journal, nullptr);
  ASSERT_EQ(again.Run(), "");
  ASSERT_EQ(again.state(), GroupState::kStopped) << again.reason();
  ASSERT_EQ(journal.durable, PositionOf(kEvents));
  for (std::size_t event = 1; event <= kEvents; ++event) {
    ASSERT_GT(journal.handled[event], 0) << "event " << event << " is lost";
  }
}

void Put(std::byte* outcomes, std::size_t word, std::uint64_t value) {
  std::memcpy(outcomes + word * sizeof value, &value, sizeof value);
}

// Early, in the middle, where the ring has turned round, and at the last event.
constexpr std::size_t kMoments[] = {1, 7, 23, 40, kEvents};
constexpr std::size_t kWords = std::tuple_size_v<Snapshot>;

TEST(RingScribbleTest, AGroupThatNobodyDisturbsHandlesEveryEventOnce) {
  Journal journal;
  Host host(&journal, nullptr);
  ASSERT_EQ(host.Run(), "");
  ASSERT_EQ(host.state(), GroupState::kStopped) << host.reason();
  EXPECT_EQ(journal.durable, PositionOf(kEvents));
  EXPECT_EQ(std::count(journal.handled.begin() + 1, journal.handled.end(), 1),
            static_cast<std::ptrdiff_t>(kEvents));
  EXPECT_EQ(host.epochs(), kFirstEpoch + std::size(kFailing));
}

// Numbers that a program has lying about: among them every ticket there is, offsets of the ring,
// and addresses.
TEST(RingScribbleTest, PlausibleNumbersOverEveryWord) {
  std::vector<std::uint64_t> values = {0,
                                       ~std::uint64_t{0},
                                       4097,
                                       kEventRingBytes,
                                       kEventRingBytes / kRecordAlign,
                                       0x7f0000001000,
                                       0x00007f0000000064,
                                       0xffffffff,
                                       std::uint64_t{1} << 63};
  for (std::uint64_t number = 1; number <= kEvents + 2; number += 3) {
    values.push_back(number);
  }
  Tally tally;
  for (std::size_t word = 0; word < kWords; ++word) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      SCOPED_TRACE("word " + std::to_string(word) + ", value " + std::to_string(values[i]));
      const std::size_t moment = kMoments[(word + i) % std::size(kMoments)];
      ASSERT_NO_FATAL_FAILURE(RunTwice(
          [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
            if (event == moment) {
              Put(outcomes, word, values[i]);
            }
          },
          &tally));
    }
  }
  // Eight words are believed; the rest of the header is never read.
  EXPECT_GE(tally.broken, static_cast<int>(8 * values.size()));
  EXPECT_GT(tally.harmless, 0);
}

// A word has check bits of its own, so that another one's is as foreign as any number.
TEST(RingScribbleTest, EveryWordOverEveryOther) {
  Tally tally;
  for (std::size_t to = 0; to < kWords; ++to) {
    for (std::size_t from = 0; from < kWords; ++from) {
      SCOPED_TRACE("word " + std::to_string(from) + " over word " + std::to_string(to));
      const std::size_t moment = kMoments[(to + from) % std::size(kMoments)];
      ASSERT_NO_FATAL_FAILURE(RunTwice(
          [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
            if (event == moment) {
              std::memcpy(outcomes + to * 8, outcomes + from * 8, 8);
            }
          },
          &tally));
    }
  }
  EXPECT_GE(tally.broken, static_cast<int>(8 * (kWords - 1)));
}

// What a word held earlier was right then: found by its going back.
TEST(RingScribbleTest, WhatLayThereEarlier) {
  Tally words;
  Tally whole;
  for (const std::size_t moment : kMoments) {
    for (std::size_t word = 0; word < kWords; ++word) {
      SCOPED_TRACE("word " + std::to_string(word) + " at event " + std::to_string(moment));
      ASSERT_NO_FATAL_FAILURE(RunTwice(
          [&](std::size_t event, std::byte* outcomes, const Snapshot& before) {
            if (event == moment) {
              Put(outcomes, word, before[word]);
            }
          },
          &words));
    }
    ASSERT_NO_FATAL_FAILURE(RunTwice(
        [&](std::size_t event, std::byte* outcomes, const Snapshot& before) {
          if (event == moment) {
            std::memcpy(outcomes, before.data(), sizeof before);
          }
        },
        &whole));
  }
  // Settled, read, posted, and the two of the call; at the first event nothing lay there before.
  EXPECT_GE(words.broken, static_cast<int>(5 * (std::size(kMoments) - 1)));
  EXPECT_EQ(whole.broken, static_cast<int>(std::size(kMoments) - 1));
}

TEST(RingScribbleTest, TheSameWordOfAnotherRunner) {
  Tally tally;
  Journal other_journal;
  Snapshot others{};
  Host other(&other_journal, [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
    if (event == 30) {
      std::memcpy(others.data(), outcomes, sizeof others);
    }
  });
  ASSERT_EQ(other.Run(), "");
  for (std::size_t word = 0; word < kWords; ++word) {
    SCOPED_TRACE(word);
    ASSERT_NO_FATAL_FAILURE(RunTwice(
        [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
          if (event == 30) {
            Put(outcomes, word, others[word]);
          }
        },
        &tally));
  }
  EXPECT_GE(tally.broken, 8);
}

TEST(RingScribbleTest, EveryBitOfEveryWord) {
  Tally tally;
  for (std::size_t bit = 0; bit < kWords * 64; ++bit) {
    SCOPED_TRACE(bit);
    ASSERT_NO_FATAL_FAILURE(RunTwice(
        [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
          if (event == kMoments[bit % std::size(kMoments)]) {
            outcomes[bit / 8] ^= std::byte{1} << (bit % 8);
          }
        },
        &tally));
  }
  EXPECT_GE(tally.broken, 8 * 64);
}

// Every byte of the records that the host has not read yet, and some that are nobody's.
TEST(RingScribbleTest, EveryByteOfTheRecords) {
  Tally tally;
  constexpr std::size_t kBytes = 400;
  for (std::size_t byte = 0; byte < kBytes; ++byte) {
    SCOPED_TRACE(byte);
    ASSERT_NO_FATAL_FAILURE(RunTwice(
        [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
          if (event == 2) {
            outcomes[kRingHeaderBytes + byte] ^=
                std::byte{static_cast<unsigned char>(1 + byte % 255)};
          }
        },
        &tally));
  }
  EXPECT_GT(tally.broken, 0);
  EXPECT_GT(tally.harmless, 0);
}

// What the issue of a lost event looks like: small numbers, again and again, over one word.
TEST(RingScribbleTest, SmallNumbersAgainAndAgain) {
  Tally tally;
  for (std::size_t word = 0; word < kWords; ++word) {
    SCOPED_TRACE(word);
    ASSERT_NO_FATAL_FAILURE(RunTwice(
        [&](std::size_t event, std::byte* outcomes, const Snapshot&) {
          for (std::uint64_t number = 0; number <= kEvents; ++number) {
            Put(outcomes, word, number);
          }
          Put(outcomes, word, event + 3);
        },
        &tally));
  }
  EXPECT_GE(tally.broken, 8);
}

}  // namespace
}  // namespace catchup
