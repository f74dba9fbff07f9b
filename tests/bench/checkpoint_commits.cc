// checkpoint_commits FOLDER [COMMITS]: what one commit of a checkpoint costs on the disk of FOLDER:
// the median of its time, and the processor time of this process for each.
//
// The record has everything that a record can have, so that a slot is as full as it gets.

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "host/store/checkpoint_store.h"

namespace {

constexpr int kUsualCommits = 1500;

std::chrono::nanoseconds ProcessorTime() {
  timespec now{};
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

catchup::CheckpointRecord FullRecord(const catchup::CheckpointRecord& found) {
  catchup::CheckpointRecord record = found;
  record.witnesses.clear();
  for (std::uint64_t i = 0; i < catchup::kMaxWitnesses; ++i) {
    record.witnesses.push_back({{100 - i, 100 - i}, {}, i, std::string(40, 's')});
  }
  return record;
}

double Microseconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: checkpoint_commits FOLDER [COMMITS]\n");
    return 2;
  }
  const int commits = argc > 2 ? std::max(1, std::atoi(argv[2])) : kUsualCommits;
  auto store = catchup::CheckpointStore::Open(
      argv[1], "bench", {catchup::EventFilter::Match::kEventType, {"order-"}});
  if (!store.ok()) {
    std::fprintf(stderr, "%s\n", store.status().message().c_str());
    return 1;
  }
  catchup::CheckpointRecord record = FullRecord((*store)->record());
  std::uint64_t at = record.checkpoint ? record.checkpoint->commit : 0;
  std::vector<std::chrono::nanoseconds> times;
  const auto cpu_before = ProcessorTime();
  for (int i = 0; i < commits; ++i) {
    ++at;
    record.checkpoint = catchup::Position{at, at};
    const auto before = std::chrono::steady_clock::now();
    if (const catchup::Status saved = (*store)->Save(record); !saved.ok()) {
      std::fprintf(stderr, "%s\n", saved.message().c_str());
      return 1;
    }
    times.push_back(std::chrono::steady_clock::now() - before);
  }
  const auto cpu = ProcessorTime() - cpu_before;
  std::sort(times.begin(), times.end());
  std::printf("%d commits: p50 %.0f us, p99 %.0f us, processor %.0f us a commit\n", commits,
              Microseconds(times[times.size() / 2]), Microseconds(times[times.size() * 99 / 100]),
              Microseconds(cpu) / commits);
  return 0;
}
