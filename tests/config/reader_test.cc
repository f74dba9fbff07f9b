#include "host/config/reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/test_files.h"

namespace catchup {
namespace {

using testing::ElementsAre;

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr char kMinimal[] = R"(
[source]
uri = "embedded:data/events"
[state]
directory = "state"
[plugins]
directories = ["plugins", "/usr/lib/catchup/plugins"]
[groups.g]
plugin = "p.so"
prefixes = ["a-"]
)";

HostConfig Read(const std::string& text) {
  const ConfigReading reading = ReadConfigText(text, "/etc/catchup/host.toml");
  for (const std::string& problem : reading.problems) {
    ADD_FAILURE() << problem;
  }
  return reading.config.value_or(HostConfig{});
}

TEST(ReaderTest, FillsInEveryDefault) {
  const HostConfig config = Read(kMinimal);

  EXPECT_EQ(config.file, "/etc/catchup/host.toml");
  EXPECT_EQ(config.source.embedded_listen.host, "127.0.0.1");
  EXPECT_EQ(config.source.embedded_listen.port, 0);
  EXPECT_EQ(config.admin.listen.host, "127.0.0.1");
  EXPECT_EQ(config.admin.listen.port, 9113);
  EXPECT_EQ(config.log.level, LogLevel::kInfo);
  EXPECT_EQ(config.log.format, LogFormat::kAuto);
  ASSERT_EQ(config.groups.size(), 1u);
  const GroupConfig& group = config.groups[0];
  EXPECT_EQ(group.name, "g");
  EXPECT_EQ(group.location.line, 8u);
  EXPECT_EQ(group.location.column, 1u);
  EXPECT_EQ(group.plugin, "p.so");
  EXPECT_EQ(group.projection, "");
  EXPECT_EQ(group.filter.match, EventFilter::Match::kEventType);
  EXPECT_EQ(group.filter.prefixes, std::vector<std::string>{"a-"});
  EXPECT_EQ(group.start.kind, GroupStart::Kind::kBeginning);
  EXPECT_FALSE(group.stop_on_caught_up);
  EXPECT_EQ(group.batch_size, 100u);
  EXPECT_EQ(group.checkpoint_batch_size, 10u);
  EXPECT_EQ(group.checkpoint_interval, seconds(1));
  EXPECT_EQ(group.max_retries, 3u);
  EXPECT_EQ(group.retry_delay, seconds(1));
  EXPECT_EQ(group.retry_max_delay, seconds(30));
  EXPECT_EQ(group.lanes, 1u);
  EXPECT_EQ(group.handler_timeout, seconds(30));
  EXPECT_EQ(group.start_timeout, seconds(30));
  EXPECT_EQ(group.drain_timeout, seconds(5));
  EXPECT_EQ(group.max_crashes, 3u);
  EXPECT_EQ(group.sha256, "");
  EXPECT_EQ(group.window_events, 4096u);
  EXPECT_EQ(group.window_bytes, 32u << 20);
  EXPECT_FALSE(group.filter.system_events);
  EXPECT_FALSE(group.filter.resolve_links);
  EXPECT_EQ(group.dead_letters.order, DeadLettersConfig::Order::kStream);
  EXPECT_EQ(group.dead_letters.max_letters, 100'000u);
  EXPECT_EQ(group.dead_letters.max_bytes, std::uint64_t{4} << 30);
  EXPECT_EQ(group.dead_letters.heal_for, hours(168));
  EXPECT_TRUE(group.dead_letters.sinks.empty());
  EXPECT_EQ(group.breaker.failures, 5u);
  EXPECT_EQ(group.breaker.open, seconds(5));
  EXPECT_EQ(group.breaker.max_open, seconds(60));
  EXPECT_EQ(group.breaker.budget, 10u);
  EXPECT_EQ(group.limits.memory_bytes, 512u << 20);
  EXPECT_EQ(group.limits.open_files, 256u);
  EXPECT_TRUE(group.env.empty());
  EXPECT_EQ(group.settings.json, "{}");
  EXPECT_TRUE(group.settings.values.empty());
}

TEST(ReaderTest, CountsRelativePathsFromTheFolderOfTheFile) {
  const HostConfig config = Read(kMinimal);

  EXPECT_EQ(config.source.uri.kind, SourceUri::Kind::kEmbedded);
  EXPECT_EQ(config.source.uri.path, "/etc/catchup/data/events");
  EXPECT_EQ(config.source.uri_text, "embedded:data/events");
  EXPECT_EQ(config.state.directory, "/etc/catchup/state");
  ASSERT_THAT(config.plugins.directories,
              ElementsAre("/etc/catchup/plugins", "/usr/lib/catchup/plugins"));
}

TEST(ReaderTest, FilesOfAConnectionStringCountFromTheFolderOfTheFile) {
  const HostConfig config = Read(R"(
[source]
uri = "kurrentdb://a?tls=false&tlsCaFile=tls/ca.pem&userCertFile=../c.pem&userKeyFile=/k.pem"
[state]
directory = "state"
[plugins]
directories = ["plugins"]
[groups.g]
plugin = "p.so"
prefixes = [""]
)");
  EXPECT_EQ(config.source.uri.settings.ca_file, "/etc/catchup/tls/ca.pem");
  EXPECT_EQ(config.source.uri.settings.certificate_file, "/etc/c.pem");
  EXPECT_EQ(config.source.uri.settings.key_file, "/k.pem");
}

TEST(ReaderTest, ReadsEveryKeyOfTheManual) {
  const HostConfig config = Read(R"(
[source]
uri = "kurrentdb://db.example:2114?tls=false"
embedded_listen = "[::1]:2200"
[state]
directory = "/var/lib/catchup"
[plugins]
directories = ["/usr/lib/catchup/plugins"]
[admin]
listen = "127.0.0.1:9113"
[log]
level = "debug"
format = "json"
[defaults]
checkpoint_batch_size = 20
[groups.order-totals]
plugin = "order_totals.so"
projection = "order-totals"
prefixes = ["order-", "$x"]
match = "stream_name"
start = "12:7"
stop_on_caught_up = true
batch_size = 1000
checkpoint_interval = "250ms"
max_retries = 5
retry_delay = "200ms"
retry_max_delay = "1m"
lanes = 1
handler_timeout = "2m"
start_timeout = "5m"
drain_timeout = "100ms"
max_crashes = 1
sha256 = "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"
window = { events = 16, bytes = "1GiB" }
system_events = true
resolve_links = false
dead_letters = { order = "event", max_letters = 7, max_bytes = "64MiB", heal_for = "0s", sinks = ["jsonl:../dead.jsonl", "stream:dead-orders", "jsonl:/var/x"] }
breaker = { failures = 2, open = "1s", max_open = "2m", budget = 0 }
classify = { domain = ["Bad Order", "re:^E[0-9]+$"], infrastructure = [] }
limits = { memory = "1GiB", open_files = 64 }
env = ["PGHOST", "_x1"]
[groups.order-totals.config]
database = "totals.db"
[groups.z]
plugin = "z.so"
prefixes = [""]
start = "end"
handler_timeout = "24h"
)");

  EXPECT_EQ(config.source.uri.kind, SourceUri::Kind::kServer);
  EXPECT_EQ(config.source.uri.target(), "db.example:2114");
  EXPECT_EQ(config.source.embedded_listen.host, "::1");
  EXPECT_EQ(config.source.embedded_listen.port, 2200);
  EXPECT_EQ(config.log.level, LogLevel::kDebug);
  EXPECT_EQ(config.log.format, LogFormat::kJson);
  ASSERT_EQ(config.groups.size(), 2u);
  const GroupConfig& group = config.groups[0];
  EXPECT_EQ(group.name, "order-totals");
  EXPECT_EQ(group.projection, "order-totals");
  EXPECT_EQ(group.filter.match, EventFilter::Match::kStreamName);
  EXPECT_EQ(group.filter.prefixes, (std::vector<std::string>{"order-", "$x"}));
  EXPECT_EQ(group.start.kind, GroupStart::Kind::kPosition);
  EXPECT_EQ(group.start.position, (Position{12, 7}));
  EXPECT_TRUE(group.stop_on_caught_up);
  EXPECT_EQ(group.batch_size, 1000u);
  EXPECT_EQ(group.limits.memory_bytes, 1u << 30);
  EXPECT_EQ(group.limits.open_files, 64u);
  EXPECT_EQ(group.checkpoint_batch_size, 20u);
  EXPECT_EQ(group.checkpoint_interval, milliseconds(250));
  EXPECT_EQ(group.handler_timeout, minutes(2));
  EXPECT_EQ(group.start_timeout, minutes(5));
  EXPECT_EQ(group.drain_timeout, milliseconds(100));
  EXPECT_EQ(group.max_retries, 5u);
  EXPECT_EQ(group.retry_delay, milliseconds(200));
  EXPECT_EQ(group.retry_max_delay, minutes(1));
  EXPECT_EQ(group.max_crashes, 1u);
  EXPECT_EQ(group.dead_letters.order, DeadLettersConfig::Order::kEvent);
  EXPECT_EQ(group.dead_letters.max_letters, 7u);
  EXPECT_EQ(group.dead_letters.max_bytes, 64u << 20);
  EXPECT_EQ(group.dead_letters.heal_for, milliseconds(0));
  using Sink = LetterSinkConfig::Kind;
  const auto& sinks = group.dead_letters.sinks;
  ASSERT_EQ(sinks.size(), 3u);
  EXPECT_EQ(sinks[0].kind, Sink::kLines);
  EXPECT_EQ(sinks[0].name, "jsonl:../dead.jsonl");
  EXPECT_EQ(sinks[0].target, (config.file.parent_path().parent_path() / "dead.jsonl").string());
  EXPECT_EQ(sinks[1].kind, Sink::kStream);
  EXPECT_EQ(sinks[1].target, "dead-orders");
  EXPECT_EQ(sinks[2].target, "/var/x");
  EXPECT_EQ(group.breaker.failures, 2u);
  EXPECT_EQ(group.breaker.open, seconds(1));
  EXPECT_EQ(group.breaker.max_open, minutes(2));
  EXPECT_EQ(group.breaker.budget, 0u);
  EXPECT_EQ(group.classify.domain, (std::vector<std::string>{"Bad Order", "re:^E[0-9]+$"}));
  EXPECT_EQ(group.classify.infrastructure, std::vector<std::string>());
  EXPECT_EQ(group.sha256, "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef");
  EXPECT_EQ(group.window_events, 16u);
  EXPECT_EQ(group.window_bytes, 1u << 30);
  EXPECT_TRUE(group.filter.system_events);
  EXPECT_EQ(group.limits.open_files, 64u);
  EXPECT_EQ(group.env, (std::vector<std::string>{"PGHOST", "_x1"}));
  EXPECT_EQ(group.settings.json, R"({"database":"totals.db"})");
  EXPECT_EQ(config.groups[1].name, "z");
  EXPECT_EQ(config.groups[1].start.kind, GroupStart::Kind::kEnd);
  EXPECT_EQ(config.groups[1].handler_timeout, hours(24));
}

TEST(ReaderTest, MergesDefaultsKeyByKeyAndReplacesLists) {
  const HostConfig config = Read(R"(
[source]
uri = "embedded:e"
[state]
directory = "s"
[plugins]
directories = ["p"]
[defaults]
plugin = "common.so"
prefixes = ["x-", "y-"]
window = { events = 7, bytes = "1MiB" }
config = { a = 1, deep = { b = 2, c = [1, 2] } }
[groups.one]
window.events = 9
config.deep.c = [3]
[groups.two]
plugin = "two.so"
prefixes = ["z-"]
)");

  ASSERT_EQ(config.groups.size(), 2u);
  EXPECT_EQ(config.groups[0].plugin, "common.so");
  EXPECT_EQ(config.groups[0].filter.prefixes, (std::vector<std::string>{"x-", "y-"}));
  EXPECT_EQ(config.groups[0].window_events, 9u);
  EXPECT_EQ(config.groups[0].window_bytes, 1u << 20);
  EXPECT_EQ(config.groups[0].settings.json, R"({"deep":{"c":[3],"b":2},"a":1})");
  EXPECT_EQ(config.groups[1].plugin, "two.so");
  EXPECT_EQ(config.groups[1].filter.prefixes, std::vector<std::string>{"z-"});
  EXPECT_EQ(config.groups[1].window_events, 7u);
}

// A value that nobody wrote contradicts nothing.
TEST(ReaderTest, ADelayThatIsNotWrittenGivesWayToTheOneThatIs) {
  const HostConfig config = Read(R"(
[source]
uri = "embedded:e"
[state]
directory = "s"
[plugins]
directories = ["p"]
[defaults]
plugin = "p.so"
prefixes = [""]
retry_delay = "2m"
[groups.from-defaults]
[groups.longer]
retry_delay = "3m"
breaker.open = "4m"
[groups.shorter]
retry_delay = "100ms"
breaker.max_open = "500ms"
)");

  const GroupConfig& from_defaults = config.groups[0];
  EXPECT_EQ(from_defaults.retry_delay, minutes(2));
  EXPECT_EQ(from_defaults.retry_max_delay, minutes(2));
  EXPECT_EQ(from_defaults.breaker.open, seconds(5));
  EXPECT_EQ(from_defaults.breaker.max_open, seconds(60));
  const GroupConfig& longer = config.groups[1];
  EXPECT_EQ(longer.retry_max_delay, minutes(3));
  EXPECT_EQ(longer.breaker.open, minutes(4));
  EXPECT_EQ(longer.breaker.max_open, minutes(4));
  const GroupConfig& shorter = config.groups[2];
  EXPECT_EQ(shorter.retry_max_delay, seconds(30));
  EXPECT_EQ(shorter.breaker.open, milliseconds(500));
  EXPECT_EQ(shorter.breaker.max_open, milliseconds(500));
}

TEST(ReaderTest, ReadsAFile) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "host.toml";
  std::ofstream(file) << kMinimal;

  const ConfigReading reading = ReadConfigFile(file);

  ASSERT_TRUE(reading.config.has_value());
  EXPECT_EQ(reading.config->state.directory, folder.path() / "state");
}

TEST(ReaderTest, SaysOneThingAboutAFileItCannotRead) {
  const TemporaryFolder folder;
  const std::string missing = (folder.path() / "none.toml").string();
  const std::string directory = folder.path().string();

  EXPECT_EQ(ReadConfigFile(missing).problems,
            std::vector<std::string>{missing + ": cannot open it: No such file or directory"});
  EXPECT_EQ(ReadConfigFile(directory).problems,
            std::vector<std::string>{
                directory + ": it is a directory: wanted a file with a configuration in TOML"});
  EXPECT_EQ(ReadConfigFile("/dev/null").problems,
            std::vector<std::string>{
                "/dev/null: it is no regular file: wanted one with a configuration in TOML"});
}

TEST(ReaderTest, SaysThatAFileMayNotBeRead) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "host.toml";
  std::ofstream(file) << kMinimal;
  ASSERT_EQ(::chmod(file.c_str(), 0), 0);
  // The administrator may read every file, so he is somebody else meanwhile.
  const uid_t self = ::geteuid();
  if (self == 0) {
    ASSERT_EQ(::seteuid(12345), 0);
  }

