#include <gmock/gmock.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "host/base/build.h"
#include "tests/ring/ring_pair.h"

namespace catchup {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kFixed = sizeof(RecordHeader) + sizeof(EventRecord);

std::string Pattern(std::uint64_t size) {
  std::string bytes(size, '\0');
  std::iota(bytes.begin(), bytes.end(), '\x03');
  return bytes;
}

// Gives one event to the runner, takes it there, and settles it.
void Pass(RingPair* pair, const EventView& event) {
  const Ticket ticket = pair->host->WriteEvent(event, 1);
  ASSERT_NE(ticket, 0u);
  pair->host->Publish();
  const auto record = pair->runner->Peek();
  ASSERT_TRUE(record.has_value());
  ASSERT_EQ(record->ticket, ticket);
  ASSERT_EQ(DataOf(*record), event.data);
  pair->runner->Consume(*record);
  pair->runner->Settle(ticket);
  ASSERT_EQ(pair->host->PollSettled().value(), ticket);
}

TEST(RingTest, SetupArrivesAsItWasWritten) {
  const RingPair pair = RingPair::OverDescriptors();
  const std::vector<PluginSetting> settings = {{"database.host", SettingKind::kText, "db.example"},
                                               {"empty", SettingKind::kText, ""},
                                               {"servers", SettingKind::kList, ""},
                                               {"servers.0", SettingKind::kNumber, "1"}};
  RunnerSetup setup;
  setup.group = "order-totals";
  setup.projection = "totals";
  setup.plugin_path = "/plugins/totals.so";
  setup.config_json = R"({"empty":""})";
  setup.lane = 3;
  setup.open_files = 256;
  setup.token = 1ull << 60;
  setup.settings = &settings;

  ASSERT_TRUE(pair.host->WriteSetup(setup).ok());
  pair.host->Publish();
  const SetupView view = pair.runner->ReadSetup().value();

  EXPECT_EQ(view.group, setup.group);
  EXPECT_EQ(view.projection, setup.projection);
  EXPECT_EQ(view.plugin_path, setup.plugin_path);
  EXPECT_EQ(view.config_json, setup.config_json);
  EXPECT_EQ(view.lane, 3u);
  EXPECT_EQ(view.open_files, 256u);
  EXPECT_EQ(view.token, 1ull << 60);
  ASSERT_EQ(view.settings.size(), settings.size());
  for (std::size_t i = 0; i < settings.size(); ++i) {
    EXPECT_EQ(view.settings[i].path, settings[i].path);
    EXPECT_EQ(view.settings[i].kind, settings[i].kind);
    EXPECT_EQ(view.settings[i].text, settings[i].text);
  }
  EXPECT_TRUE(pair.host->idle());
}

TEST(RingTest, SetupWithoutSettingsHasNone) {
  const RingPair pair = RingPair::OverDescriptors();
  RunnerSetup setup;
  setup.group = "g";

  ASSERT_TRUE(pair.host->WriteSetup(setup).ok());
  pair.host->Publish();

  EXPECT_TRUE(pair.runner->ReadSetup().value().settings.empty());
}

// What lies behind the last published record is what an earlier lap left, or zeros: nobody's event.
TEST(RingTest, NothingIsSeenBehindTheSetup) {
  const RingPair pair = RingPair::OverDescriptors();
  RunnerSetup setup;
  setup.group = "g";
  ASSERT_TRUE(pair.host->WriteSetup(setup).ok());
  pair.host->Publish();
  ASSERT_TRUE(pair.runner->ReadSetup().ok());

  EXPECT_FALSE(pair.runner->Peek().has_value());
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  EXPECT_FALSE(pair.runner->Peek().has_value());
  pair.host->Publish();
  EXPECT_TRUE(pair.runner->Peek().has_value());
}

TEST(RingTest, RefusesAConfigurationLargerThanHalfTheRing) {
  const RingPair pair = RingPair::OverDescriptors();
  const std::string json(kEventRingBytes / 2, 'x');
  RunnerSetup setup;
  setup.group = "big";
  setup.config_json = json;

  const Status status = pair.host->WriteSetup(setup);

  EXPECT_EQ(status.code(), Status::Code::kExhausted);
  EXPECT_THAT(status.message(), HasSubstr("group big"));
}

TEST(RingTest, EventArrivesWithEveryField) {
  const RingPair pair = RingPair::OverDescriptors();
  EventView event;
  event.stream = "order-7";
  event.type = "order-placed";
  event.data = std::string_view("{\0}", 3);
  event.metadata = "meta";
  event.id.bytes.fill(0x5a);
  event.revision = 41;
  event.position = {1000, 999};
  event.created_ticks = -5;
  event.is_json = true;

  ASSERT_EQ(pair.host->WriteEvent(event, 4, CallFor::kOne), 1u);
  pair.host->Publish();
  const RecordView record = pair.runner->Peek().value();

  EXPECT_EQ(record.kind, RecordKind::kEvent);
  EXPECT_TRUE(record.is_json);
  EXPECT_TRUE(record.alone);
  EXPECT_EQ(record.ticket, 1u);
  EXPECT_EQ(record.body->id[15], 0x5a);
  EXPECT_EQ(record.body->revision, 41u);
  EXPECT_EQ(record.body->commit, 1000u);
  EXPECT_EQ(record.body->prepare, 999u);
  EXPECT_EQ(record.body->created_ticks, -5);
  EXPECT_EQ(record.body->attempt, 4u);
  EXPECT_EQ(std::string_view(record.bytes, 7), "order-7");
  EXPECT_EQ(std::string_view(record.bytes + 7, 12), "order-placed");
  EXPECT_EQ(std::string_view(record.bytes + 19, 4), "meta");
  EXPECT_EQ(DataOf(record), event.data);
}

TEST(RingTest, AdvanceCarriesItsPosition) {
  const RingPair pair = RingPair::OverDescriptors();

  ASSERT_TRUE(pair.host->WriteAdvance({77, 76}));
  pair.host->Publish();
  const RecordView record = pair.runner->Peek().value();

  EXPECT_EQ(record.kind, RecordKind::kAdvance);
  EXPECT_EQ(record.ticket, 1u);
  EXPECT_EQ(record.body->commit, 77u);
  EXPECT_EQ(record.body->prepare, 76u);
}

TEST(RingTest, NothingIsSeenBeforePublish) {
  const RingPair pair = RingPair::OverDescriptors();

  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  EXPECT_FALSE(pair.runner->Peek().has_value());

  pair.host->Publish();
  EXPECT_TRUE(pair.runner->Peek().has_value());
}

TEST(RingTest, PassesEventsOfEverySize) {
  RingPair pair = RingPair::OverDescriptors();
  const std::uint64_t names = EventWithData("").size();
  const std::uint64_t inline_most = kMaxInlineRecord - kFixed - names;
  const std::uint64_t most = kMaxEventBytes - names;
  const std::string bytes = Pattern(most);

  for (const std::uint64_t size :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{8}, std::uint64_t{4096},
        inline_most - 1, inline_most, inline_most + 1, kEventRingBytes, most - 1, most}) {
    SCOPED_TRACE(size);
    Pass(&pair, EventWithData(std::string_view(bytes).substr(0, size)));
  }

