#include "host/daemon/runner_link.h"

#include <string.h>
#include <unistd.h>

#include <array>

#include "host/runner/instance.h"
#include "host/runner/loop.h"

namespace catchup {
namespace {

// load, create, start and load_position together (rule H8).
constexpr std::chrono::seconds kSetupLimit{30};

constexpr std::size_t kMaxOutputLine = 4096;

// Bytes taken from the pipe at once, so that a runner that floods it cannot hold the host up.
constexpr std::size_t kMaxOutputRead = 64u << 10;

std::string SignalText(int number) {
  const char* name = sigabbrev_np(number);
  return name != nullptr ? "SIG" + std::string(name) : "signal " + std::to_string(number);
}

}  // namespace

std::optional<RunnerLink::Overdue> RunnerLink::CheckClock(
    Clock::time_point now, std::chrono::nanoseconds handler_timeout) {
  const CallInProgress call = rings_->call();
  if (!ready_) {
    if (now - spawned_ <= kSetupLimit) {
      return std::nullopt;
    }
    return Overdue{std::string(CallName(call.kind)), 0};
  }
  if (call.number != watched_number_ || (!call.running() && rings_->idle())) {
    watched_number_ = call.number;
    watched_since_ = now;
    return std::nullopt;
  }
  if (now - watched_since_ <= handler_timeout) {
    return std::nullopt;
  }
  if (!call.running()) {
    return Overdue{"taking the next event", 0};
  }
  return Overdue{std::string(CallName(call.kind)), call.sequence};
}

std::vector<std::string> RunnerLink::ReadOutput() {
  std::vector<std::string> lines;
  std::array<char, 4096> chunk;
  for (std::size_t total = 0; total < kMaxOutputRead;) {
    const ssize_t size = read(process_->output(), chunk.data(), chunk.size());
    if (size <= 0) {
      break;
    }
    total += static_cast<std::size_t>(size);
    for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(size))) {
      if (c == '\n' || partial_line_.size() >= kMaxOutputLine) {
        lines.push_back(std::move(partial_line_));
        partial_line_.clear();
      }
      if (c != '\n') {
        partial_line_ += c;
      }
    }
  }
  return lines;
}

RunnerLink::Ending RunnerLink::Reap() {
  const CallInProgress call = rings_->call();
  const Sequence charged = call.running() ? call.sequence : 0;
  const ProcessExit exit = process_->Reap();
  if (refusal_.has_value()) {
    return *refusal_;
  }
  if (hung_) {
    return {ExitClass::kHung, charged, std::string(CallName(call.kind)) + " was aborted"};
  }
  if (exit.by_signal) {
    const std::string in =
        call.running() ? " in " + std::string(CallName(call.kind)) : std::string();
    if (killed_) {
      return {ExitClass::kUnknown, charged, "killed by the host" + in};
    }
    return {ExitClass::kCrash, charged, "died of " + SignalText(exit.code) + in};
  }
  if (stopped_) {
    return {ExitClass::kClean, 0, ""};
  }
  if (exit.code == static_cast<int>(RunnerExit::kSetup)) {
    return {ExitClass::kSetup, 0, "the runner could not set itself up; its own line says why"};
  }
  if (exit.code == static_cast<int>(RunnerExit::kClean) && !call.running()) {
    return {ExitClass::kClean, 0, ""};
  }
  return {ExitClass::kExit, charged,
          "the plugin ended the process with exit code " + std::to_string(exit.code)};
}

}  // namespace catchup
