#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <iostream>
#include <memory>
#include <random>

#include "tests/e2e/harness.h"
#include "tests/e2e/shop.h"

// A host, or its runner, that is killed in the middle of its work loses nothing.

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr int kKills = 20;

// Long enough that each kill finds work in progress, short enough for every CI run.
constexpr std::size_t kEvents = 100'000;

// What may come again after a kill: events handled but not yet durable, the defaults of
// checkpoint_batch_size and window.events.
constexpr std::size_t kDuplicateBound = 10 + 4096;

std::uintmax_t SizeOf(const fs::path& file) {
  std::error_code absent;
  const std::uintmax_t size = fs::file_size(file, absent);
  return absent ? 0 : size;
}

class KillTest : public testing::Test {
 protected:
  KillTest() : random_(TestSeed()) {}

  void Prepare(std::size_t events) {
    shop_ = MakeShop(&random_, events);
    site_.Append(shop_.lines);
    site_.Configure(R"(
[groups.jsonl]
plugin = "jsonl.so"
prefixes = [""]
config = { file = "out.jsonl" }
[groups.order-totals]
plugin = "order_totals.so"
prefixes = ["order-"]
config = { database = "totals.db" }
[groups.event-counter]
plugin = "event_counter.so"
prefixes = [""]
config = { file = "counts.tsv" }
)");
    lines_ = site_.data("jsonl", "out.jsonl");
    totals_ = site_.data("order-totals", "totals.db");
  }

  // What order_totals has committed.
  std::uint64_t TotalsPosition() {
    const auto rows = Database(totals_).Query("SELECT commit_position FROM catchup_positions");
    return rows.empty() || rows[0][0].empty() ? 0 : std::stoull(rows[0][0]);
  }

  // Every group's runner of this host, once they have started.
  std::vector<ForeignProcess> Runners(const HostLog& log) {
    std::vector<ForeignProcess> runners;
    for (const JsonObject& line : log.With("Runner started")) {
      runners.emplace_back(static_cast<pid_t>(std::stoi(line.at("pid"))));
    }
    return runners;
  }

  // Rule H4: when a runner is started, the ones of the host before are gone.
  void ExpectStartsAfter(Process* host, const std::vector<ForeignProcess>& earlier) {
    for (const char* group : {"jsonl", "order-totals", "event-counter"}) {
      host->WaitForLog("Runner started", group);
    }
    for (const ForeignProcess& runner : earlier) {
      EXPECT_TRUE(runner.Gone()) << "a runner of the killed host is there beside the new ones";
    }
  }

  void ExpectTotals() { EXPECT_EQ(ReadTotals(totals_), shop_.Customers()); }

  // Counted at least once, and not more often than the kills explain.
  void ExpectCounts() {
    std::map<std::string, std::uint64_t> counts;
    std::uint64_t total = 0;
    for (const std::string& line : ReadLines(site_.data("event-counter", "counts.tsv"))) {
      const std::size_t tab = line.find('\t');
      total += counts[line.substr(0, tab)] = std::stoull(line.substr(tab + 1));
    }
    ASSERT_EQ(counts.size(), shop_.types.size());
    for (const auto& [type, count] : shop_.types) {
      EXPECT_GE(counts[type], count) << type;
    }
    EXPECT_LE(total, shop_.names.size() + kKills * kDuplicateBound);
  }

  // A second look at the log, by a host that knows nothing of the first.
  void ExpectLogWhole() {
    site_.Configure(JsonlGroup("witness"), "embedded:log", "second");
    const Finished run = site_.RunUntilCaughtUp();
    ASSERT_EQ(run.exit, 0) << run.err;
    const auto lines = ReadWritten(site_.file("second/groups/witness/data/out.jsonl"));
    EXPECT_EQ(lines.size(), shop_.names.size());
    EXPECT_TRUE(CheckOrder(lines, shop_).empty());
  }

