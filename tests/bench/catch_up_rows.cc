#include <string>
#include <vector>

#include "tests/bench/rows.h"

namespace catchup::bench {
namespace {

struct Reading {
  double seconds = 0;
  Cost cost;
};

// What a loop prints: "events N, seconds S, …".
Reading RunLoop(const Places& places, std::vector<std::string> arguments) {
  const std::string out = places.work + "/loop";
  arguments[0] = places.programs + "/" + arguments[0];
  Process loop(arguments, out, out + ".log");
  Reading reading;
  reading.cost = loop.Wait();
  const std::string text = ReadFile(out);
  const std::string key = "seconds ";
  const std::size_t at = text.find(key);
  if (at == std::string::npos) {
    Fail(arguments[0] + " printed: " + text);
  }
  reading.seconds = std::stod(text.substr(at + key.size()));
  return reading;
}

// From the subscription to caught up, by the host's own log: what comes before is the start, which
// a loop that only reads does not have.
Reading RunHost(const Places& places, const HostOptions& options) {
  HostRun host(places, options, true);
  Reading reading;
  reading.cost = host.process()->Wait();
  reading.seconds = host.Seconds("\"msg\":\"Subscribing\"", "\"state\":\"draining\"");
  return reading;
}

constexpr double kMillion = 1e6;

void AddReading(Bench* bench, const std::string& row, const std::string& who,
                const Reading& reading, std::uint64_t events) {
  const auto count = static_cast<double>(events);
  Figures& figures = bench->figures;
  figures.Add(row, who, "events/s", count / reading.seconds);
  figures.Add(row, who + ", processor", "us/event", reading.cost.cpu_seconds * kMillion / count);
  figures.Add(row, who + ", context switches", "per million events",
              reading.cost.context_switches * kMillion / count);
}

struct Variant {
  std::string row;
  HostOptions options;
};

// Bare loop, the loop on our own decoder and every variant of the host over one log of `events`.
void Compare(Bench* bench, const std::string& address, const std::string& prefix,
             std::uint64_t events, const std::vector<Variant>& variants) {
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    const Reading bare = RunLoop(bench->places, {"bare_loop", address, prefix});
    const Reading own = RunLoop(bench->places, {"source_loop", address, prefix});
    for (const Variant& variant : variants) {
      HostOptions options = variant.options;
      options.address = address;
      options.prefix = prefix;
      const Reading host = RunHost(bench->places, options);
      if (&variant == &variants.front()) {
        AddReading(bench, variant.row, "bare loop", bare, events);
        AddReading(bench, variant.row, "loop on our decoder", own, events);
      }
      AddReading(bench, variant.row, "host", host, events);
      Figures& figures = bench->figures;
      figures.Add(variant.row, "host to bare loop, speed", "ratio", bare.seconds / host.seconds);
      figures.Add(variant.row, "host to our decoder's, speed", "ratio", own.seconds / host.seconds);
      figures.Add(variant.row, "host to bare loop, processor", "ratio",
                  host.cost.cpu_seconds / bare.cost.cpu_seconds);
    }
  }
}

HostOptions With(const std::string& plugin, const std::string& projection, std::uint64_t window = 0,
                 const std::string& config = {}) {
  HostOptions options;
  options.plugin = plugin;
  options.projection = projection;
  options.window = window;
  options.config = config;
  return options;
}

}  // namespace

void MeasureCatchUp(Bench* bench) {
  const LogServer server(bench->places, "log", bench->events, 256);
  Compare(bench, server.address(), "", bench->events,
          {{"256 B, batch", With("noop_plugin.so", "batch")},
           {"256 B, single", With("noop_plugin.so", "plain")},
           {"256 B, window 1024", With("noop_plugin.so", "batch", 1024)},
           {"256 B, jsonl", With("jsonl.so", "jsonl", 0, "file = \"events.jsonl\"")}});
  Compare(bench, server.address(), "refund-", bench->events,
          {{"256 B, 1 % matching", With("noop_plugin.so", "batch")}});
}

void MeasureSizes(Bench* bench) {
  {
    const LogServer server(bench->places, "small", bench->events, 64);
    Compare(bench, server.address(), "", bench->events,
            {{"64 B, batch", With("noop_plugin.so", "batch")}});
  }
  const std::uint64_t fewer = bench->events / 4;
  const LogServer server(bench->places, "large", fewer, 4096);
  Compare(bench, server.address(), "", fewer, {{"4 KiB, batch", With("noop_plugin.so", "batch")}});
}

void MeasureLargeLog(Bench* bench) {
  const std::uint64_t events = bench->events * 10;
  const LogServer server(bench->places, "long", events, 256);
  Compare(bench, server.address(), "", events,
          {{"256 B, ten times as many", With("noop_plugin.so", "batch")}});
}

void MeasureOrderTotals(Bench* bench) {
  const LogServer server(bench->places, "orders", bench->events, 256);
  const std::string row = "order_totals";
  const std::uint64_t orders = bench->events / 2;
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    const std::string database = bench->places.work + "/loop.db";
    for (const char* suffix : {"", "-wal", "-shm"}) {
      RemoveFile(database + suffix);
    }
    const Reading loop = RunLoop(bench->places, {"order_loop", server.address(), database});
    HostOptions options = With("order_totals.so", "order-totals", 0, "database = \"totals.db\"");
    options.address = server.address();
    options.prefix = "order-";
    const Reading host = RunHost(bench->places, options);
    AddReading(bench, row, "hand-written loop", loop, orders);
    AddReading(bench, row, "host", host, orders);
    bench->figures.Add(row, "host to hand-written loop, speed", "ratio",
                       loop.seconds / host.seconds);
  }
}

}  // namespace catchup::bench
