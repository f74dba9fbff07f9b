// broken_network SERVER COUNT TYPE: a network before SERVER, whose address it prints. Once its
// input has ended it breaks COUNT times by a reset of every connection, each time with an event of
// TYPE appended right behind, whose data is the time of the reset; then it says "done" and goes on.
// With COUNT 0 it falls silent both ways instead.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/bench/timed_event.h"
#include "tests/proxy/fault_proxy.h"

namespace {

using catchup::bench::Clock;

// Longer than it should take to be back, so that each reset meets a call that is live.
constexpr std::chrono::milliseconds kPause{700};

void AwaitEndOfInput() {
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

void Say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

bool BreakAgainAndAgain(catchup::FaultProxy* network, const std::string& server, long count,
                        const std::string& type) {
  catchup::ConnectionOptions connection;
  connection.address = server;
  const auto appender = *catchup::Appender::Open(connection);
  for (long i = 0; i < count; ++i) {
    const Clock::time_point reset = Clock::now();
    network->Reset();
    const catchup::Status status =
        catchup::bench::AppendTimed(appender.get(), "network", type, reset);
    if (!status.ok()) {
      std::fprintf(stderr, "broken_network: %s\n", status.message().c_str());
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: broken_network SERVER COUNT TYPE\n");
    return 2;
  }
  catchup::FaultProxy network(argv[1]);
  Say(network.address());
  AwaitEndOfInput();
  const long count = std::strtol(argv[2], nullptr, 10);
  if (count == 0) {
    network.Set({.kind = catchup::Fault::Kind::kSwallow});
  } else if (!BreakAgainAndAgain(&network, argv[1], count, argv[3])) {
    return 1;
  }
  Say("done");
  for (;;) {
    pause();
  }
}
