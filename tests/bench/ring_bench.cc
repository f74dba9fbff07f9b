#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "tests/ring/spawn.h"

// ring_bench RUNNER PLUGIN [EVENTS]: ring, real runner and a plugin that does nothing, alone.
// Prints a row for handle and one for handle_batch: events/s, CPU an event of both processes, and
// the proportional resident memory of the runner before its first and after its last event.
namespace {

using namespace catchup;

constexpr std::uint64_t kEventBytes = 256;

double CpuSeconds(clockid_t clock) {
  timespec time{};
  CATCHUP_CHECK(clock_gettime(clock, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double CpuSecondsOf(pid_t pid) {
  clockid_t clock{};
  CATCHUP_CHECK(clock_getcpuclockid(pid, &clock) == 0);
  return CpuSeconds(clock);
}

long PssKiB(pid_t pid) {
  std::ifstream rollup("/proc/" + std::to_string(pid) + "/smaps_rollup");
  std::string line;
  while (std::getline(rollup, line)) {
    if (line.starts_with("Pss:")) {
      return std::strtol(line.c_str() + std::strlen("Pss:"), nullptr, 10);
    }
  }
  return -1;
}

void Wait(HostEnd* host) {
  pollfd wait{host->descriptors().host_wake, POLLIN, 0};
  (void)poll(&wait, 1, 1000);
  host->DrainWake();
}

// Waits for the runner to say how it is; ends the program unless it is ready.
void AwaitReady(HostEnd* host, RingChild* runner) {
  while (!runner->HasEnded()) {
    const auto outcome = host->PollOutcome();
    if (outcome.ok() && outcome.value().has_value()) {
      if (outcome.value()->kind == OutcomeKind::kReady) {
        return;
      }
      std::fprintf(stderr, "ring_bench: %s\n", outcome.value()->text.c_str());
      std::exit(1);
    }
    Wait(host);
  }
  std::fprintf(stderr, "ring_bench: the runner died\n");
  std::exit(1);
}

std::uint64_t Settled(HostEnd* host, RingChild* runner) {
  const auto settled = host->PollSettled();
  if (!settled.ok() || runner->HasEnded()) {
    std::fprintf(stderr, "ring_bench: %s\n",
                 settled.ok() ? "the runner died" : settled.status().message().c_str());
    std::exit(1);
  }
  return settled.value();
}

void Carry(HostEnd* host, RingChild* runner, std::uint64_t count) {
  const std::string payload(kEventBytes, 'x');
  EventView event;
  event.stream = "bench-1";
  event.type = "bench-event";
  event.data = payload;
  // As the host publishes what one read of its source gave it.
  constexpr std::uint64_t kPublishEvery = 64;
  std::uint64_t next = 1;
  std::uint64_t settled = 0;
  while (settled < count) {
    while (next <= count && host->WriteEvent(event, 1)) {
      if (next++ % kPublishEvery == 0) {
        host->Publish();
      }
    }
    host->Publish();
    settled = Settled(host, runner);
    // Half of what is under way: time enough to fill the ring again before the rest is done.
    if (settled < count && host->WakeWhenSettled(settled + (next - settled) / 2)) {
      Wait(host);
    }
  }
}

void Measure(const char* runner_path, const char* plugin, const char* projection,
             std::uint64_t count) {
  auto host = std::move(HostEnd::Create("bench")).value();
  RunnerSetup setup;
  setup.group = "bench";
  setup.projection = projection;
  setup.plugin_path = plugin;
  setup.config_json = "{}";
  CATCHUP_CHECK(host->WriteSetup(setup).ok());
  host->Publish();
  RingChild runner(runner_path, {"bench", std::to_string(getpid())}, host->descriptors());
  AwaitReady(host.get(), &runner);
  // Idle means asleep, which it says by its sleep number; a runner naps for a moment before.
  while (!host->asleep()) {
    std::this_thread::yield();
  }
  const long idle_pss = PssKiB(runner.pid());

  const double host_before = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID);
  const double runner_before = CpuSecondsOf(runner.pid());
  const auto begin = std::chrono::steady_clock::now();
  Carry(host.get(), &runner, count);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const double host_cpu = CpuSeconds(CLOCK_PROCESS_CPUTIME_ID) - host_before;
  const double runner_cpu = CpuSecondsOf(runner.pid()) - runner_before;

  const double events = static_cast<double>(count);
  std::printf(
      "ring-%-6s %11.0f events/s   host %6.3f us/event   runner %6.3f us/event   "
      "pss %5ld KiB idle, %5ld KiB after\n",
      projection, events / took.count(), host_cpu * 1e6 / events, runner_cpu * 1e6 / events,
      idle_pss, PssKiB(runner.pid()));
  host->RequestStop();
  (void)runner.Wait();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: ring_bench RUNNER PLUGIN [EVENTS]\n");
    return 2;
  }
  constexpr std::uint64_t kEvents = 5'000'000;
  const std::uint64_t count = argc == 4 ? std::strtoull(argv[3], nullptr, 10) : kEvents;
  Measure(argv[1], argv[2], "plain", count);
  Measure(argv[1], argv[2], "batch", count);
  return 0;
}