  EXPECT_TRUE(pair.host->used_large_region());
}

TEST(RingTest, EmptyEventOfNothingAtAllPasses) {
  RingPair pair = RingPair::OverDescriptors();
  Pass(&pair, EventView{});
  EXPECT_FALSE(pair.host->used_large_region());
}

// A record never wraps: what is left at the end is padded, and that may be less than the header of
// a record. The page behind the ring must not be touched.
TEST(RingTest, WrapsWithEveryNumberOfBytesLeft) {
  void* guard = mmap(nullptr, 1 << 22, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(guard, MAP_FAILED);
  const std::string bytes = Pattern(kMaxInlineRecord);
  for (std::uint64_t left = 0; left <= 2 * kFixed; left += kRecordAlign) {
    SCOPED_TRACE(left);
    RingPair pair = RingPair::OverDescriptors();
    EventView event;
    std::uint64_t missing = kEventRingBytes - left;
    while (missing != 0) {
      // Leaves room for one more record, unless it fills up exactly.
      std::uint64_t size = std::min<std::uint64_t>(missing, 100'000 & ~7u);
      if (missing != size && missing - size < kFixed) {
        size -= kFixed;
      }
      event.data = std::string_view(bytes).substr(0, size - kFixed);
      Pass(&pair, event);
      missing -= size;
    }
    event.data = std::string_view(bytes).substr(0, 2 * kFixed + 1);
    Pass(&pair, event);
    Pass(&pair, event);
    EXPECT_TRUE(pair.host->idle());
  }
  ASSERT_EQ(munmap(guard, 1 << 22), 0);
}

TEST(RingTest, FullRingTakesNoMoreUntilTheRunnerMovesOn) {
  const RingPair pair = RingPair::OverDescriptors();
  const std::string data = Pattern(1000);
  std::uint64_t sequence = 0;
  while (pair.host->WriteEvent(EventWithData(data), 1)) {
    ++sequence;
  }
  pair.host->Publish();
  EXPECT_GE(sequence, kEventRingBytes / (data.size() + kFixed + 40));

  const RecordView first = pair.runner->Peek().value();
  const RecordView second = pair.runner->PeekBehind(first).value();
  EXPECT_FALSE(pair.host->WriteEvent(EventWithData(data), 1));
  pair.runner->Consume(second);

  EXPECT_TRUE(pair.host->WriteEvent(EventWithData(data), 1));
}

TEST(RingTest, LargeRegionHoldsOneEventAtATime) {
  const RingPair pair = RingPair::OverDescriptors();
  const std::string data = Pattern(1 << 20);
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData(data), 1));
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("small"), 1));

  EXPECT_FALSE(pair.host->WriteEvent(EventWithData(data), 1));
  pair.host->Publish();
  const RecordView first = pair.runner->Peek().value();
  EXPECT_EQ(DataOf(first), data);
  EXPECT_EQ(DataOf(pair.runner->PeekBehind(first).value()), "small");
  EXPECT_FALSE(pair.host->WriteEvent(EventWithData(data), 1));
  pair.runner->Consume(first);

  EXPECT_TRUE(pair.host->WriteEvent(EventWithData(data), 1));
}

