// live_append ADDRESS COUNT RATE TYPE [STREAMS]: appends COUNT events, RATE a second, each by
// itself, whose data is the time of its making in nanoseconds of CLOCK_MONOTONIC as text. With
// STREAMS they go to so many in turn, and those of each fifth one are of type TYPE-other.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/bench/timed_event.h"

int main(int argc, char** argv) {
  if (argc != 5 && argc != 6) {
    std::fprintf(stderr, "usage: live_append ADDRESS COUNT RATE TYPE [STREAMS]\n");
    return 2;
  }
  catchup::ConnectionOptions connection;
  connection.address = argv[1];
  const auto appender = *catchup::Appender::Open(connection);
  const long count = std::strtol(argv[2], nullptr, 10);
  const auto period = std::chrono::nanoseconds(1'000'000'000 / std::strtol(argv[3], nullptr, 10));
  const std::string type = argv[4];
  const long streams = argc == 6 ? std::strtol(argv[5], nullptr, 10) : 1;
  using catchup::bench::Clock;
  auto next = Clock::now();
  for (long i = 0; i < count; ++i) {
    std::this_thread::sleep_until(next);
    next += period;
    const std::string stream = streams == 1 ? "live" : "live-" + std::to_string(i % streams);
    const bool other = streams > 1 && i % 5 == 0;
    const catchup::Status status = catchup::bench::AppendTimed(
        appender.get(), stream, other ? type + "-other" : type, Clock::now());
    if (!status.ok()) {
      std::fprintf(stderr, "live_append: %s\n", status.message().c_str());
      return 1;
    }
  }
  return 0;
}
