#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/dev_server.h"
#include "tests/e2e/harness.h"
#include "tests/e2e/postgres_server.h"

// A plugin whose database fails in earnest while events flow, and that says of it only what libpq
// says. Nobody gives a command; in the end each event is in the table once and in order, and no
// letter is left.

namespace catchup::e2e {
namespace {

using testing::HasSubstr;

// With it set, the outages last a minute and all settings are the defaults.
bool Long() { return std::getenv("CATCHUP_TEST_LONG") != nullptr; }

constexpr std::chrono::seconds kLongOutage{60};
// A breaker's longest open time, and what was held back meanwhile.
constexpr std::chrono::seconds kLongPatience{180};

std::chrono::milliseconds Patience() { return Long() ? kLongPatience : kPatience; }

constexpr char kShortWaits[] =
    "retry_delay = \"100ms\"\nretry_max_delay = \"200ms\"\n"
    "breaker = { open = \"200ms\", max_open = \"1s\" }\n";

class PostgresTest : public testing::Test {
 protected:
  PostgresTest() : random_(TestSeed()) {}

  void SetUp() override {
    std::string why = PostgresServer::WhyNot();
#ifndef CATCHUP_HAS_LIBPQ
    why = "built without libpq, wanted Debian's package libpq-dev";
#endif
    if (!why.empty() && std::getenv("CATCHUP_NEEDS_POSTGRESQL") != nullptr) {
      FAIL() << why;
    }
    if (!why.empty()) {
      GTEST_SKIP() << why;
    }
    // So that events can be appended while the host is killed.
    log_.Serve();
    server_.emplace();
    server_->Ask("CREATE TABLE totals(stream text PRIMARY KEY, revision bigint, total bigint)");
    server_->Ask(
        "CREATE TABLE places(name text PRIMARY KEY, token bigint, commit text, prepare text)");
    server_->Ask("GRANT ALL ON totals, places TO plugin");
  }

  void Configure(const std::string& projection, const std::string& config = {},
                 const std::string& keys = {}, const std::string& state = "state") {
    site_.Configure("[groups.totals]\nplugin = \"pg_totals.so\"\nprojection = \"" + projection +
                        "\"\nprefixes = [\"\"]\n" + (Long() ? "" : kShortWaits) + keys +
                        "[groups.totals.config]\nconninfo = \"" + server_->conninfo() + "\"\n" +
                        config + JsonlGroup("other"),
                    "embedded:log", state);
  }

  // Appends events. Every fifth is of a type that the plugin ignores, in streams of their own.
  void Feed(int events) { EXPECT_EQ(StartFeed(events)->Wait(), 0); }
  std::unique_ptr<Process> StartFeed(int events) {
    constexpr unsigned kStreams = 20;
    std::string lines;
    for (int i = 0; i < events; ++i) {
      const std::string number = std::to_string(random_() % kStreams);
      const auto n = static_cast<std::int64_t>(random_() % 1000);
      const bool ignored = random_() % 5 == 0;
      const std::string stream = (ignored ? "n-" : "s-") + number;
      if (!ignored) {
        Row& row = rows_[stream];
        ++row.revision;
        row.total += n;
      }
      lines +=
          EventLine(stream, ignored ? "noted" : "counted", "{\"n\":" + std::to_string(n) + "}") +
          "\n";
      ++fed_;
    }
    const std::string file = "events-" + std::to_string(fed_) + ".jsonl";
    WriteFile(site_.file(file), lines);
    return site_.Start({"append", "--to", "embedded:log", file});
  }

