// Streams/BatchAppend: many appends on one call, in pieces or whole, answered as they complete.
#include <fmt/core.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "host/base/event_size.h"
#include "host/base/mutex.h"
#include "host/source/embedded/wire/append_request.h"
#include "host/source/embedded/wire/rpc_call.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;
namespace shared = event_store::client;
using Clock = std::chrono::steady_clock;

// A node's own limit on how long an append may take, whatever its client asks for.
constexpr std::chrono::milliseconds kWriteTimeout{2000};

// Appends and bytes of one call that wait to be written or to become complete; beyond that nothing
// is read, and the client waits. Enough for a pipeline to share its syncs of the disk.
constexpr std::size_t kMaxInFlight = 256;
constexpr std::uint64_t kMaxWaitingBytes = kMaxAppendBytes;
// Replies that wait for a client which does not read them: beyond that nothing is read from it
// either. As many as may be in flight, so that a client which reads is never held up.
constexpr std::size_t kMaxUnsent = kMaxInFlight;
// Appends begun and not complete. Their timeout clears them; more at once are refused.
constexpr std::size_t kMaxBegun = 4096;

enum Code {
  kAlreadyExists = 6,
  kInvalidArgument = 3,
  kDeadline = 4,
  kNotFound = 5,
  kInternal = 13
};

struct Failure {
  int code = 0;
  std::string message;
  google::protobuf::Any details;
};

Failure MakeFailure(int code, std::string message, const google::protobuf::Message& details) {
  Failure failure{code, std::move(message), {}};
  failure.details.PackFrom(details);
  return failure;
}

Failure BadRequest(std::string text) {
  shared::BadRequest details;
  details.set_message(std::move(text));
  return MakeFailure(kInvalidArgument, "BadRequest", details);
}

// Why a node does not take an event, in its own words; empty if it takes it. In the order in which
// it looks.
std::string Complaint(const wire::BatchAppendReq::ProposedMessage& message) {
  if (!message.has_id()) {
    return "Value cannot be null. (Parameter 'dto')";
  }
  if (message.id().value_case() == shared::UUID::VALUE_NOT_SET) {
    return "Invalid argument: None (Parameter 'dto')";
  }
  if (message.id().has_string() && !ParseUuid(message.id().string())) {
    return "Unrecognized Guid format.";
  }
  const auto type = message.metadata().find("type");
  if (type == message.metadata().end() || message.metadata().count("content-type") == 0) {
    return "The given key was not present in the dictionary.";
  }
  if (!ReadUuid(message.id())) {
    return "Empty eventId provided. (Parameter 'eventId')";
  }
  return type->second.empty() ? "Empty eventType provided. (Parameter 'eventType')" : "";
}

Failure ConflictFailure(std::int64_t current, ExpectedRevision expected) {
  shared::WrongExpectedVersion details;
  if (current >= 0) {
    details.set_current_stream_revision(static_cast<std::uint64_t>(current));
  } else {
    details.mutable_current_no_stream();
  }
  switch (expected.value) {
    case ExpectedRevision::kAny:
      details.mutable_expected_any();
      break;
    case ExpectedRevision::kStreamExists:
      details.mutable_expected_stream_exists();
      break;
    case ExpectedRevision::kNoStream:
      details.mutable_expected_no_stream();
      break;
    default:
      details.set_expected_stream_position(static_cast<std::uint64_t>(expected.value));
      break;
  }
  return MakeFailure(kAlreadyExists, "WrongExpectedVersion", details);
}

