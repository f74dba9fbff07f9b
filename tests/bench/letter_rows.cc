#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/rows.h"

namespace catchup::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kRefused = 10'000;

constexpr const char* kCaughtUp = "\"state\":\"caught up\"";

constexpr const char* kGoingOn = "\"msg\":\"Going on after failed calls\"";

std::size_t CountIn(const std::string& text, const std::string& wanted) {
  std::size_t count = 0;
  for (std::size_t at = text.find(wanted); at != std::string::npos;
       at = text.find(wanted, at + wanted.size())) {
    ++count;
  }
  return count;
}

double SecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

void MeasureCommits(Bench* bench) {
  const std::string out = bench->places.work + "/letters";
  const std::string store = bench->places.work + "/letter-store";
  std::filesystem::create_directory(store);
  Process commits({bench->places.programs + "/letter_commits", store, "9000"}, out, out + ".log");
  (void)commits.Wait();
  double together = 0;
  double p50 = 0;
  double p99 = 0;
  if (std::sscanf(ReadFile(out).c_str(), "by sixteen %lf letters/s alone p50 %lf ms p99 %lf",
                  &together, &p50, &p99) != 3) {
    Fail("letter_commits printed: " + ReadFile(out));
  }
  bench->figures.Add("letter commit", "alone, p50", "ms", p50);
  bench->figures.Add("letter commit", "alone, p99", "ms", p99);
  bench->figures.Add("letter commit", "by sixteen", "letters/s", together);
  RemoveFile(store);
}

HostOptions Refusing(const std::string& address) {
  HostOptions options;
  options.address = address;
  options.projection = "refuse";
  options.keys = "dead_letters.order = \"event\"";
  return options;
}

double MiBOf(HostRun* host) { return PssKiBOf(host->process()->pid()) / 1024; }

// Every event of the log, in streams of a thousand: the store is all that can hold the group up.
void MeasureRefused(Bench* bench, const std::string& address) {
  const std::string row = "10,000 REJECTs";
  HostOptions none = Refusing(address);
  none.prefix = "there-is-none-";
  HostRun idle(bench->places, none, false);
  idle.process()->AwaitOutput(idle.log_path(), kCaughtUp);
  const double before = MiBOf(&idle);
  idle.Stop();
  HostRun host(bench->places, Refusing(address), false);
  host.process()->AwaitOutput(host.log_path(), kCaughtUp);
  const double took = host.Seconds("\"msg\":\"Host started\"", kCaughtUp);
  const double after = MiBOf(&host);
  host.Stop();
  const std::string log = ReadFile(host.log_path());
  const std::size_t end = log.find("\"msg\":\"Group ended\"");
  if (end == std::string::npos ||
      log.find("\"dlqCount\":" + std::to_string(kRefused) + ",", end) == std::string::npos) {
    Fail("found another number of letters, wanted " + std::to_string(kRefused) + "\n" + log);
  }
  bench->figures.Add(row, "letters", "letters/s", static_cast<double>(kRefused) / took);
  bench->figures.Add(row, "memory of the host before", "MiB", before);
  bench->figures.Add(row, "memory of the host after", "MiB", after);
}

double SecondsOfDlq(const Bench& bench, const HostRun& host, std::vector<std::string> words) {
  words.insert(words.begin(), {bench.places.programs + "/catchup", "dlq"});
  words.insert(words.end(), {"g1", "--config", host.file()});
  const std::string out = bench.places.work + "/dlq";
  const auto begin = Clock::now();
  Process command(words, out, out + ".log");
  (void)command.Wait();
  return SecondsSince(begin);
}

// What a store costs that is as full as it may be: a start, and an operator's look.
void MeasureFullStore(Bench* bench) {
  constexpr std::uint64_t kFull = 100'000;
  const LogServer server(bench->places, "full", kFull, 256);
  HostRun host(bench->places, Refusing(server.address()), false);
  host.process()->AwaitOutput(host.log_path(), kCaughtUp);
  host.Stop();
  host.Restart();
  host.process()->AwaitOutput(host.log_path(), kCaughtUp);
  Figures& figures = bench->figures;
  const std::string row = "100,000 letters";
  figures.Add(row, "start, to caught up", "s", host.Seconds("\"msg\":\"Host started\"", kCaughtUp));
  figures.Add(row, "memory of the host", "MiB", MiBOf(&host));
  figures.Add(row, "dlq list", "s", SecondsOfDlq(*bench, host, {"list"}));
  figures.Add(row, "dlq list --json", "s", SecondsOfDlq(*bench, host, {"list", "--json"}));
  figures.Add(row, "dlq export", "s", SecondsOfDlq(*bench, host, {"export"}));
  figures.Add(row, "memory of the host after", "MiB", MiBOf(&host));
  host.Stop();
}