  std::mt19937_64 random_;
  Shop shop_;
  Site site_;
  fs::path lines_;
  fs::path totals_;
};

// The promise that a new user can check: kill the host at any moment, twenty times, start it again,
// and the read models are those of a run without kills.
TEST_F(KillTest, TwentyKillsOfTheHostCostNoEvent) {
  Prepare(kEvents);
  // About what jsonl's file will hold: each line gains revision, id, positions and time.
  std::uintmax_t whole_bytes = 0;
  for (const std::string& line : shop_.lines) {
    whole_bytes += line.size() + 150;
  }
  // Short enough a way between two kills that the last one still finds work.
  const std::uintmax_t share = whole_bytes / (kKills + 5);
  struct Kill {
    std::uintmax_t written = 0;  // jsonl's bytes just before the kill.
    std::uint64_t position = 0;  // What order_totals had committed just before.
    std::uintmax_t written_gone =
        0;  // jsonl's bytes once its runner was gone, where that is known.
  };
  std::vector<Kill> kills;
  std::vector<ForeignProcess> earlier;
  std::uint64_t last_position = 0;
  for (int i = 0; i < kKills && !HasFailure(); ++i) {
    const auto host = site_.Start({"run", "host.toml"});
    ExpectStartsAfter(host.get(), earlier);
    earlier = Runners(host->Log());
    const std::uintmax_t from = kills.empty() ? 0 : kills.back().written;
    // Some kills fall before the first event, most into the work.
    const std::uintmax_t target = from + random_() % share;
    const std::uint64_t budget = 1 + random_() % 700'000;
    ASSERT_TRUE(WaitUntil([&] {
      return SizeOf(lines_) >= target || TotalsPosition() >= last_position + budget;
    })) << host->Errors();
    last_position = TotalsPosition();
    kills.push_back({SizeOf(lines_), last_position, 0});
    host->Signal(SIGKILL);
    ASSERT_EQ(host->Wait(), 128 + SIGKILL) << host->Errors();
    // Every other time, so that the others start while runners may still be dying.
    if (i % 2 == 0) {
      for (const ForeignProcess& runner : earlier) {
        ASSERT_TRUE(runner.WaitGone()) << "the runner outlived its host";
      }
      kills.back().written_gone = SizeOf(lines_);
    }
  }
  ASSERT_FALSE(HasFailure());
  const Finished last = site_.RunUntilCaughtUp();
  ASSERT_EQ(last.exit, 0) << last.err;

  ExpectTotals();
  ExpectCounts();
  const auto lines = ReadWritten(lines_);
  const std::uintmax_t end = SizeOf(lines_);
  const auto midway = std::count_if(kills.begin(), kills.end(), [end](const Kill& kill) {
    return kill.written > 0 && kill.written < end;
  });
  EXPECT_GE(midway, kKills * 3 / 4) << "the kills did not fall into the work";
  EXPECT_GT(TotalsPosition(), kills.back().position)
      << "order_totals was done before the last kill";

  // Each repetition begins where one kill ended the file, and none is longer than promised.
  const auto repetitions = CheckOrder(lines, shop_);
  std::size_t repeated = 0;
  for (const Repetition& repetition : repetitions) {
    EXPECT_LE(repetition.events, kDuplicateBound) << "at byte " << repetition.offset;
    repeated += repetition.events;
    const bool explained = std::any_of(kills.begin(), kills.end(), [&repetition](const Kill& kill) {
      // A last line that the kill has torn is cut off before anything is repeated.
      constexpr std::uintmax_t kLongestLine = 1000;
      if (kill.written_gone != 0) {
        return repetition.offset <= kill.written_gone &&
               repetition.offset + kLongestLine > kill.written_gone;
      }
      return repetition.offset + kLongestLine > kill.written &&
             repetition.offset <= kill.written + kDuplicateBound * kLongestLine;
    });
    EXPECT_TRUE(explained) << "repeated at byte " << repetition.offset << " without a kill there";
  }
  EXPECT_LE(repetitions.size(), kills.size());
  std::cout << lines.size() << " lines, " << repeated << " repeated after " << repetitions.size()
            << " of " << kills.size() << " kills" << std::endl;
  ExpectLogWhole();
}

