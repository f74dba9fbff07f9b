#include "host/base/random.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <random>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

bool ReadDevice(std::uint64_t* number) {
  const UniqueFd device(open("/dev/urandom", O_RDONLY | O_CLOEXEC));
  return device.valid() && read(device.get(), number, sizeof *number) == sizeof *number;
}

// Made of what differs between calls and machines.
std::uint64_t Mix() {
  static std::atomic<std::uint64_t> calls = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  const auto ticks = std::chrono::steady_clock::now().time_since_epoch().count();
  std::seed_seq seed{static_cast<std::uint64_t>(now), static_cast<std::uint64_t>(ticks),
                     static_cast<std::uint64_t>(getpid()),
                     static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&calls)),
                     calls.fetch_add(1)};
  std::mt19937_64 engine(seed);
  return engine();
}

}  // namespace

std::uint64_t RandomNumber() {
  std::uint64_t number = 0;
  if (getrandom(&number, sizeof number, GRND_NONBLOCK) == sizeof number || ReadDevice(&number)) {
    return number;
  }
  return Mix();
}

}  // namespace catchup
