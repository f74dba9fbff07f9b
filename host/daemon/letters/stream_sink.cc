#include "host/daemon/letters/stream_sink.h"

#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "host/base/wait.h"

namespace catchup {
namespace {

// The most of one append: a node's own limit by default is 1 MiB, with what it adds to an event.
constexpr std::size_t kMaxAppend = (1u << 20) - (16u << 10);

// Between two looks at whether an answer is still wanted.
constexpr int kLookEveryMs = 50;

NewEvent MakeEvent(const LetterStep& step, std::string_view group) {
  NewEvent event;
  event.id = step.Id(group);
  event.type = std::string(StreamSink::kEventType);
  event.data = step.Object(kMaxAppend);
  event.is_json = true;
  return event;
}

}  // namespace

Status StreamSink::Deliver(std::span<const LetterStep> steps) {
  std::vector<NewEvent> events;
  std::size_t bytes = 0;
  for (const LetterStep& step : steps) {
    NewEvent event = MakeEvent(step, group_);
    if (!events.empty() && bytes + event.size() > kMaxAppend) {
      CATCHUP_RETURN_IF_ERROR(Append(events));
      events.clear();
      bytes = 0;
    }
    bytes += event.size();
    events.push_back(std::move(event));
  }
  return Append(events);
}

Status StreamSink::Append(std::span<const NewEvent> events) {
  if (!appender_) {
    CATCHUP_ASSIGN_OR_RETURN(const ConnectionOptions server, server_());
    CATCHUP_ASSIGN_OR_RETURN(appender_, Appender::Open(server));
  }
  std::vector<const NewEvent*> pointers;
  for (const NewEvent& event : events) {
    pointers.push_back(&event);
  }
  const auto answer = Await(appender_->Append(stream_, ExpectedStream(), pointers));
  const Status status = answer.ok() ? answer->status : answer.status();
  if (status.ok()) {
    return status;
  }
  // An append that has no answer yet may still be made by the one that asked for it.
  appender_.reset();
  // Some of them are there, from a delivery that failed: one by one the server knows them.
  if (answer.ok() && answer->conflict && events.size() > 1) {
    for (const NewEvent& event : events) {
      CATCHUP_RETURN_IF_ERROR(Append({&event, 1}));
    }
    return {};
  }
  return status.Within("stream " + stream_);
}

Result<AppendAnswer> StreamSink::Await(std::uint64_t request) {
  while (true) {
    for (AppendAnswer& answer : appender_->Take()) {
      if (answer.number == request) {
        return std::move(answer);
      }
    }
    if (cancelled_) {
      return Status::Cancelled("the delivery was cut short");
    }
    pollfd wake{appender_->wake(), POLLIN, 0};
    int wait_ms = kLookEveryMs;
    if (const auto deadline = appender_->deadline(); deadline.has_value()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      wait_ms = static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, kLookEveryMs));
    }
    (void)PollOrPause(&wake, 1, wait_ms);
  }
}

}  // namespace catchup
