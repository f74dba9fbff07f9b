#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "tests/bench/rows.h"

namespace catchup::bench {
namespace {

constexpr std::uint64_t kGroups = 200;

constexpr const char* kLiveType = "live-measured";
constexpr std::uint64_t kLiveRate = 200;
// A round's part of 20,000 in five.
constexpr std::uint64_t kLiveEvents = 4000;
// Written after those, so that a stop at the end of the writer finds all of them handled.
constexpr std::uint64_t kLiveSpare = 200;

void AppendLive(const Bench& bench, const std::string& address) {
  Process writer({bench.places.programs + "/live_append", address,
                  std::to_string(kLiveEvents + kLiveSpare), std::to_string(kLiveRate), kLiveType},
                 "", bench.places.work + "/live.log");
  (void)writer.Wait();
}

std::vector<double> LatenciesOfLoop(const Bench& bench, const std::string& address) {
  const std::string out = bench.places.work + "/live";
  Process loop(
      {bench.places.programs + "/live_loop", address, std::to_string(kLiveEvents), kLiveType}, out,
      out + ".log");
  loop.AwaitOutput(out, "live\n");
  AppendLive(bench, address);
  (void)loop.Wait();
  return Numbers(out);
}

std::vector<double> LatenciesOfHost(const Bench& bench, const std::string& address) {
  HostOptions options;
  options.address = address;
  options.plugin = "latency_plugin.so";
  options.projection = "latency";
  options.prefix = kLiveType;
  options.start = "end";
  HostRun host(bench.places, options, false);
  host.process()->AwaitOutput(host.log_path(), "\"state\":\"caught up\"");
  AppendLive(bench, address);
  host.process()->Signal(SIGTERM);
  (void)host.process()->Wait();
  std::vector<double> numbers = Numbers(host.DataFolder(1) + "/latencies");
  if (numbers.size() < kLiveEvents) {
    Fail("live: found " + std::to_string(numbers.size()) + " events handled, wanted at least " +
         std::to_string(kLiveEvents) + "\n" + ReadFile(host.log_path()));
  }
  numbers.resize(kLiveEvents);
  return numbers;
}

// Host and runners, by what the kernel counts.
double CpuSecondsOfAll(pid_t host) {
  double sum = CpuSecondsOf(host);
  for (const pid_t runner : ChildrenOf(host)) {
    sum += CpuSecondsOf(runner);
  }
  return sum;
}

void AddThreads(Bench* bench, const std::string& row, pid_t host) {
  double own = 0;
  double of_grpc = 0;
  for (const std::string& name : ThreadNamesOf(host)) {
    const bool grpc = name.starts_with("grpc") || name.starts_with("resolver") ||
                      name.starts_with("event_engine") || name.starts_with("timer") ||
                      name.starts_with("default-execut");
    (grpc ? of_grpc : own) += 1;
  }
  bench->figures.Add(row, "threads of our own", "threads", own);
  bench->figures.Add(row, "threads of gRPC", "threads", of_grpc);
}

// The host and the regions that it shares with its runners, for each group beyond the first.
double GroupMiB(pid_t host) {
  double kib = PssKiBOf(host);
  for (const pid_t runner : ChildrenOf(host)) {
    kib += PssKiBOf(runner, "memfd:");
  }
  return kib / 1024;
}

double MiBOfHost(const Bench& bench, HostOptions options, std::uint64_t groups) {
  options.groups = groups;
  HostRun host(bench.places, options, false);
  host.process()->AwaitOutput(host.log_path(), "\"state\":\"caught up\"", groups);
  const double mib = GroupMiB(host.process()->pid());
  host.process()->Signal(SIGTERM);
  (void)host.process()->Wait();
  return mib;
}

void MeasureManyGroups(Bench* bench, const std::string& row, std::uint64_t groups,
                       std::uint64_t events) {
  const LogServer server(bench->places, "groups", events, 256);
  HostOptions options;
  options.address = server.address();
  const double alone = MiBOfHost(*bench, options, 1);
  options.groups = groups;
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    HostRun host(bench->places, options, false);
    const pid_t pid = host.process()->pid();
    host.process()->AwaitOutput(host.log_path(), "\"state\":\"caught up\"", groups);
    Figures& figures = bench->figures;
    figures.Add(row, "all caught up", "s",
                host.Seconds("\"msg\":\"Host started\"", "\"state\":\"caught up\""));
    figures.Add(row, "processor until then", "s", CpuSecondsOfAll(pid));
    AddThreads(bench, row, pid);
    constexpr auto kIdle = std::chrono::seconds(10);
    const double before = CpuSecondsOfAll(pid);
    std::this_thread::sleep_for(kIdle);
    figures.Add(row, "idle, processor", "% of a core",
                (CpuSecondsOfAll(pid) - before) * 100 / static_cast<double>(kIdle.count()));
    // The host has given back by now what catching up took.
    figures.Add(row, "memory, host and regions", "MiB/group",
                (GroupMiB(pid) - alone) / static_cast<double>(groups - 1));
    const auto stop = std::chrono::steady_clock::now();
    host.process()->Signal(SIGTERM);
    const int code = host.process()->WaitForExitCode();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - stop;
    figures.Add(row, "stopped after SIGTERM", "s", took.count());
    figures.Add(row, "exit code of that", "", code);
  }
}

constexpr std::uint64_t kReconnectGroups = 5;
constexpr const char* kReconnectType = "reconnect-measured";

// A server that can be killed, and comes back where it was.
class MortalServer {
 public:
  explicit MortalServer(const Bench& bench) : bench_(bench) { Serve(); }
  ~MortalServer() {
    process_.reset();
    std::filesystem::remove_all(Path(""));
  }

