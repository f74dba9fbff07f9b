#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <string>

#include "tests/bench/rows.h"

namespace catchup::bench {
namespace {

// Refused one after the other, in ten streams: the store is all that can hold the group up.
constexpr std::uint64_t kRefused = 10'000;

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

void MeasureRefused(Bench* bench, const std::string& address) {
  HostOptions options;
  options.address = address;
  options.projection = "refuse";
  options.keys = "dead_letters.order = \"event\"";
  HostRun host(bench->places, options, false);
  host.process()->AwaitOutput(host.log_path(), "\"state\":\"caught up\"");
  const double took = host.Seconds("\"msg\":\"Host started\"", "\"state\":\"caught up\"");
  const double mib = PssKiBOf(host.process()->pid()) / 1024;
  host.process()->Signal(SIGTERM);
  (void)host.process()->Wait();
  const std::string log = ReadFile(host.log_path());
  const std::size_t end = log.find("\"msg\":\"Group ended\"");
  if (end == std::string::npos ||
      log.find("\"dlqCount\":" + std::to_string(kRefused) + ",", end) == std::string::npos) {
    Fail("found another number of letters, wanted " + std::to_string(kRefused) + "\n" + log);
  }
  bench->figures.Add("10,000 REJECTs", "letters", "letters/s",
                     static_cast<double>(kRefused) / took);
  bench->figures.Add("10,000 REJECTs", "memory of the host", "MiB", mib);
}

}  // namespace

void MeasureLetters(Bench* bench) {
  const LogServer server(bench->places, "refused", kRefused, 256);
  for (std::uint64_t round = 0; round < bench->rounds; ++round) {
    MeasureCommits(bench);
    MeasureRefused(bench, server.address());
  }
}

}  // namespace catchup::bench