  // Does that to the server while events flow, and lets more come when it is done.
  void Strike(const std::function<void()>& blow) {
    const auto before = Table();
    const auto feed = StartFeed(2'000);
    EXPECT_TRUE(WaitUntil([&] { return Table() != before; })) << host_->Errors();
    blow();
    EXPECT_EQ(feed->Wait(), 0);
    Feed(500);
  }

  std::vector<std::string> Table() {
    return server_->Ask("SELECT stream, revision, total FROM totals ORDER BY stream");
  }
  std::vector<std::string> Wanted() const {
    std::vector<std::string> rows;
    for (const auto& [stream, row] : rows_) {
      rows.push_back(stream + "|" + std::to_string(row.revision) + "|" + std::to_string(row.total));
    }
    return rows;
  }
  bool WaitExact() {
    return WaitUntil([this] { return Table() == Wanted(); }, Patience());
  }
  void Begin() {
    Run();
    Feed(300);
    EXPECT_TRUE(WaitExact()) << host_->Errors();
  }
  // How long an outage lasts beyond the moment in which it is felt.
  static void Last() {
    if (Long()) {
      std::this_thread::sleep_for(kLongOutage);
    }
  }
  void Run() { host_ = site_.Start({"run", "host.toml"}); }

  // How often a call failed with a text that has one of `words` in it.
  std::size_t Failures(const std::vector<std::string>& words) const {
    const auto lines = host_->Log().With("Call failed", "totals");
    return static_cast<std::size_t>(
        std::count_if(lines.begin(), lines.end(), [&](const auto& line) {
          return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
            return line.at("reason").find(word) != std::string::npos;
          });
        }));
  }
  // The trouble has reached the plugin, which said one of these.
  void ExpectFelt(const std::vector<std::string>& words) {
    EXPECT_TRUE(WaitUntil([&] { return Failures(words) > 0; }, Patience())) << words[0] << "\n"
                                                                            << host_->Errors();
  }

  void ExpectOneRunnerEach() {
    EXPECT_EQ(host_->Log().With("Runner started", "totals").size(), 1u) << "it did not die";
    EXPECT_EQ(host_->Log().With("Runner started", "other").size(), 1u);
  }
  void End(int letters = 0) {
    // Behind what healed last, so that the host has heard of that.
    Feed(20);
    EXPECT_TRUE(WaitExact()) << host_->Errors();
    EXPECT_TRUE(WaitUntil([&] { return Written(site_, "other").size() >= fed_; }));
    host_->Signal(SIGTERM);
    EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
    EXPECT_EQ(host_->Log().Last("Group ended", "totals", "state"), "stopped");
    EXPECT_EQ(host_->Log().Last("Group ended", "totals", "dlqCount"), std::to_string(letters));
    EXPECT_EQ(host_->Log().Last("Group ended", "totals", "followerCount"), "0");
    EXPECT_EQ(Table(), Wanted());
  }

  // Every connection that an ordinary user may have, or all there are, is another's. The plugin's
  // own is ended.
  std::vector<std::unique_ptr<Process>> OccupyConnections(bool superusers_too) {
    std::vector<std::unique_ptr<Process>> occupants;
    EXPECT_TRUE(WaitUntil([&] {
      occupants.push_back(server_->Occupy());
      server_->Ask(
          "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'plugin' "
          "AND application_name <> 'psql'");
      const auto used = server_->Ask(
          "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND usename = "
          "'plugin' AND application_name = 'psql'");
      return !used.empty() && used[0] == "3";
    }));
    // Whoever asks takes a place himself, and gives it back a moment after he has his answer: one
    // that comes meanwhile is refused, and another has to take it.
    int refused = 0;
    EXPECT_TRUE(!superusers_too || WaitUntil([&] {
      occupants.push_back(server_->Occupy("postgres"));
      refused = server_->Ask("SELECT 1").empty() ? refused + 1 : 0;
      return refused == 10;
    }));
    return occupants;
  }

  // What the plugin said, without what differs from call to call.
  void TellTexts() const {
    std::set<std::string> texts;
    for (const JsonObject& line : host_->Log().With("Call failed", "totals")) {
      texts.insert(line.at("reason"));
    }
    for (const std::string& text : texts) {
      std::cout << "said: " << text << std::endl;
    }
  }

  void TellHealing(std::chrono::system_clock::time_point outage_end) const {
    const HostLog log = host_->Log();
    const auto healed = log.With("Dead letter healed", "totals");
    const auto closed = log.With("Going on after failed calls", "totals");
    ASSERT_FALSE(healed.empty() || closed.empty()) << host_->Errors();
    const auto last = TimeOf(healed.back());
    // It says so, too, when it goes on behind a first letter; the one before the last healing
    // counts.
    auto closing = TimeOf(closed.front());
    for (const JsonObject& line : closed) {
      closing = TimeOf(line) <= last ? TimeOf(line) : closing;
    }
    const auto seconds = [&](auto from) {
      return std::chrono::duration<double>(last - from).count();
    };
    std::cout << log.With("Dead letter written", "totals").size() << " letters, the last healed "
              << seconds(outage_end) << " s after the outage's end, " << seconds(closing)
              << " s after the breaker closed" << std::endl;
  }