  const std::string& address() const { return address_; }

  void Serve() {
    const std::string out = Path(".address");
    RemoveFile(out);
    process_ = std::make_unique<Process>(
        std::vector<std::string>{bench_.places.programs + "/catchup", "dev-server", "--listen",
                                 address_, "--data", Path("")},
        out, Path(".log"));
    process_->AwaitOutput(out, "\n");
    const std::string uri = ReadFile(out);
    const std::size_t host = uri.find("://") + 3;
    address_ = uri.substr(host, uri.find_first_of("?/\n", host) - host);
  }

  // Comes back after `outage`, with an event that was made then.
  void GoAwayFor(std::chrono::seconds outage) {
    process_.reset();
    std::this_thread::sleep_for(outage);
    Serve();
    Process writer({bench_.places.programs + "/live_append", address_, "1", "1000", kReconnectType},
                   "", Path(".writer"));
    (void)writer.Wait();
  }

 private:
  std::string Path(const char* end) const { return bench_.places.work + "/reconnect" + end; }

  const Bench& bench_;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<Process> process_;
};

// From when the server is back, and the first event is in its log, to the last group's handler.
void MeasureReconnectOnce(Bench* bench, const std::vector<std::chrono::seconds>& outages,
                          const std::string& figure) {
  MortalServer server(*bench);
  HostOptions options;
  options.address = server.address();
  options.plugin = "latency_plugin.so";
  options.projection = "latency";
  options.prefix = kReconnectType;
  options.start = "end";
  options.groups = kReconnectGroups;
  HostRun host(bench->places, options, false);
  std::size_t caught_up = kReconnectGroups;
  host.process()->AwaitOutput(host.log_path(), "\"state\":\"caught up\"", caught_up);
  for (const std::chrono::seconds outage : outages) {
    server.GoAwayFor(outage);
    caught_up += kReconnectGroups;
    host.process()->AwaitOutput(host.log_path(), "\"state\":\"caught up\"", caught_up);
  }
  host.Stop();
  for (std::size_t i = 0; i < outages.size(); ++i) {
    double last = 0;
    for (std::uint64_t group = 1; group <= kReconnectGroups; ++group) {
      const std::vector<double> us = Numbers(host.DataFolder(group) + "/latencies");
      if (us.size() != outages.size()) {
        Fail("reconnect: found " + std::to_string(us.size()) + " events handled, wanted " +
             std::to_string(outages.size()) + "\n" + ReadFile(host.log_path()));
      }
      last = std::max(last, us[i] / 1e6);
    }
    bench->figures.Add(
        "reconnect, 5 groups",
        figure.empty() ? "gone for " + std::to_string(outages[i].count()) + " s" : figure, "s",
        last);
  }
}

void MeasureAppendOf(Bench* bench, const std::string& row, std::uint64_t streams,
                     std::uint64_t events) {
  const std::string file = bench->places.work + "/append.jsonl";
  std::ostringstream lines;
  for (std::uint64_t i = 0; i < events; ++i) {
    lines << R"({"stream":"s-)" << i % streams << R"(","type":"order-placed","data":{"orderId":)"
          << i << "}}\n";
  }
  WriteFile(file, std::move(lines).str());
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    const std::string log = bench->places.work + "/append-" + std::to_string(round);
    const auto begin = std::chrono::steady_clock::now();
    Process append({bench->places.programs + "/catchup", "append", "--to", "embedded:" + log, file},
                   bench->places.work + "/append.out", bench->places.work + "/append.log");
    (void)append.Wait();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    bench->figures.Add(row, "catchup append", "events/s",
                       static_cast<double>(events) / took.count());
    RemoveFile(log);
  }
  RemoveFile(file);
}

void AddRing(Bench* bench, const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    char name[32];
    double rate = 0;
    double host = 0;
    double runner = 0;
    if (std::sscanf(line.c_str(), "%31s %lf events/s host %lf us/event runner %lf", name, &rate,
                    &host, &runner) == 4) {
      bench->figures.Add(name, "events", "events/s", rate);
      bench->figures.Add(name, "host's side, processor", "us/event", host);
      bench->figures.Add(name, "runner, processor", "us/event", runner);
    }
  }
}

}  // namespace