// The time that a request leaves, as a node reads it.
std::chrono::nanoseconds Allowed(const wire::BatchAppendReq::Options& options) {
  using std::chrono::nanoseconds;
  using std::chrono::seconds;
  // Compared in seconds first: a client may ask for centuries.
  const auto bounded = [](std::int64_t whole, std::int64_t nanos) -> nanoseconds {
    const std::int64_t limit = std::chrono::ceil<seconds>(kWriteTimeout).count();
    if (whole > limit) {
      return kWriteTimeout;
    }
    if (whole < 0) {
      return nanoseconds(0);
    }
    return std::min<nanoseconds>(kWriteTimeout, seconds(whole) + nanoseconds(nanos));
  };
  switch (options.deadline_option_case()) {
    case wire::BatchAppendReq::Options::kDeadline:
      return bounded(options.deadline().seconds(), options.deadline().nanos());
    case wire::BatchAppendReq::Options::kDeadline21100: {
      const auto now = std::chrono::system_clock::now().time_since_epoch();
      const auto left =
          seconds(options.deadline_21_10_0().seconds()) - std::chrono::floor<seconds>(now);
      return bounded(left.count(), 0);
    }
    case wire::BatchAppendReq::Options::DEADLINE_OPTION_NOT_SET:
      break;
  }
  return kWriteTimeout;
}

class BatchAppendHandler final : public CallHandler {
 public:
  BatchAppendHandler(RpcCall& call, ServerCore& core) : call_(call), core_(core) { call_.Read(); }

  void OnMessage(const std::string& message) override {
    wire::BatchAppendReq request;
    const std::optional<Uuid> id =
        request.ParseFromString(message) ? ReadUuid(request.correlation_id()) : std::nullopt;
    if (!id) {
      call_.Finish(RpcError::Unhandled());
      return;
    }
    if (TakeChunk(*id, &request)) {
      ReadMore();
    }
  }

  // Nothing happens on half-close: a node keeps such a call open until the client cancels it.

  void OnWake() override {
    std::vector<Reply> replies;
    {
      const MutexLock lock(&mutex_);
      replies.swap(replies_);
    }
    for (Reply& reply : replies) {
      --in_flight_;
      waiting_bytes_ -= reply.bytes;
      call_.Send(std::move(reply.message));
    }
    ReadAgain();
  }

  void OnRoom() override { ReadAgain(); }

  void OnTimer() override {
    const Clock::time_point now = Clock::now();
    for (auto it = begun_.begin(); it != begun_.end();) {
      if (it->second.expires > now) {
        ++it;
        continue;
      }
      // Unlike every other reply, a node gives this one's id by its halves.
      shared::UUID structured;
      structured.mutable_structured()->set_most_significant_bits(
          static_cast<std::int64_t>(it->first.most_significant()));
      structured.mutable_structured()->set_least_significant_bits(
          static_cast<std::int64_t>(it->first.least_significant()));
      call_.Send(FailureReply(structured, it->second.stream, TimedOut()));
      waiting_bytes_ -= it->second.bytes;
      it = begun_.erase(it);
    }
    ArmTimer();
    ReadAgain();
  }

 private:
  struct Begun {
    shared::UUID correlation;
    std::string stream;
    ExpectedRevision expected;
    std::vector<NewEvent> events;
    std::uint64_t bytes = 0;
    Clock::time_point expires;
  };
  struct Reply {
    std::string message;
    std::uint64_t bytes = 0;  // Of the append that it answers.
  };

  static Failure TimedOut() { return MakeFailure(kDeadline, "Timeout", shared::Timeout()); }

  // Clients read the name of the stream without asking whether there is one, so that an empty one
  // is sent back, too, like any that was sent.
  static std::string FailureReply(const shared::UUID& correlation,
                                  const std::optional<std::string>& stream, Failure failure) {
    wire::BatchAppendResp reply;
    *reply.mutable_correlation_id() = correlation;
    reply.mutable_error()->set_code(static_cast<google::rpc::Code>(failure.code));
    reply.mutable_error()->set_message(std::move(failure.message));
    *reply.mutable_error()->mutable_details() = std::move(failure.details);
    if (stream) {
      reply.mutable_stream_identifier()->set_stream_name(*stream);
    }
    return reply.SerializeAsString();
  }