TEST(RingTest, OutcomesArriveInOrderWithTheirFields) {
  const RingPair pair = RingPair::OverDescriptors();
  for (Ticket ticket = 1; ticket <= 3; ++ticket) {
    ASSERT_EQ(pair.host->WriteEvent(EventWithData("x"), 1), ticket);
  }
  pair.host->Publish();

  pair.runner->PostReady(64, true, Position{10, 9});
  pair.runner->Log(2, "hello");
  pair.runner->PostFailure(CallKind::kHandleBatch, 3, {2, 1, 3}, "broken");
  pair.runner->PostStopped("called log");

  const Outcome ready = pair.host->PollOutcome().value().value();
  EXPECT_EQ(ready.kind, OutcomeKind::kReady);
  EXPECT_EQ(ready.max_events, 64u);
  EXPECT_TRUE(ready.position_mode);
  ASSERT_TRUE(ready.loaded.has_value());
  EXPECT_EQ(ready.loaded->commit, 10u);
  EXPECT_EQ(ready.loaded->prepare, 9u);
  const Outcome log = pair.host->PollOutcome().value().value();
  EXPECT_EQ(log.kind, OutcomeKind::kLog);
  EXPECT_EQ(log.level, 2);
  EXPECT_EQ(log.text, "hello");
  const Outcome failure = pair.host->PollOutcome().value().value();
  EXPECT_EQ(failure.kind, OutcomeKind::kFailure);
  EXPECT_EQ(failure.call, CallKind::kHandleBatch);
  EXPECT_EQ(failure.status, 3);
  EXPECT_EQ(failure.ticket, 2u);
  EXPECT_EQ(failure.call_first, 1u);
  EXPECT_EQ(failure.call_last, 3u);
  EXPECT_EQ(failure.text, "broken");
  const Outcome stopped = pair.host->PollOutcome().value().value();
  EXPECT_EQ(stopped.kind, OutcomeKind::kStopped);
  EXPECT_EQ(stopped.text, "called log");
  EXPECT_FALSE(pair.host->PollOutcome().value().has_value());
}

