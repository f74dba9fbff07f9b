#include "host/daemon/runner/runner_link.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "host/base/signals.h"
#include "host/base/time_text.h"
#include "host/ring/contract/calls.h"
#include "host/ring/contract/exits.h"

namespace catchup {
namespace {

// The most that one look at the clock may add; looks come at least twice as often.
constexpr std::chrono::seconds kLongestStep{1};

constexpr std::size_t kMaxOutputLine = 4096;
constexpr std::size_t kMaxOutputLines = 100;

// Bytes taken from the pipe at once, so that a runner that floods it cannot hold the host up.
constexpr std::size_t kMaxOutputRead = 64u << 10;
constexpr std::size_t kMaxLastWords = 2u << 20;

// The two reports of one crash follow each other within a fraction of a second, unless the process
// is killed between them, or its unwinder hangs.
constexpr std::chrono::seconds kSecondReportWait{5};

constexpr std::string_view kStartTimeout = "start_timeout";

}  // namespace

std::string RunnerLink::Overdue::LimitText() const {
  // The call that runs when that limit is over may be the shortest of those that share it.
  const std::string_view counted =
      limit == kStartTimeout ? ", counted from the runner's start" : "";
  return fmt::format("{} = {}{}", limit, DescribeDuration(limit_value), counted);
}

std::optional<RunnerLink::Overdue> RunnerLink::CheckClock(Clock::time_point now,
                                                          const Limits& limits) {
  const CallInProgress call = rings_->call();
  const auto passed = std::min<std::chrono::nanoseconds>(now - checked_at_, kLongestStep);
  checked_at_ = now;
  since_spawn_ += passed;
  since_call_ += passed;
  if (!ready_) {
    if (since_spawn_ <= limits.start_timeout) {
      return std::nullopt;
    }
    // Between two of them when none is running.
    const std::string in = call.running() ? std::string(CallName(call.kind)) : "set-up";
    return Overdue{in, 0, kStartTimeout, limits.start_timeout};
  }
  if (call.number != watched_number_ || (!call.running() && rings_->idle())) {
    watched_number_ = call.number;
    since_call_ = {};
    return std::nullopt;
  }
  // An event that it does not take although it could: perhaps it was never woken. Also where it
  // says that a call runs: a stray write may have put the word back, and only a runner that wakes
  // finds that. One that really is in a call does not notice.
  rings_->Nudge();
  if (since_call_ <= limits.handler_timeout) {
    return std::nullopt;
  }
  if (!call.running()) {
    return Overdue{"taking the next event", 0, "handler_timeout", limits.handler_timeout};
  }
  return Overdue{std::string(CallName(call.kind)), tickets_.ItemOf(call.ticket), "handler_timeout",
                 limits.handler_timeout};
}

RunnerLink::Output RunnerLink::ReadOutput(ReadHow how) {
  Output output;
  const auto end_line = [&] {
    if (auto crash = ParseCrashLine(partial_line_)) {
      if (crash->pid == process_->pid()) {
        crash_ = std::move(crash);
      } else {
        TakeOtherCrash(*std::move(crash), &output);
      }
    } else if (output.lines.size() < kMaxOutputLines) {
      output.lines.push_back(std::move(partial_line_));
    } else {
      ++output.lines_left_out;
    }
    partial_line_.clear();
  };
  std::array<char, 4096> chunk;
  // A pipe holds less than this, and who could write more is gone.
  const std::size_t most = how == ReadHow::kToTheEnd ? kMaxLastWords : kMaxOutputRead;
  for (std::size_t total = 0; total < most;) {
    const ssize_t size = read(process_->output(), chunk.data(), chunk.size());
    if (size <= 0) {
      output.closed = size == 0 || (errno != EAGAIN && errno != EINTR);
      break;
    }
    total += static_cast<std::size_t>(size);
    for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(size))) {
      // A crash report may follow what has no line feed yet.
      const bool begins = c == kCrashMark && !partial_line_.empty();
      if (c == '\n' || begins || partial_line_.size() >= kMaxOutputLine) {
        end_line();
      }
      if (c != '\n') {
        partial_line_ += c;
      }
    }
  }
  if (how == ReadHow::kToTheEnd && !partial_line_.empty()) {
    end_line();
  }
  const bool no_more = how == ReadHow::kToTheEnd || output.closed;
  const Clock::time_point now = Clock::now();
  std::erase_if(first_reports_, [&](FirstReport& first) {
    const bool tell = no_more || now - first.since > kSecondReportWait;
    if (tell) {
      output.other_crashes.push_back(std::move(first.crash));
    }
    return tell;
  });
  return output;
}