  static std::string OutcomeReply(const shared::UUID& correlation, const std::string& stream,
                                  ExpectedRevision expected, const Result<WriteOutcome>& outcome) {
    if (!outcome.ok()) {
      return FailureReply(
          correlation, stream,
          MakeFailure(kInternal, outcome.status().message(), google::protobuf::Empty()));
    }
    switch (outcome->kind) {
      case WriteOutcome::Kind::kConflict:
        return FailureReply(correlation, stream, ConflictFailure(outcome->revision, expected));
      case WriteOutcome::Kind::kStreamDeleted: {
        shared::StreamDeleted details;
        details.mutable_stream_identifier()->set_stream_name(stream);
        return FailureReply(correlation, stream, MakeFailure(kNotFound, "StreamDeleted", details));
      }
      case WriteOutcome::Kind::kWritten:
      case WriteOutcome::Kind::kRepeated:
        break;
    }
    wire::BatchAppendResp reply;
    *reply.mutable_correlation_id() = correlation;
    auto& success = *reply.mutable_success();
    if (outcome->revision >= 0) {
      success.set_current_revision(static_cast<std::uint64_t>(outcome->revision));
    } else {
      success.mutable_no_stream();
    }
    if (outcome->position != 0) {
      success.mutable_position()->set_commit_position(outcome->position);
      success.mutable_position()->set_prepare_position(outcome->position);
    } else {
      success.mutable_no_position();
    }
    reply.mutable_stream_identifier()->set_stream_name(stream);
    return reply.SerializeAsString();
  }

  void ReadMore() {
    if (in_flight_ >= kMaxInFlight || waiting_bytes_ >= kMaxWaitingBytes ||
        call_.unsent() >= kMaxUnsent) {
      paused_ = true;
      return;
    }
    call_.Read();
  }

  void ReadAgain() {
    if (std::exchange(paused_, false)) {
      ReadMore();
    }
  }

  // False when the call has ended.
  bool TakeChunk(const Uuid& id, wire::BatchAppendReq* request) {
    auto found = begun_.find(id);
    if (request->has_options()) {
      // Options that come again are checked again, and those that came first count.
      if (!Begin(id, request)) {
        return true;
      }
      found = begun_.find(id);
    }
    if (found == begun_.end()) {
      return true;  // An id that nobody began, or that has been answered.
    }
    Begun& begun = found->second;
    if (const std::string complaint = TakeEvents(&begun, request); !complaint.empty()) {
      if (!request->has_options()) {
        // A node then fails over its own answer, which would name the stream of the options.
        call_.Finish(RpcError::Unhandled());
        return false;
      }
      // On a node the append is still begun, with the events before the one that it does not take:
      // it goes on, or its clock runs out and answers a second time.
      Answer(begun.correlation, begun.stream, BadRequest(complaint));
      ArmTimer();
      return true;
    }
    if (begun.bytes > core_.max_append_bytes) {
      shared::MaximumAppendSizeExceeded details;
      details.set_maxappendsize(static_cast<std::uint32_t>(core_.max_append_bytes));
      Answer(begun.correlation, begun.stream,
             MakeFailure(kInvalidArgument, "MaximumAppendSizeExceeded", details));
      waiting_bytes_ -= begun.bytes;
      begun_.erase(found);
      return true;
    }
    if (!request->is_final()) {
      return true;
    }
    Write(std::move(begun));
    begun_.erase(found);  // Its bytes now belong to the write.
    return true;
  }

