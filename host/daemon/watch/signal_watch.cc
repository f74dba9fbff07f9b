#include "host/daemon/watch/signal_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "host/base/log.h"
#include "host/base/shortage.h"
#include "host/base/wait.h"

namespace catchup {
namespace {

// How often a host that nobody stops looks whether it is about to end by itself.
constexpr int kLookForTheEndMs = 1'000;

}  // namespace

void LogSignal(LogLevel level, std::string_view msg, const ReceivedSignal& signal) {
  // The fields only point at their texts.
  const std::string name = SignalName(signal.number);
  const std::string sender = signal.Sender();
  std::vector<LogField> fields{{"signal", static_cast<std::int64_t>(signal.number)},
                               {"signalName", name},
                               {"sender", sender}};
  if (signal.by_process) {
    fields.push_back({"senderPid", static_cast<std::int64_t>(signal.pid)});
    fields.push_back({"senderUid", static_cast<std::uint64_t>(signal.uid)});
  }
  Log(level, msg, "Host.Signal", "", fields);
}

Result<std::unique_ptr<SignalWatch>> SignalWatch::Start(const Limits& limits) {
  CATCHUP_ASSIGN_OR_RETURN(SignalInbox inbox, SignalInbox::Open());
  UniqueFd ended(eventfd(0, EFD_CLOEXEC));
  if (!ended.valid()) {
    return Status::FromErrno("receive signals (eventfd)", errno);
  }
  std::unique_ptr<SignalWatch> watch(new SignalWatch(limits, std::move(inbox), std::move(ended)));
  CATCHUP_ASSIGN_OR_RETURN(watch->thread_, StartThread([watch = watch.get()] { watch->Run(); }));
  return watch;
}

SignalWatch::SignalWatch(const Limits& limits, SignalInbox inbox, UniqueFd ended)
    : limits_(limits), inbox_(std::move(inbox)), ended_(std::move(ended)), verdict_(EXIT_FAILURE) {}

SignalWatch::~SignalWatch() {
  if (thread_.joinable()) {
    const std::uint64_t one = 1;
    (void)!write(ended_.get(), &one, sizeof one);
    thread_.join();
  }
}

std::optional<ReceivedSignal> SignalWatch::AwaitStop(std::chrono::milliseconds time) {
  const auto deadline = Clock::now() + time;
  const MutexLock lock(&mutex_);
  while (!first_stop_.has_value() && heard_.WaitUntil(&mutex_, deadline)) {
  }
  return first_stop_;
}

void SignalWatch::Deliver(OnStop on_stop) {
  const MutexLock lock(&mutex_);
  on_stop_ = std::move(on_stop);
  for (const auto& [signal, at] : undelivered_) {
    on_stop_(signal, at);
  }
  undelivered_.clear();
}

void SignalWatch::Ending(int verdict) {
  verdict_ = verdict;
  ending_ = true;
}

void SignalWatch::Run() {
  on_thread_.AssertHeld();
  bool ending = false;
  while (true) {
    pollfd waits[] = {{inbox_.fd(), POLLIN, 0}, {ended_.get(), POLLIN, 0}};
    (void)PollOrPause(waits, std::size(waits), TimeoutMs());
    if ((waits[1].revents & POLLIN) != 0) {
      return;
    }
    // An end that nobody sent a signal for has its deadline, too.
    if (ending_ && !ending) {
      ending = true;
      deadline_ =
          std::min(deadline_.value_or(Clock::time_point::max()), Clock::now() + limits_.end);
    }
    if (deadline_.has_value() && Clock::now() >= *deadline_) {
      EndWithWords("Host ended without its libraries", "they did not end in time", verdict_);
    }
    while (const auto signal = inbox_.Take()) {
      Hear(*signal);
    }
  }
}

int SignalWatch::TimeoutMs() const {
  if (!deadline_.has_value()) {
    return kLookForTheEndMs;
  }
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline_ - Clock::now());
  // No longer than that, for Ending may bring the deadline nearer.
  return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kLookForTheEndMs));
}

void SignalWatch::Hear(const ReceivedSignal& signal) {
  if (!signal.stops()) {
    LogSignal(LogLevel::kWarn,
              signal.number == SIGHUP ? "SIGHUP ignored: this version reloads by a restart"
                                      : "Signal ignored: it means nothing to a host",
              signal);
    return;
  }
  // As of now: who is told may be held up, and a signal that comes later is another one.
  const auto now = Clock::now();
  if (!deadline_.has_value()) {
    deadline_ = now + limits_.stop;
  }
  const MutexLock lock(&mutex_);
  if (on_stop_ != nullptr) {
    on_stop_(signal, now);
    return;
  }
  undelivered_.emplace_back(signal, now);
  if (!first_stop_.has_value()) {
    first_stop_ = signal;
  }
  heard_.NotifyAll();
}

}  // namespace catchup