  const ConfigReading reading = ReadConfigFile(file);

  ASSERT_EQ(::seteuid(self), 0);
  EXPECT_EQ(reading.problems,
            std::vector<std::string>{file.string() + ": cannot open it: Permission denied"});
}

TEST(ReaderTest, DoesNotWaitForAPipe) {
  const TemporaryFolder folder;
  const std::filesystem::path pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);

  EXPECT_EQ(
      ReadConfigFile(pipe).problems,
      std::vector<std::string>{pipe.string() +
                               ": it is no regular file: wanted one with a configuration in TOML"});
}

TEST(ReaderTest, RefusesAFileThatIsTooLarge) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "host.toml";
  std::ofstream(file) << kMinimal << std::string(kMaxConfigBytes, '#');

  EXPECT_EQ(ReadConfigFile(file).problems,
            std::vector<std::string>{file.string() +
                                     ": more than 256 KiB: wanted a configuration in TOML"});
}

// Any cut of a good file is either good or has problems with places; none may end the process.
TEST(ReaderTest, SurvivesEveryCutOfAFile) {
  const std::string text = kMinimal;
  for (std::size_t size = 0; size < text.size(); ++size) {
    const ConfigReading reading = ReadConfigText(text.substr(0, size), "host.toml");
    EXPECT_EQ(reading.config.has_value(), reading.problems.empty());
    for (const std::string& problem : reading.problems) {
      EXPECT_EQ(problem.rfind("host.toml:", 0), 0u) << problem;
    }
  }
}

}  // namespace
}  // namespace catchup