TEST(RingTest, OutcomeRingWrapsAtEveryAlignment) {
  const RingPair pair = RingPair::OverDescriptors();
  // 16 KiB at most, in steps that hit every multiple of 8.
  for (std::uint64_t i = 0; i < 4000; ++i) {
    const std::string text = Pattern(i * 37 % 500);
    pair.runner->Log(1, text);
    const auto outcome = pair.host->PollOutcome();
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    ASSERT_TRUE(outcome.value().has_value());
    ASSERT_EQ(outcome.value()->text, text);
  }
}

TEST(RingTest, DropsLogLinesThatTheHostDoesNotReadAndKeepsRoomForAFailure) {
  const RingPair pair = RingPair::OverDescriptors();
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  pair.host->Publish();
  const std::string line(2 * kMaxLogText, 'l');
  pair.runner->PostReady(1, false, std::nullopt);
  for (int i = 0; i < 100; ++i) {
    pair.runner->Log(1, line);
  }
  pair.runner->PostFailure(CallKind::kHandle, 3, {1, 1, 1}, std::string(2 * kMaxErrorText, 'e'));
  pair.runner->PostStopped(std::string(2 * kMaxBreachText, 'b'));

  std::uint64_t lines = 0;
  std::uint64_t others = 0;
  while (true) {
    const auto outcome = pair.host->PollOutcome();
    ASSERT_TRUE(outcome.ok()) << outcome.status().message();
    if (!outcome.value().has_value()) {
      break;
    }
    if (outcome.value()->kind == OutcomeKind::kLog) {
      EXPECT_EQ(outcome.value()->text.size(), kMaxLogText);
      ++lines;
    } else {
      ++others;
    }
    if (outcome.value()->kind == OutcomeKind::kFailure) {
      EXPECT_EQ(outcome.value()->text.size(), kMaxErrorText);
    } else if (outcome.value()->kind == OutcomeKind::kStopped) {
      EXPECT_EQ(outcome.value()->text.size(), kMaxBreachText);
    }
  }
  EXPECT_EQ(others, 3u);
  EXPECT_GT(lines, 0u);
  EXPECT_EQ(pair.host->log_lines_dropped(), (LinesByLevel{0, 100 - lines, 0, 0}));
}

class RingFloodTest : public testing::TestWithParam<std::uint16_t> {};

TEST_P(RingFloodTest, KeepsRoomForErrors) {
  const RingPair pair = RingPair::OverDescriptors();
  pair.runner->PostReady(1, false, std::nullopt);
  for (int i = 0; i < 10'000; ++i) {
    pair.runner->Log(GetParam(), "once more");
  }
  for (int i = 0; i < 100; ++i) {
    pair.runner->Log(3, "it broke");
  }
  int errors = 0;
  for (auto outcome = pair.host->PollOutcome(); outcome.ok() && outcome.value().has_value();
       outcome = pair.host->PollOutcome()) {
    errors += outcome.value()->kind == OutcomeKind::kLog && outcome.value()->level == 3 ? 1 : 0;
  }
  EXPECT_EQ(errors, 100);
  EXPECT_GT(pair.host->log_lines_dropped()[GetParam()], 0u);
  EXPECT_EQ(pair.host->log_lines_dropped()[3], 0u);
}