std::uint64_t LettersNow(const Bench& bench, const HostRun& host) {
  (void)SecondsOfDlq(bench, host, {"list", "--json"});
  return CountIn(ReadFile(bench.places.work + "/dlq"), "\"id\":");
}

// Letters of 1,000 streams that become due all at once, as after an outage of hours: each is the
// first of its stream, or handed on by the one before.
void MeasureHealing(Bench* bench) {
  constexpr std::uint64_t kLetters = 10'000;
  const LogServer server(bench->places, "healing", 0, 256);
  HostOptions options;
  options.address = server.address();
  options.plugin = "outage_plugin.so";
  options.projection = "outage";
  options.prefix = "held";
  HostRun host(bench->places, options, false);
  host.process()->AwaitOutput(host.log_path(), kCaughtUp);
  (void)SecondsOfDlq(*bench, host, {"park", "--reason", "measured", "--type", "held"});
  (void)SecondsOfDlq(*bench, host, {"park", "--reason", "measured", "--type", "held-other"});
  Process writer({bench->places.programs + "/live_append", server.address(),
                  std::to_string(kLetters), "1000000", "held", "1000"},
                 "", bench->places.work + "/held.log");
  (void)writer.Wait();
  while (LettersNow(*bench, host) != kLetters) {
  }
  const auto begin = Clock::now();
  (void)SecondsOfDlq(*bench, host, {"unpark", "--type", "held"});
  (void)SecondsOfDlq(*bench, host, {"unpark", "--type", "held-other"});
  while (LettersNow(*bench, host) != 0) {
    if (SecondsSince(begin) > 300) {
      Fail("healing: letters are left after five minutes\n" + ReadFile(host.log_path()));
    }
  }
  bench->figures.Add("10,000 letters due at once", "healed", "letters/s",
                     static_cast<double>(kLetters) / SecondsSince(begin));
  host.Stop();
}

// All settings are the defaults, and one in five events is of a type that the outage does not
// touch. Nobody gives a command.
void MeasureOutage(Bench* bench) {
  constexpr auto kOutage = std::chrono::seconds(60);
  const LogServer server(bench->places, "outage", 0, 256);
  HostOptions options;
  options.address = server.address();
  options.plugin = "outage_plugin.so";
  options.projection = "outage";
  HostRun host(bench->places, options, false);
  host.process()->AwaitOutput(host.log_path(), kCaughtUp);
  // 50 a second in 1,000 streams, for longer than all of it lasts.
  Process writer({bench->places.programs + "/live_append", server.address(), "100000", "50",
                  "measured", "1000"},
                 "", bench->places.work + "/live.log");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  WriteFile(host.DataFolder(1) + "/outage", "");
  std::this_thread::sleep_for(kOutage);
  // The breaker is open by now: it goes on once more, when that has closed.
  const std::size_t went_on = CountIn(ReadFile(host.log_path()), kGoingOn);
  RemoveFile(host.DataFolder(1) + "/outage");
  const auto end = Clock::now();
  Figures& figures = bench->figures;
  const std::string row = "outage of 60 s";
  figures.Add(row, "letters at its end", "letters", static_cast<double>(LettersNow(*bench, host)));
  host.process()->AwaitOutput(host.log_path(), kGoingOn, went_on + 1);
  const auto closed = Clock::now();
  figures.Add(row, "its end to the breaker's closing", "s", SecondsSince(end));
  while (LettersNow(*bench, host) != 0) {
    if (SecondsSince(closed) > 120) {
      Fail("outage: letters are left two minutes after the breaker closed\n" +
           ReadFile(host.log_path()));
    }
  }
  figures.Add(row, "from there to the last letter", "s", SecondsSince(closed));
  host.Stop();
}

}  // namespace

void MeasureLetters(Bench* bench) {
  const LogServer server(bench->places, "refused", kRefused, 256);
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    MeasureCommits(bench);
    MeasureRefused(bench, server.address());
  }
  // Once: they take their time.
  MeasureFullStore(bench);
  MeasureHealing(bench);
  MeasureOutage(bench);
}

}  // namespace catchup::bench
