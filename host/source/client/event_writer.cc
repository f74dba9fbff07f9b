#include "host/source/client/event_writer.h"

#include <fmt/core.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "host/base/check.h"
#include "host/base/wait.h"

namespace catchup {
namespace {

// So many conflicts in a row, each followed by a look at the stream's end, are other writers of
// that stream. An append of the earlier run would have come by then, so the next one does not
// insist.
constexpr std::uint32_t kMaxConflicts = 8;

}  // namespace

bool EventWriter::HasRoom() const {
  return failure_.ok() && taken_bytes_ < kMaxTakenBytes && taken_events_ < kMaxTakenEvents &&
         open_.size() < kMaxOpenLines;
}

std::optional<std::uint64_t> EventWriter::first_open_line() const {
  return open_.empty() ? std::nullopt : std::optional(open_.front().line);
}

void EventWriter::Add(std::string_view stream, NewEvent event, std::uint64_t line, bool given_id) {
  Stream& to = StreamOf(stream);
  taken_bytes_ += event.size();
  ++taken_events_;
  ++to.waiting;
  const std::uint64_t index = first_index_ + open_.size();
  waiting_.emplace_hint(waiting_.end(), index, Taken{&to, std::move(event), line, index, given_id});
  open_.push_back({line, false});
}

EventWriter::Stream& EventWriter::StreamOf(std::string_view name) {
  if (streams_.size() > kMaxStreams) {
    ForgetIdleStreams();
  }
  const auto [found, is_new] = streams_.try_emplace(std::string(name));
  if (is_new) {
    found->second.name = found->first;
    if (options_.resume_since.has_value()) {
      to_ask_.push_back(&found->second);
    }
  }
  return found->second;
}

void EventWriter::ForgetIdleStreams() {
  std::erase_if(to_ask_, [](const Stream* stream) { return stream->waiting == 0; });
  std::erase_if(streams_,
                [](const auto& entry) { return !entry.second.busy && entry.second.waiting == 0; });
}

void EventWriter::Send() {
  AskForEnds();
  while (failure_.ok() && !waiting_.empty() && requests_.size() < kMaxInFlight &&
         bytes_in_flight_ < kMaxInFlightBytes) {
    const Taken& next = waiting_.begin()->second;
    Stream* const stream = next.stream;
    // One that is too large for a server ends the call with it, and what is not answered by then
    // would be named in its place.
    const bool goes_alone = next.event.size() > kMaxBatchBytes;
    if (stream->busy || (goes_alone && bytes_in_flight_ > 0) || !Prepare(next)) {
      return;
    }
    if (FillAppend(stream)) {
      SendAppend(stream);
    }
  }
}

bool EventWriter::Prepare(const Taken& next) {
  if (options_.resume_since.has_value()) {
    if (!next.stream->end_known) {
      AskForEnd(next.stream);
    }
    return next.stream->end_known;
  }
  // Events without an id of their own are known to be new.
  if (next.given_id && !std::exchange(head_asked_, true)) {
    requests_.emplace(appender_->ReadHead(), Request{Kind::kHead, nullptr});
  }
  return !head_asked_ || head_known_;
}

// Asks before the streams' turns come, so that many requests are on their way at a time.
void EventWriter::AskForEnds() {
  // Leaves room for the appends that they are asked for.
  while (failure_.ok() && !to_ask_.empty() && requests_.size() < kMaxInFlight / 2) {
    Stream* const stream = to_ask_.front();
    to_ask_.pop_front();
    if (!stream->busy && !stream->end_known) {
      AskForEnd(stream);
    }
  }
}

void EventWriter::AskForEnd(Stream* stream) {
  stream->busy = true;
  requests_.emplace(appender_->ReadEnd(stream->name, *options_.resume_since),
                    Request{Kind::kEnd, stream});
}

// Moves what goes into the next append from waiting to in flight, passing over what is in the log.
// False if there is nothing.
bool EventWriter::FillAppend(Stream* stream) {
  while (!waiting_.empty() && waiting_.begin()->second.stream == stream) {
    Taken& next = waiting_.begin()->second;
    // It waits until the head is known, and what stands before it need not.
    if (next.given_id && !options_.resume_since.has_value() && !head_known_) {
      break;
    }
    if (stream->there.contains(next.event.id)) {
      Confirm(next);
      ++already_there_;
    } else if (Fits(*stream, next)) {
      stream->bytes_in_flight += next.event.size();
      stream->in_flight.push_back(std::move(next));
    } else {
      break;
    }
    --stream->waiting;
    waiting_.erase(waiting_.begin());
  }
  return !stream->in_flight.empty();
}

bool EventWriter::Fits(const Stream& stream, const Taken& next) {
  if (stream.in_flight.empty()) {
    return true;
  }
  if (stream.alone > 0 || stream.in_flight.size() >= kMaxBatchEvents ||
      stream.bytes_in_flight + next.event.size() > kMaxBatchBytes) {
    return false;
  }
  // Within one append a server does not recognise an id that comes twice.
  return !next.given_id ||
         std::none_of(stream.in_flight.begin(), stream.in_flight.end(),
                      [&](const Taken& taken) { return taken.event.id == next.event.id; });
}

void EventWriter::SendAppend(Stream* stream) {
  // An id of the file's own may be in the stream since long before, which only the server can know,
  // and it looks only if it is told of no revision.
  const bool given = std::any_of(stream->in_flight.begin(), stream->in_flight.end(),
                                 [](const Taken& taken) { return taken.given_id; });
  stream->insists = options_.resume_since.has_value() && !given && stream->tries < kMaxConflicts;
  ExpectedStream expected;
  if (stream->insists) {
    expected.kind = stream->last_revision.has_value() ? ExpectedStream::Kind::kRevision
                                                      : ExpectedStream::Kind::kNone;
    expected.revision = stream->last_revision.value_or(0);
  }
  std::vector<const NewEvent*> events;
  events.reserve(stream->in_flight.size());
  for (const Taken& taken : stream->in_flight) {
    events.push_back(&taken.event);
  }
  stream->busy = true;
  bytes_in_flight_ += stream->bytes_in_flight;
  requests_.emplace(appender_->Append(stream->name, expected, events),
                    Request{Kind::kAppend, stream});
}

Status EventWriter::TakeAnswers() {
  for (AppendAnswer& answer : appender_->Take()) {
    TakeAnswer(std::move(answer));
  }
  return failure_;
}

void EventWriter::TakeAnswer(AppendAnswer answer) {
  const auto found = requests_.find(answer.number);
  CATCHUP_CHECK(found != requests_.end());
  const Request request = found->second;
  requests_.erase(found);
  if (request.kind == Kind::kHead) {
    TakeHead(std::move(answer));
    return;
  }
  Stream* const stream = request.stream;
  stream->busy = false;
  if (request.kind == Kind::kEnd) {
    TakeEnd(stream, std::move(answer));
  } else {
    const std::uint64_t bytes = std::exchange(stream->bytes_in_flight, 0);
    bytes_in_flight_ -= bytes;
    if (answer.status.ok()) {
      TakeAppended(stream, answer);
    } else if (answer.conflict) {
      TakeConflict(stream, answer);
    } else if (stream->in_flight.size() == 1 &&
               (answer.status.code() == Status::Code::kInvalid ||
                answer.status.code() == Status::Code::kExhausted)) {
      // It is this event that is refused, often for its size, which not every server names.
      Fail(answer.status.Within(
          fmt::format("line {}, an event of {} bytes", stream->in_flight.front().line, bytes)));
    } else {
      Fail(answer.status);
    }
  }
}

void EventWriter::TakeHead(AppendAnswer answer) {
  // Whoever may append to a stream need not be allowed to read the log; nothing depends on it but
  // what the summary counts.
  if (!answer.status.ok() && answer.status.code() != Status::Code::kDenied) {
    Fail(answer.status);
    return;
  }
  head_known_ = true;
  head_ = answer.position;
}

void EventWriter::TakeEnd(Stream* stream, AppendAnswer answer) {
  if (!answer.status.ok()) {
    Fail(answer.status);
    return;
  }
  stream->end_known = true;
  // What a conflict has told is kept where the events themselves can be seen no more.
  if (answer.revision.has_value()) {
    stream->last_revision = std::max(answer.revision, stream->last_revision);
  }
  stream->there.insert(answer.ids.begin(), answer.ids.end());
}

// A repetition is of all events of an append, so one that cannot be a repetition tells for all.
bool EventWriter::WasThere(const Stream& stream, const AppendAnswer& answer) const {
  const bool all_given = std::all_of(stream.in_flight.begin(), stream.in_flight.end(),
                                     [](const Taken& taken) { return taken.given_id; });
  if (!all_given) {
    return false;
  }
  return !answer.position.has_value() || (head_.has_value() && *answer.position <= *head_) ||
         (stream.last_revision.has_value() && answer.revision <= stream.last_revision);
}

void EventWriter::TakeAppended(Stream* stream, const AppendAnswer& answer) {
  (WasThere(*stream, answer) ? already_there_ : written_) += stream->in_flight.size();
  for (const Taken& taken : stream->in_flight) {
    Confirm(taken);
    if (options_.resume_since.has_value() && taken.given_id) {
      stream->there.insert(taken.event.id);
    }
  }
  stream->alone -= std::min(stream->alone, stream->in_flight.size());
  stream->in_flight.clear();
  stream->tries = 0;
  stream->end_known = answer.revision.has_value();
  stream->last_revision = std::max(stream->last_revision, answer.revision);
}

// Some of the ids are in the stream and others are not, or, when resuming, the stream has grown.
void EventWriter::TakeConflict(Stream* stream, const AppendAnswer& answer) {
  const std::size_t count = stream->in_flight.size();
  if (!stream->insists && count == 1) {
    Fail(answer.status);
    return;
  }
  if (stream->insists) {
    ++stream->tries;
    stream->end_known = false;
    stream->last_revision = answer.revision;
  } else {
    // One by one each is either written or recognised.
    stream->alone = count;
  }
  for (Taken& taken : std::exchange(stream->in_flight, {})) {
    ++stream->waiting;
    const std::uint64_t index = taken.index;
    waiting_.emplace(index, std::move(taken));
  }
}

void EventWriter::Confirm(const Taken& taken) {
  taken_bytes_ -= taken.event.size();
  --taken_events_;
  open_[taken.index - first_index_].confirmed = true;
  while (!open_.empty() && open_.front().confirmed) {
    open_.pop_front();
    ++first_index_;
  }
}

void EventWriter::Fail(const Status& status) {
  if (failure_.ok()) {
    failure_ = status;
  }
}

Status EventWriter::Flush() {
  while (true) {
    Send();
    if (idle()) {
      return failure_;
    }
    int wait_ms = -1;
    if (const auto deadline = appender_->deadline()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          *deadline - std::chrono::steady_clock::now());
      wait_ms = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    pollfd wake{appender_->wake(), POLLIN, 0};
    (void)PollOrPause(&wake, 1, wait_ms);
    (void)TakeAnswers();
  }
}

}  // namespace catchup