INSTANTIATE_TEST_SUITE_P(Levels, RingFloodTest, testing::Values(1, 2));

TEST(RingTest, CountsTheLinesItDropsByTheirLevel) {
  const RingPair pair = RingPair::OverDescriptors();
  LinesByLevel said{};
  for (std::uint16_t level = 0; level < kLogLevels; ++level) {
    for (int i = 0; i < 5'000 + level; ++i) {
      pair.runner->Log(level, "once more");
      ++said[level];
    }
  }
  LinesByLevel found = pair.host->log_lines_dropped();
  EXPECT_GT(*std::min_element(found.begin(), found.end()), 0u);
  for (auto outcome = pair.host->PollOutcome(); outcome.ok() && outcome.value().has_value();
       outcome = pair.host->PollOutcome()) {
    ++found[outcome.value()->level];
  }
  EXPECT_EQ(found, said);
}

TEST(RingTest, CallInProgressIsSeenByTheHost) {
  const RingPair pair = RingPair::OverDescriptors();
  ASSERT_TRUE(pair.host->WriteEvent(EventWithData("x"), 1));
  pair.host->Publish();
  EXPECT_FALSE(pair.host->call().running());

  pair.runner->BeginCall(CallKind::kHandle, 1);
  const CallInProgress during = pair.host->call();
  EXPECT_TRUE(during.running());
  EXPECT_EQ(during.kind, CallKind::kHandle);
  EXPECT_EQ(during.ticket, 1u);
  EXPECT_EQ(pair.runner->current_call_kind(), CallKind::kHandle);

  pair.runner->EndCall();
  EXPECT_FALSE(pair.host->call().running());
  EXPECT_GT(pair.host->call().number, during.number);
  // A crash between two calls must not be blamed on the one before.
  EXPECT_EQ(pair.runner->current_call_kind(), CallKind::kNone);
  EXPECT_EQ(pair.runner->current_ticket(), 0u);

  // A call that is made for no event has none, whatever the one before had.
  pair.runner->BeginCall(CallKind::kStop, 0);
  EXPECT_EQ(pair.host->call().kind, CallKind::kStop);
  EXPECT_EQ(pair.host->call().ticket, 0u);
  EXPECT_EQ(pair.runner->current_ticket(), 0u);
}

TEST(RingTest, RunnerRefusesARingOfAnotherLayout) {
  const auto host = std::move(HostEnd::Create("test")).value();
  auto* header = reinterpret_cast<EventRingHeader*>(host->mappings().events);
  header->layout = kRingLayout + 1;
  const HostEnd::Descriptors fds = host->descriptors();

  const auto runner = RunnerEnd::Open(fds.event_ring, fds.outcome_ring, fds.large_region,
                                      fds.runner_wake, fds.host_wake);

  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.status().code(), Status::Code::kIncompatible);
}

// As after an upgrade that replaced one of the two files.
TEST(RingTest, RunnerRefusesAHostOfAnotherBuildAndNamesBoth) {
  const auto host = std::move(HostEnd::Create("test")).value();
  auto* header = reinterpret_cast<EventRingHeader*>(host->mappings().events);
  std::strcpy(header->build_id, "0.0.9 abcdef");
  const HostEnd::Descriptors fds = host->descriptors();

  const auto runner = RunnerEnd::Open(fds.event_ring, fds.outcome_ring, fds.large_region,
                                      fds.runner_wake, fds.host_wake);

  ASSERT_FALSE(runner.ok());
  EXPECT_EQ(runner.status().code(), Status::Code::kIncompatible);
  EXPECT_EQ(runner.status().message(), "the host is build 0.0.9 abcdef, this runner is " +
                                           std::string(BuildId()) +
                                           "; host and runner must come from one installation");
}

}  // namespace
}  // namespace catchup