// A runner's death costs one respawn: the host goes on, and so does the other group.
TEST_F(KillTest, KilledRunnersAreReplacedAndNothingIsLost) {
  Prepare(20'000);
  const auto host = site_.Start({"run", "host.toml", "--until-caught-up"});
  const std::uintmax_t share = SizeOf(site_.file("events-1.jsonl")) / 8;
  int killed = 0;
  for (int i = 0; i < 5; ++i) {
    // Only a runner that got on is replaced at once.
    const std::uintmax_t target = SizeOf(lines_) + 1 + random_() % share;
    ASSERT_TRUE(WaitUntil([&] { return SizeOf(lines_) >= target || !host->Running(); }));
    const auto runners = host->Log().With("Runner started", "jsonl");
    if (!host->Running() || runners.empty()) {
      continue;
    }
    const pid_t pid = static_cast<pid_t>(std::stoi(runners.back().at("pid")));
    const ForeignProcess runner(pid);
    if (!runner.Gone() && kill(pid, SIGKILL) == 0) {
      ++killed;
      ASSERT_TRUE(WaitUntil([&] {
        return !host->Running() ||
               host->Log().With("Runner started", "jsonl").size() > runners.size();
      })) << host->Errors();
    }
  }
  ASSERT_EQ(host->Wait(), 0) << host->Errors();

  EXPECT_GE(killed, 3) << "the group was done before its runner could be killed";
  EXPECT_EQ(host->Log().With("Runner started", "order-totals").size(), 1u);
  ExpectTotals();
  for (const Repetition& repetition : CheckOrder(ReadWritten(lines_), shop_)) {
    EXPECT_LE(repetition.events, kDuplicateBound);
  }
}

// Appending and the host that owns the log die together again and again; the writer goes on with
// its run each time, and the log holds every event once.
TEST_F(KillTest, AppendIsResumedAfterKillsOfTheLogsOwnerWithoutDuplicates) {
  shop_ = MakeShop(&random_, 20'000);
  std::string text;
  for (const std::string& line : shop_.lines) {
    text += line + '\n';
  }
  WriteFile(site_.file("events.jsonl"), text);
  site_.Configure(JsonlGroup("jsonl"));
  lines_ = site_.data("jsonl", "out.jsonl");
  std::vector<std::string> arguments = {"append", "--to", "embedded:log", "events.jsonl"};
  for (int i = 0; i < 5; ++i) {
    const auto host = site_.Start({"run", "host.toml"});
    ASSERT_TRUE(host->WaitForLog("Host started"));
    const auto append = site_.Start(arguments);
    const std::uintmax_t target = SizeOf(lines_) + random_() % (text.size() / 8);
    ASSERT_TRUE(WaitUntil([&] { return SizeOf(lines_) >= target || !append->Running(); }));
    host->Signal(SIGKILL);
    host->Wait();
    const int exit = append->Wait();
    const std::string said = append->Errors();
    EXPECT_TRUE(exit == 0 || exit == 1) << exit << said;
    if (i == 0) {
      ASSERT_EQ(said.substr(0, 4), "run ");
      arguments.insert(arguments.end(), {"--resume", said.substr(4, said.find('\n') - 4)});
    }
  }
  const Finished append = site_.Catchup(arguments);
  ASSERT_EQ(append.exit, 0) << append.err;
  const Finished run = site_.RunUntilCaughtUp();
  ASSERT_EQ(run.exit, 0) << run.err;

  CheckOrder(ReadWritten(lines_), shop_);
  ExpectLogWhole();
}

}  // namespace
}  // namespace catchup::e2e
