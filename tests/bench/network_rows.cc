#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/bench/rows.h"

namespace catchup::bench {
namespace {

constexpr const char* kType = "network-measured";
constexpr std::uint64_t kResets = 50;

// A live group behind a network that breaks when it is told to.
class BrokenRun {
 public:
  BrokenRun(const Bench& bench, const std::string& server, std::uint64_t resets)
      : out_(bench.places.work + "/network"),
        network_({bench.places.programs + "/broken_network", server, std::to_string(resets), kType},
                 out_, out_ + ".log") {
    network_.AwaitOutput(out_, "\n");
    HostOptions options;
    options.address = ReadFile(out_);
    options.address.erase(options.address.find('\n'));
    options.plugin = "latency_plugin.so";
    options.projection = "latency";
    options.prefix = kType;
    options.start = "end";
    host_ = std::make_unique<HostRun>(bench.places, options, false);
    host_->process()->AwaitOutput(host_->log_path(), "\"state\":\"caught up\"");
  }

  HostRun* host() { return host_.get(); }
  void Break() { network_.CloseInput(); }
  void AwaitDone() { network_.AwaitOutput(out_, "done"); }

 private:
  std::string out_;
  Process network_;
  std::unique_ptr<HostRun> host_;
};

// From each reset to the handler of the event that was appended right behind it.
void MeasureResets(Bench* bench, const std::string& server) {
  BrokenRun run(*bench, server, kResets);
  run.Break();
  run.AwaitDone();
  run.host()->Stop();
  const std::vector<double> us = Numbers(run.host()->DataFolder(1) + "/latencies");
  if (us.size() != kResets) {
    Fail("network: found " + std::to_string(us.size()) + " events handled, wanted " +
         std::to_string(kResets) + "\n" + ReadFile(run.host()->log_path()));
  }
  for (const auto& [part, name] : {std::pair(0.5, "p50"), std::pair(0.99, "p99")}) {
    bench->figures.Add("resume after a reset", name, "ms", Quantile(us, part) / 1e3);
  }
  bench->figures.Add("resume after a reset", "longest", "ms",
                     *std::max_element(us.begin(), us.end()) / 1e3);
}

// From when nothing arrives any more to the word of the group that it has lost its call.
void MeasureSilence(Bench* bench, const std::string& server) {
  BrokenRun run(*bench, server, 0);
  const auto begin = std::chrono::steady_clock::now();
  run.Break();
  run.host()->process()->AwaitOutput(run.host()->log_path(), "\"Subscription dropped\"");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  bench->figures.Add("half-open connection", "found after", "s", took.count());
}

}  // namespace

void MeasureNetwork(Bench* bench) {
  const LogServer server(bench->places, "network-log", 0, 256);
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    MeasureResets(bench, server.address());
    MeasureSilence(bench, server.address());
  }
}

}  // namespace catchup::bench