  // False when the append has been answered already. One that has begun stays as it is.
  bool Begin(const Uuid& id, wire::BatchAppendReq* request) {
    const wire::BatchAppendReq::Options& options = request->options();
    Begun begun;
    begun.correlation = request->correlation_id();
    begun.stream = options.stream_identifier().stream_name();
    const std::optional<ExpectedRevision> expected = ReadExpected<wire::BatchAppendReq::Options>(
        options.expected_stream_position_case(), wire::BatchAppendReq::Options::kStreamPosition,
        options.stream_position());
    if (!options.has_stream_identifier()) {
      Answer(begun.correlation, std::nullopt,
             BadRequest("Required field StreamIdentifier not set."));
      return false;
    }
    if (begun.stream.empty()) {
      Answer(begun.correlation, begun.stream, BadRequest("The stream name is empty."));
      return false;
    }
    const std::chrono::nanoseconds allowed = Allowed(options);
    if (allowed <= std::chrono::nanoseconds::zero()) {
      Answer(begun.correlation, begun.stream, TimedOut());
      return false;
    }
    if (begun_.count(id) != 0) {
      return true;
    }
    if (!expected && options.has_stream_position()) {
      Answer(begun.correlation, begun.stream,
             BadRequest("Specified argument was out of the range of valid values. "
                        "(Parameter 'value')"));
      return false;
    }
    if (!expected) {
      Answer(begun.correlation, begun.stream,
             BadRequest("Status(StatusCode=\"InvalidArgument\", Detail=\"'None' is not a valid "
                        "EventStore.Client.Streams.BatchAppendReq+Types+Options+"
                        "ExpectedStreamPositionOneofCase\")"));
      return false;
    }
    if (begun_.size() >= kMaxBegun) {
      Answer(
          begun.correlation, begun.stream,
          BadRequest(fmt::format("More than {} appends have begun and are not final.", kMaxBegun)));
      return false;
    }
    begun.expected = *expected;
    begun.expires = Clock::now() + std::chrono::duration_cast<Clock::duration>(allowed);
    begun_.emplace(id, std::move(begun));
    if (!request->is_final()) {
      ArmTimer();
    }
    return true;
  }

  // What is wrong with the first event that cannot be taken, or nothing.
  std::string TakeEvents(Begun* begun, wire::BatchAppendReq* request) {
    for (auto& message : *request->mutable_proposed_messages()) {
      if (std::string complaint = Complaint(message); !complaint.empty()) {
        return complaint;
      }
      begun->events.push_back(std::get<NewEvent>(TakeEvent(&message)));
      const std::uint64_t bytes = AppendBytes(begun->events.back());
      begun->bytes += bytes;
      waiting_bytes_ += bytes;
    }
    return "";
  }

  void Write(Begun begun) {
    ++in_flight_;
    core_.writer.Submit(
        {LogWriter::Append{begun.stream, begun.expected, std::move(begun.events)},
         [this, wake = call_.Waker(), correlation = std::move(begun.correlation),
          stream = begun.stream, expected = begun.expected,
          bytes = begun.bytes](const Result<WriteOutcome>& outcome) {
           Complete({OutcomeReply(correlation, stream, expected, outcome), bytes}, wake);
         }});
  }

  // A failure takes its turn behind the writes before it, as a node's answers do.
  void Answer(const shared::UUID& correlation, const std::optional<std::string>& stream,
              Failure failure) {
    ++in_flight_;
    core_.writer.Submit(
        {LogWriter::Nothing{}, [this, wake = call_.Waker(),
                                message = FailureReply(correlation, stream, std::move(failure))](
                                   const Result<WriteOutcome>&) {
           Complete({message, 0}, wake);
         }});
  }

  // Called on the writer's thread.
  void Complete(Reply reply, const std::function<void()>& wake) {
    {
      const MutexLock lock(&mutex_);
      replies_.push_back(std::move(reply));
    }
    wake();
  }

  void ArmTimer() {
    std::optional<Clock::time_point> first;
    for (const auto& [id, begun] : begun_) {
      first = first ? std::min(*first, begun.expires) : begun.expires;
    }
    if (first) {
      call_.SetTimer(*first);
    }
  }

  RpcCall& call_;
  ServerCore& core_;
  std::map<Uuid, Begun> begun_;
  std::size_t in_flight_ = 0;
  std::uint64_t waiting_bytes_ = 0;  // Of events begun or being written.
  bool paused_ = false;

  Mutex mutex_;
  std::vector<Reply> replies_ CATCHUP_GUARDED_BY(mutex_);
};

}  // namespace

std::unique_ptr<CallHandler> CreateBatchAppendHandler(RpcCall& call, ServerCore& core) {
  return std::make_unique<BatchAppendHandler>(call, core);
}

}  // namespace catchup::embedded