// A report may come twice, first without its frames.
void RunnerLink::TakeOtherCrash(CrashRecord crash, Output* output) {
  const auto same = [&](const FirstReport& first) { return first.crash.pid == crash.pid; };
  const bool second = std::erase_if(first_reports_, same) > 0;
  if (first_reports_.size() + output->other_crashes.size() >= kMaxOutputLines) {
    return;
  }
  if (second || !crash.frames.empty()) {
    output->other_crashes.push_back(std::move(crash));
  } else {
    first_reports_.push_back({std::move(crash), Clock::now()});
  }
}

CrashRecord RunnerLink::Crash(const CallInProgress& call, int signal) const {
  if (crash_.has_value() && crash_->signal == signal) {
    return *crash_;
  }
  CrashRecord bare;
  bare.pid = process_->pid();
  bare.signal = signal;
  bare.call = CallName(call.kind);
  bare.ticket = call.running() ? call.ticket : 0;
  return bare;
}

RunnerLink::Ending RunnerLink::Reap() {
  const CallInProgress call = rings_->call();
  // Left so by the crash: before it the rings were right.
  const bool nonsense = rings_->broken();
  const Sequence charged = nonsense         ? kUnknownCall
                           : call.running() ? tickets_.ItemOf(call.ticket)
                                            : 0;
  const ProcessExit exit = process_->Reap();
  if (refusal_.has_value()) {
    return *refusal_;
  }
  if (hung_) {
    return {ExitClass::kHung, charged, "aborted in " + std::string(CallName(call.kind)), crash_};
  }
  const std::string in = nonsense         ? ", and which call it was in is nonsense"
                         : call.running() ? " in " + std::string(CallName(call.kind))
                                          : std::string();
  if (out_of_memory() && exit.by_signal) {
    return {ExitClass::kMemory, charged, "killed" + in + ": " + out_of_memory_, {}};
  }
  if (exit.by_signal) {
    if (killed_) {
      return {ExitClass::kKilled, charged, "killed by the host" + in, {}};
    }
    return {ExitClass::kCrash, charged, fmt::format("died of {}{}", SignalName(exit.code), in),
            Crash(call, exit.code)};
  }
  if (stopped_ && exit.code == static_cast<int>(RunnerExit::kContract)) {
    return {ExitClass::kContract,
            0,
            "in its last call or after it the plugin " +
                (breach_.empty() ? "called the host as it must not; a line of the log that says "
                                   "\"against the contract\" tells how"
                                 : breach_),
            {}};
  }
  if (stopped_) {
    return {ExitClass::kClean, 0, "", {}};
  }
  // Only before the first call into the plugin: later it may be the plugin that chose the number.
  if (exit.code == static_cast<int>(RunnerExit::kSetup) && call.number == 0 && !nonsense) {
    return {ExitClass::kSetup,
            0,
            fmt::format("it ended with exit code {} before the first call; the reason it gave, if "
                        "any, is in a line \"Runner output\"",
                        exit.code),
            {}};
  }
  // Asked for, and no plugin's own.
  if (exit.code == static_cast<int>(RunnerExit::kClean) && rings_->stop_requested() &&
      !call.running() && !nonsense) {
    return {ExitClass::kClean, 0, "", {}};
  }
  return {ExitClass::kExit,
          charged,
          fmt::format("exit code {}{}", exit.code, in.empty() ? " between two calls" : in),
          {}};
}

}  // namespace catchup
