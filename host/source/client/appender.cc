#include "host/source/client/appender.h"

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <chrono>
#include <utility>

#include "host/base/check.h"
#include "host/source/client/call_status.h"
#include "host/source/client/channel.h"
#include "host/source/proto/streams.grpc.pb.h"

namespace catchup {
namespace {

using event_store::client::streams::BatchAppendReq;
using event_store::client::streams::BatchAppendResp;
using event_store::client::streams::Streams;
using Deadline = std::chrono::system_clock::time_point;

// What the details of a failed append add to its name; empty if nothing.
std::string Explain(const google::rpc::Status& error) {
  if (event_store::client::MaximumAppendSizeExceeded all; error.details().UnpackTo(&all)) {
    return ": it takes " + std::to_string(all.maxappendsize()) + " bytes in one append";
  }
  if (event_store::client::MaximumAppendEventSizeExceeded one; error.details().UnpackTo(&one)) {
    return ": event " + one.eventid() + " has " + std::to_string(one.proposedeventsize()) +
           " bytes, it takes " + std::to_string(one.maxappendeventsize());
  }
  if (event_store::client::BadRequest bad; error.details().UnpackTo(&bad)) {
    return ": " + bad.message();
  }
  if (error.details().Is<event_store::client::WrongExpectedVersion>()) {
    return ": some of these event ids are in the stream already, others are not";
  }
  return {};
}

Status AppendError(std::string_view address, const google::rpc::Status& error) {
  // A server that is not ready or busy leaves the code at 0 and says so in words only.
  const std::string name = error.code() == google::rpc::OK ? "" : StatusName(error.code()) + ": ";
  std::string text = std::string(address) + ": " + name + error.message() + Explain(error);
  switch (error.code()) {
    case google::rpc::OK:
    case google::rpc::DEADLINE_EXCEEDED:
    case google::rpc::UNAVAILABLE:
    case google::rpc::ABORTED:
      return Status::Unavailable(std::move(text));
    case google::rpc::PERMISSION_DENIED:
    case google::rpc::UNAUTHENTICATED:
      return Status::Denied(std::move(text));
    case google::rpc::NOT_FOUND:
    case google::rpc::INVALID_ARGUMENT:
    case google::rpc::ALREADY_EXISTS:
    case google::rpc::FAILED_PRECONDITION:
      return Status::Invalid(std::move(text));
    default:
      return Status::Internal(std::move(text));
  }
}

void SetId(const Uuid& id, event_store::client::UUID* out) {
  out->mutable_structured()->set_most_significant_bits(
      static_cast<std::int64_t>(id.most_significant()));
  out->mutable_structured()->set_least_significant_bits(
      static_cast<std::int64_t>(id.least_significant()));
}

class BatchAppender final : public Appender {
 public:
  explicit BatchAppender(const ConnectionOptions& options)
      : options_(options), stub_(Streams::NewStub(OpenChannel(options))) {}

  ~BatchAppender() override {
    if (call_ != nullptr) {
      // The server keeps the call open after a half-close; only a cancel ends it.
      call_->context.TryCancel();
      (void)EndCall();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }

  BatchAppender(const BatchAppender&) = delete;
  BatchAppender& operator=(const BatchAppender&) = delete;

  Result<Appended> Append(std::string_view stream, std::span<const NewEvent> events) override {
    const Deadline deadline = std::chrono::system_clock::now() + options_.deadline;
    const std::uint64_t number = ++appends_;
    Fill(stream, events, number);
    Status status = Exchange(number, deadline);
    if (!status.ok()) {
      return status.Within("append to stream " + std::string(stream));
    }
    if (response_.result_case() != BatchAppendResp::kSuccess) {
      return AppendError(options_.address, response_.error())
          .Within("append to stream " + std::string(stream));
    }
    const BatchAppendResp::Success& success = response_.success();
    Appended appended;
    appended.revision = success.current_revision();
    if (success.has_position()) {
      appended.position =
          Position{success.position().commit_position(), success.position().prepare_position()};
    }
    return appended;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncReaderWriter<BatchAppendReq, BatchAppendResp>> stream;
  };

  void Fill(std::string_view stream, std::span<const NewEvent> events, std::uint64_t number) {
    request_.Clear();
    SetId(Uuid::FromHalves(kCorrelation, number), request_.mutable_correlation_id());
    BatchAppendReq::Options* options = request_.mutable_options();
    options->mutable_stream_identifier()->set_stream_name(std::string(stream));
    options->mutable_any();
    for (const NewEvent& event : events) {
      BatchAppendReq::ProposedMessage* message = request_.add_proposed_messages();
      SetId(event.id, message->mutable_id());
      auto& properties = *message->mutable_metadata();
      properties["type"] = event.type;
      properties["content-type"] = event.is_json ? "application/json" : "application/octet-stream";
      message->set_data(event.data);
      message->set_custom_metadata(event.metadata);
    }
    request_.set_is_final(true);
  }

  // Sends request_ and waits for the answer to append `number` in response_. On failure the call is
  // gone.
  Status Exchange(std::uint64_t number, Deadline deadline) {
    if (call_ == nullptr) {
      CATCHUP_RETURN_IF_ERROR(StartCall(deadline));
    }
    call_->stream->Write(request_, this);
    CATCHUP_RETURN_IF_ERROR(Await(deadline));
    for (;;) {
      response_.Clear();
      call_->stream->Read(&response_, this);
      CATCHUP_RETURN_IF_ERROR(Await(deadline));
      if (response_.correlation_id().structured().least_significant_bits() ==
          static_cast<std::int64_t>(number)) {
        return {};
      }
    }
  }

  Status StartCall(Deadline deadline) {
    call_ = std::make_unique<Call>();
    AddHeaders(options_, &call_->context);
    call_->stream = stub_->PrepareAsyncBatchAppend(&call_->context, &queue_);
    call_->stream->StartCall(this);
    return Await(deadline);
  }

  // Waits for the one pending operation. When it fails or takes too long, ends the call.
  Status Await(Deadline deadline) {
    void* tag = nullptr;
    bool ok = false;
    if (queue_.AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::TIMEOUT) {
      call_->context.TryCancel();
      Next();
      (void)EndCall();
      return Status::Unavailable(options_.address + ": no answer within " +
                                 std::to_string(options_.deadline.count()) +
                                 " ms; the events may have been written");
    }
    return ok ? Status() : EndCall();
  }

  // Fetches why the call ended, which an operation that failed or a cancel has shown, and drops it.
  Status EndCall() {
    grpc::Status status;
    call_->stream->Finish(&status, this);
    Next();
    const std::unique_ptr<Call> ended = std::move(call_);
    if (status.ok()) {
      return Status::Unavailable(options_.address + ": the server ended the call");
    }
    return ToStatus(options_.address, status, ended->context);
  }

  // For operations that a call which has ended completes at once.
  void Next() {
    void* tag = nullptr;
    bool ok = false;
    CATCHUP_CHECK(queue_.Next(&tag, &ok));
  }

  // The upper half of correlation ids, which only need to be unique within a call.
  static constexpr std::uint64_t kCorrelation = 0x6361746368757000ull;

  const ConnectionOptions options_;
  const std::unique_ptr<Streams::Stub> stub_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<Call> call_;
  std::uint64_t appends_ = 0;
  BatchAppendReq request_;  // Kept between appends for their memory.
  BatchAppendResp response_;
};

}  // namespace

std::unique_ptr<Appender> Appender::Open(const ConnectionOptions& options) {
  return std::make_unique<BatchAppender>(options);
}

}  // namespace catchup