void MeasureLive(Bench* bench) {
  const LogServer server(bench->places, "live-log", 0, 256);
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    const std::vector<double> loop = LatenciesOfLoop(*bench, server.address());
    const std::vector<double> host = LatenciesOfHost(*bench, server.address());
    for (const auto& [part, name] : {std::pair(0.5, "p50"), std::pair(0.99, "p99")}) {
      const double of_loop = Quantile(loop, part);
      const double of_host = Quantile(host, part);
      const std::string figure = name;
      bench->figures.Add("live, 200 events/s", figure + ", bare loop", "us", of_loop);
      bench->figures.Add("live, 200 events/s", figure + ", host", "us", of_host);
      bench->figures.Add("live, 200 events/s", figure + ", added", "us", of_host - of_loop);
    }
  }
}

void MeasureGroups(Bench* bench) {
  MeasureManyGroups(bench, "200 groups, empty log", kGroups, 0);
  MeasureManyGroups(bench, "200 groups, 10,000", kGroups, 10'000);
  MeasureManyGroups(bench, "1,000 groups, empty", 1000, 0);
}

void MeasureAppend(Bench* bench) {
  MeasureAppendOf(bench, "append, one stream", 1, 200'000);
  MeasureAppendOf(bench, "append, 50,000", 50'000, 200'000);
}

// Every second event kills the runner once, so that each death finds one settled since the last and
// costs no back-off; the plugin notes when it dies and when it is called again.
void MeasureRespawn(Bench* bench) {
  constexpr std::uint64_t kDeaths = 200;
  const LogServer server(bench->places, "respawn", 2 * kDeaths, 256);
  HostOptions options;
  options.address = server.address();
  options.plugin = "dying_plugin.so";
  options.projection = "dying";
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    HostRun host(bench->places, options, true);
    (void)host.process()->Wait();
    const std::vector<double> numbers = Numbers(host.DataFolder(1) + "/respawns");
    if (numbers.size() != kDeaths) {
      Fail("respawn: found " + std::to_string(numbers.size()) +
           " deaths that were made good, "
           "wanted " +
           std::to_string(kDeaths) + "\n" + ReadFile(host.log_path()));
    }
    bench->figures.Add("respawn after SIGSEGV", "p50", "ms", Quantile(numbers, 0.5));
    bench->figures.Add("respawn after SIGSEGV", "p99", "ms", Quantile(numbers, 0.99));
  }
}

void MeasureParts(Bench* bench) {
  const std::string out = bench->places.work + "/parts";
  const std::string store = bench->places.work + "/store";
  std::filesystem::create_directory(store);
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    Process ring(
        {bench->places.programs + "/ring_bench", bench->places.programs + "/catchup-runner",
         bench->places.programs + "/noop_plugin.so"},
        out, out + ".log");
    (void)ring.Wait();
    AddRing(bench, ReadFile(out));
    Process commits({bench->places.programs + "/checkpoint_commits", store}, out, out + ".log");
    (void)commits.Wait();
    double p50 = 0;
    double p99 = 0;
    double cpu = 0;
    if (std::sscanf(ReadFile(out).c_str(), "%*d commits: p50 %lf us, p99 %lf us, processor %lf",
                    &p50, &p99, &cpu) != 3) {
      Fail("checkpoint_commits printed: " + ReadFile(out));
    }
    bench->figures.Add("checkpoint commit", "p50", "us", p50);
    bench->figures.Add("checkpoint commit", "p99", "us", p99);
    bench->figures.Add("checkpoint commit", "processor", "us", cpu);
  }
}

void MeasureReconnect(Bench* bench) {
  using std::chrono::seconds;
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    MeasureReconnectOnce(bench, {seconds(2), seconds(10), seconds(30), seconds(120)}, "");
    MeasureReconnectOnce(bench, std::vector<seconds>(5, seconds(1)), "restarted in a row");
  }
}

std::span<const Part> Parts() {
  static constexpr Part kParts[] = {
      {"catch-up", "host beside loops over one log, 256 B: batch, single, window, jsonl, 1 %",
       MeasureCatchUp, true},
      {"sizes", "the same with 64 B and 4 KiB", MeasureSizes, true},
      {"order-totals", "the example beside a hand-written loop", MeasureOrderTotals, true},
      {"live", "from append to handler, beside a loop", MeasureLive, true},
      {"groups", "200 and 1,000 groups: start, catch-up, threads, memory, idle", MeasureGroups,
       true},
      {"append", "into an embedded log", MeasureAppend, true},
      {"respawn", "from a runner's SIGSEGV to the next event handled", MeasureRespawn, true},
      {"letters", "dead letters: a commit, 10,000 REJECTs, a full store, an outage", MeasureLetters,
       true},
      {"parts", "ring and runner alone, checkpoint commits", MeasureParts, true},
      {"reconnect", "from a server that is back to the next event of 5 groups", MeasureReconnect,
       false},
      {"network", "from a reset to the next event, and until a silent connection is found",
       MeasureNetwork, false},
      {"large", "catch-up over ten times as many events", MeasureLargeLog, false},
  };
  return kParts;
}

}  // namespace catchup::bench