  static std::chrono::sys_time<std::chrono::milliseconds> TimeOf(const JsonObject& line) {
    std::tm parts{};
    const char* const rest = strptime(line.at("time").c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
    const double fraction = rest != nullptr && *rest == '.' ? std::atof(rest) : 0;
    return std::chrono::sys_time<std::chrono::milliseconds>(
        std::chrono::seconds(timegm(&parts)) +
        std::chrono::milliseconds(static_cast<int>(fraction * 1000)));
  }

  std::mt19937_64 random_;
  Site site_;
  DevServer log_{&site_};
  std::optional<PostgresServer> server_;
  std::unique_ptr<Process> host_;
  std::size_t fed_ = 0;

 private:
  struct Row {
    std::int64_t revision = -1;
    std::int64_t total = 0;
  };

  std::map<std::string, Row> rows_;  // By stream.
};

// The whole of it in one host's life, with the rules that a group has by itself.
TEST_F(PostgresTest, NoTroubleOfTheServerCostsAnEventOrACommand) {
  Configure("pg-totals");
  Begin();

  for (const int signal : {SIGINT, SIGQUIT, SIGKILL}) {
    SCOPED_TRACE("restarted by signal " + std::to_string(signal));
    Strike([&] { server_->Stop(signal); });
    ExpectFelt({"server closed the connection unexpectedly", "No such file or directory"});
    server_->Start();
    EXPECT_TRUE(WaitExact()) << host_->Errors();
  }

  Strike([&] { server_->Stop(SIGINT); });
  Last();
  ExpectFelt({"No such file or directory"});
  server_->Start();
  EXPECT_TRUE(WaitExact()) << host_->Errors();

  Strike([&] {
    server_->Ask("ALTER SYSTEM SET default_transaction_read_only = on");
    server_->Ask("SELECT pg_reload_conf()");
  });
  ExpectFelt({"in a read-only transaction"});
  server_->Ask("ALTER SYSTEM RESET default_transaction_read_only");
  server_->Ask("SELECT pg_reload_conf()");
  EXPECT_TRUE(WaitExact()) << host_->Errors();

  for (const bool superusers_too : {false, true}) {
    std::vector<std::unique_ptr<Process>> occupants;
    Strike([&] { occupants = OccupyConnections(superusers_too); });
    ExpectFelt({superusers_too ? "sorry, too many clients already"
                               : "remaining connection slots are reserved"});
    occupants.clear();
    EXPECT_TRUE(WaitExact()) << host_->Errors();
  }
  ExpectOneRunnerEach();
  End();
  EXPECT_FALSE(host_->Log().Has("Dead letter written")) << host_->Errors();
  TellTexts();
}

// The same outage under a text that no rule knows: what became a letter meanwhile heals.
TEST_F(PostgresTest, AnOutageOfUnknownTextHealsByItself) {
  Configure("pg-totals", "disguise = \"the shelf is stuck\"\n");
  Begin();

  Strike([&] { server_->Stop(SIGINT); });
  Last();
  // Two by the streak, and one more by a probe.
  EXPECT_TRUE(
      WaitUntil([this] { return host_->Log().With("Dead letter written", "totals").size() >= 3; },
                Patience()))
      << host_->Errors();
  server_->Start();
  const auto outage_end = std::chrono::system_clock::now();
  EXPECT_TRUE(WaitExact()) << host_->Errors();
  ExpectOneRunnerEach();
  End();
  TellHealing(outage_end);
}

// Effects and position in one transaction, and a server that dies around its commits: some are
// done, though nobody was told. And a runner that dies beside.
TEST_F(PostgresTest, APositionBesideTheEffectsCountsEachEventOnce) {
  Configure("pg-totals-at");
  Begin();

  for (int round = 0; round < (Long() ? 5 : 2); ++round) {
    SCOPED_TRACE(round);
    Strike([&] { server_->Stop(SIGKILL); });
    server_->Start();
    EXPECT_TRUE(WaitExact()) << host_->Errors();
    Strike([&] {
      const auto runners = host_->Log().With("Runner started", "totals");
      kill(static_cast<pid_t>(std::stoi(runners.back().at("pid"))), SIGKILL);
    });
    EXPECT_TRUE(WaitExact()) << host_->Errors();
    Strike([&] {
      host_->Signal(SIGKILL);
      host_->Wait();
      Run();
    });
    EXPECT_TRUE(WaitExact()) << host_->Errors();
  }
  End();
}

// Effectively once is what it asked for, so what nobody can judge waits in place.
TEST_F(PostgresTest, BesideAPositionAnOutageOfUnknownTextWaitsInPlace) {
  Configure("pg-totals-at", "disguise = \"the shelf is stuck\"\n");
  Begin();
  Strike([&] { server_->Stop(SIGINT); });
  Last();
  ExpectFelt({"the shelf is stuck"});
  EXPECT_TRUE(WaitUntil([this] { return Failures({"the shelf is stuck"}) >= 6; }, Patience()));
  server_->Start();
  EXPECT_TRUE(WaitExact()) << host_->Errors();
  ExpectOneRunnerEach();
  End();
  EXPECT_FALSE(host_->Log().Has("Dead letter written")) << host_->Errors();
}

// A crash is a letter there, too, and the position passes it once it is durable.
TEST_F(PostgresTest, BesideAPositionACrashIsALetterThatIsPassed) {
  Configure("pg-totals-at", "", "max_crashes = 1\n");
  Begin();
  site_.Append({EventLine("d", "deadly")});
  ++fed_;
  Feed(500);
  EXPECT_TRUE(host_->WaitForLog("Dead letter written", "totals"));
  EXPECT_TRUE(WaitExact()) << host_->Errors();
  End(1);
}

// A host that stood still, as a machine that was paused, with its runner in a call: another one has
// its state and goes on. What wakes up then changes nothing.
TEST_F(PostgresTest, ARunnerThatWakesUpBehindAnotherOneIsFenced) {
  site_.UseTestProgram();
  WriteFile(site_.file("plan"), "before-handle stop 5\n");
  site_.SetEnv("CATCHUP_TEST_FAIL", site_.file("plan"));
  Configure("pg-totals-at", "", "env = [\"CATCHUP_TEST_FAIL\"]\n");
  Run();
  Feed(1'000);
  ASSERT_TRUE(WaitUntil([&] { return std::filesystem::exists(site_.file("plan.fired")); }))
      << host_->Errors();
  host_->Signal(SIGSTOP);
  const auto sleeper = std::move(host_);
  const auto runners = sleeper->Log().With("Runner started", "totals");
  ASSERT_EQ(runners.size(), 1u);
  const auto runner = static_cast<pid_t>(std::stoi(runners[0].at("pid")));
  std::filesystem::create_directory(site_.file("second"));
  for (const char* part : {"format", "groups", "plugins"}) {
    std::filesystem::copy(site_.file("state") / part, site_.file("second") / part,
                          std::filesystem::copy_options::recursive);
  }

  Configure("pg-totals-at", "", "", "second");
  Run();
  EXPECT_TRUE(WaitExact()) << host_->Errors();
  sleeper->Signal(SIGCONT);
  EXPECT_EQ(kill(runner, SIGCONT), 0);
  EXPECT_TRUE(sleeper->WaitForLog("Group ended", "totals"));
  EXPECT_EQ(sleeper->Log().Last("Group ended", "totals", "state"), "halted");
  const std::string reason = sleeper->Log().Last("Group ended", "totals", "reason");
  EXPECT_THAT(reason, HasSubstr("fenced: token 2 seen, ours 1"));
  EXPECT_THAT(reason, HasSubstr("--take-over"));
  EXPECT_EQ(sleeper->Log().With("Runner started", "totals").size(), 1u)
      << "each further try brings its token nearer to the other one";
  Feed(500);
  EXPECT_TRUE(WaitExact()) << host_->Errors();
  host_->Signal(SIGTERM);
  EXPECT_EQ(host_->Wait(), 0) << host_->Errors();
  EXPECT_EQ(Table(), Wanted());
}

}  // namespace
}  // namespace catchup::e2e
