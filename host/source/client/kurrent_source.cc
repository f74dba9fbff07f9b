#include "host/source/client/kurrent_source.h"

#include <fmt/core.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/slice.h>

#include <future>
#include <unordered_map>
#include <utility>

#include "host/base/check.h"
#include "host/base/mutex.h"
#include "host/source/client/call_status.h"
#include "host/source/client/channel.h"
#include "host/source/client/frame_decoder.h"
#include "host/source/client/read_call.h"
#include "host/source/client/read_requests.h"
#include "host/source/proto/server_features.pb.h"

namespace catchup {
namespace {

std::string_view AsText(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

// Moves the bytes of `buffer` into one piece. Most messages lie in one already; one that the
// network cut up is copied together.
bool TakeBytes(grpc::ByteBuffer* buffer, grpc::Slice* bytes) {
  const bool ok = buffer->TrySingleSlice(bytes).ok() || buffer->DumpToSingleSlice(bytes).ok();
  buffer->Clear();
  return ok;
}

// The code of a message above gRPC's own limit: trying again in haste gets the same event.
grpc::Status TooLarge(const EventView& event) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          fmt::format("{}: {}", FormatPosition(event.position), TooLargeEvent(event.size()))};
}

grpc::Status BadFrame(const Status& why) { return {grpc::StatusCode::INTERNAL, why.message()}; }

// Keeps the received bytes alive under the views of `event`. A short slice lies inside the Slice
// object itself, so bytes are decoded only where they stay.
class KurrentFrame final : public EventFrame {
 public:
  grpc::Slice bytes;
};

class SubscriptionCall final : public ReadCall {
 public:
  SubscriptionCall(std::string address, std::shared_ptr<SubscriptionSink> sink)
      : address_(std::move(address)), sink_(std::move(sink)) {}

  void OnRoundEnd() override {
    if (std::exchange(in_round_, false)) {
      sink_->OnRoundEnd();
    }
  }

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) override {
    if (spare_ == nullptr) {
      spare_ = std::make_unique<KurrentFrame>();
    }
    ReadFrame frame;
    const Status status = TakeBytes(buffer, &spare_->bytes)
                              ? DecodeReadFrame(AsText(spare_->bytes), &frame)
                              : Status::Invalid("malformed frame: its bytes cannot be read");
    if (!status.ok()) {
      Abort(BadFrame(status));
      return false;
    }
    switch (frame.kind) {
      case ReadFrame::Kind::kEvent:
        if (frame.event.size() > kMaxEventBytes) {
          Abort(TooLarge(frame.event));
          return false;
        }
        spare_->event = frame.event;
        spare_->target_missing = frame.target_missing;
        in_round_ = true;
        return sink_->OnEvent(std::move(spare_));
      case ReadFrame::Kind::kCheckpoint:
        in_round_ = true;
        return !frame.position.has_value() || sink_->OnCheckpoint(*frame.position);
      case ReadFrame::Kind::kCaughtUp:
        in_round_ = true;
        return sink_->OnCaughtUp(frame.position);
      case ReadFrame::Kind::kConfirmation:
      case ReadFrame::Kind::kOther:
        break;
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override {
    in_round_ = false;
    sink_->OnEnded(ClassifyEnd(address_, status, context, heard()));
    sink_.reset();
    spare_.reset();
  }

  const std::string address_;
  std::shared_ptr<SubscriptionSink> sink_;
  bool in_round_ = false;                // The sink was told something and not of the round's end.
  std::unique_ptr<KurrentFrame> spare_;  // Where the next frame goes; kept when it is no event.
};

// Names what was asked for in the text of an end.
Source::HeadCallback Within(const char* what, Source::HeadCallback callback) {
  return [what, callback = std::move(callback)](const Answer<std::optional<Position>>& answer) {
    if (answer.ok()) {
      callback(answer);
      return;
    }
    EndOfCall end = answer.end();
    end.text = fmt::format("{}: {}", what, end.text);
    callback(std::move(end));
  };
}

// A read of one record, of which only the position is of interest.
class PlaceCall final : public ReadCall {
 public:
  PlaceCall(std::string address, Source::HeadCallback callback)
      : address_(std::move(address)), callback_(std::move(callback)) {}

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) override {
    grpc::Slice bytes;
    ReadFrame frame;
    Status status = TakeBytes(buffer, &bytes)
                        ? DecodeReadFrame(AsText(bytes), &frame)
                        : Status::Invalid("malformed frame: its bytes cannot be read");
    const bool is_event = status.ok() && frame.kind == ReadFrame::Kind::kEvent;
    if (is_event && !IsPlace(frame.event.position)) {
      status =
          Status::Invalid(fmt::format("malformed frame: an event at {}, which is no place in a log",
                                      FormatPosition(frame.event.position)));
    }
    if (!status.ok()) {
      Abort(BadFrame(status));
    } else if (is_event && !place_.has_value()) {
      place_ = frame.event.position;
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override {
    if (status.ok()) {
      callback_(place_);
    } else {
      callback_(ClassifyEnd(address_, status, context, heard()));
    }
    callback_ = nullptr;
  }

  const std::string address_;
  Source::HeadCallback callback_;
  std::optional<Position> place_;
};

// A subscription from the end of the log, of which only where that is is of interest.
class EndCall final : public ReadCall {
 public:
  EndCall(std::string address, Source::HeadCallback callback)
      : address_(std::move(address)), callback_(std::move(callback)) {}

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) override {
    grpc::Slice bytes;
    ReadFrame frame;
    const Status status = TakeBytes(buffer, &bytes)
                              ? DecodeReadFrame(AsText(bytes), &frame)
                              : Status::Invalid("malformed frame: its bytes cannot be read");
    if (!status.ok()) {
      Abort(BadFrame(status));
    } else if (frame.kind == ReadFrame::Kind::kCaughtUp) {
      answered_ = true;
      if (frame.position.has_value() && IsPlace(*frame.position)) {
        end_ = frame.position;
      }
      Cancel();
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override {
    if (answered_) {
      callback_(end_);
    } else {
      callback_(ClassifyEnd(address_, status, context, heard()));
    }
    callback_ = nullptr;
  }

  const std::string address_;
  Source::HeadCallback callback_;
  bool answered_ = false;
  std::optional<Position> end_;
};

class VersionCall final : public ReadCall {
 public:
  VersionCall(std::string address, Source::VersionCallback callback)
      : address_(std::move(address)), callback_(std::move(callback)) {}

 private:
  bool OnFrame(grpc::ByteBuffer* buffer) override {
    grpc::Slice bytes;
    event_store::client::server_features::SupportedMethods methods;
    if (TakeBytes(buffer, &bytes) &&
        methods.ParseFromArray(bytes.begin(), static_cast<int>(bytes.size()))) {
      version_ = methods.event_store_server_version();
    } else {
      Abort(BadFrame(Status::Invalid("malformed answer to the question for the version")));
    }
    return true;
  }

  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override {
    const bool unknown = status.error_code() == grpc::StatusCode::UNIMPLEMENTED ||
                         status.error_code() == grpc::StatusCode::NOT_FOUND;
    if (status.ok() || unknown) {
      callback_(version_);
    } else {
      callback_(ClassifyEnd(address_, status, context, heard()));
    }
    callback_ = nullptr;
  }

  const std::string address_;
  Source::VersionCallback callback_;
  std::string version_;
};

class KurrentSubscription final : public Subscription {
 public:
  explicit KurrentSubscription(std::shared_ptr<ReadCall> call) : call_(std::move(call)) {}
  ~KurrentSubscription() override { call_->Cancel(); }
  KurrentSubscription(const KurrentSubscription&) = delete;
  KurrentSubscription& operator=(const KurrentSubscription&) = delete;

  void Resume() override { call_->Resume(); }
  void Cancel() override { call_->Cancel(); }

 private:
  const std::shared_ptr<ReadCall> call_;
};

// Locks: `mutex_` guards the table of calls and the flag. A call's own lock may be taken inside it,
// never the other way round, and no callback runs under either.
class KurrentSource final : public Source, private ReadCall::Keeper {
 public:
  KurrentSource(const ConnectionOptions& options, std::shared_ptr<SourceThreads> threads)
      : options_(options),
        threads_(std::move(threads)),
        queue_(threads_->NextQueue()),
        stub_(OpenChannel(options)) {}

  ~KurrentSource() override {
    CATCHUP_CHECK(!threads_->IsHere());
    Shutdown();
    const MutexLock lock(&mutex_);
    while (!calls_.empty()) {
      all_done_.Wait(&mutex_);
    }
  }

  KurrentSource(const KurrentSource&) = delete;
  KurrentSource& operator=(const KurrentSource&) = delete;

  std::unique_ptr<Subscription> Subscribe(const SubscribeOptions& options,
                                          std::shared_ptr<SubscriptionSink> sink) override {
    CATCHUP_CHECK(!options.filter.prefixes.empty());
    auto call = std::make_shared<SubscriptionCall>(options_.address, std::move(sink));
    Begin(call, kReadMethod, SubscriptionRequest(options));
    return std::make_unique<KurrentSubscription>(std::move(call));
  }

  void ReadHead(HeadCallback callback) override {
    auto call = std::make_shared<PlaceCall>(
        options_.address, Within("read the head of the log", std::move(callback)));
    call->context()->set_deadline(std::chrono::system_clock::now() + options_.deadline);
    Begin(std::move(call), kReadMethod, HeadRequest());
  }

  void ReadEnd(HeadCallback callback) override {
    auto call = std::make_shared<EndCall>(options_.address,
                                          Within("read the end of the log", std::move(callback)));
    call->context()->set_deadline(std::chrono::system_clock::now() + options_.deadline);
    SubscribeOptions from_end;
    from_end.from_end = true;
    from_end.filter.prefixes = {""};
    Begin(std::move(call), kReadMethod, SubscriptionRequest(from_end));
  }

  void ReadFirst(Position from, FirstCallback callback) override {
    auto call = std::make_shared<PlaceCall>(options_.address, std::move(callback));
    call->context()->set_deadline(std::chrono::system_clock::now() + options_.deadline);
    Begin(std::move(call), kReadMethod, FirstRequest(from));
  }

  void ReadVersion(VersionCallback callback) override {
    auto call = std::make_shared<VersionCall>(options_.address, std::move(callback));
    call->context()->set_deadline(std::chrono::system_clock::now() + options_.deadline);
    Begin(std::move(call), kVersionMethod, EmptyRequest());
  }

  void Shutdown() override {
    const MutexLock lock(&mutex_);
    shut_down_ = true;
    for (const auto& entry : calls_) {
      entry.second->Cancel();
    }
  }

  std::string_view address() const override { return options_.address; }

 private:
  // Enters `call` into the table, which keeps it alive until its last operation is complete.
  void Begin(std::shared_ptr<ReadCall> call, const char* method,
             const Result<grpc::ByteBuffer>& request) {
    const Status headers = AddHeaders(options_, call->context());
    call->set_access(AccessTo::kAll, options_.credentials_origin);
    call->set_keeper(this);
    const MutexLock lock(&mutex_);
    ReadCall& started = *call;
    calls_.emplace(&started, std::move(call));
    if (shut_down_) {
      started.Refuse(queue_, {grpc::StatusCode::CANCELLED, "this host is shutting down"});
    } else if (!headers.ok()) {
      started.Refuse(queue_, {grpc::StatusCode::UNAUTHENTICATED, headers.message()});
    } else if (!request.ok()) {
      started.Refuse(queue_, {grpc::StatusCode::INVALID_ARGUMENT,
                              "invalid position: " + request.status().message()});
    } else {
      started.Start(&stub_, queue_, method, *request);
    }
  }

  void LetGo(ReadCall* call) override {
    std::shared_ptr<ReadCall> last_use;  // Destroyed after the lock is released.
    const MutexLock lock(&mutex_);
    const auto found = calls_.find(call);
    last_use = std::move(found->second);
    calls_.erase(found);
    if (calls_.empty()) {
      all_done_.NotifyAll();
    }
  }

  const ConnectionOptions options_;
  const std::shared_ptr<SourceThreads> threads_;
  grpc::CompletionQueue* const queue_;  // The queue of one of them.
  grpc::GenericStub stub_;
  Mutex mutex_;
  CondVar all_done_;
  bool shut_down_ CATCHUP_GUARDED_BY(mutex_) = false;
  std::unordered_map<ReadCall*, std::shared_ptr<ReadCall>> calls_ CATCHUP_GUARDED_BY(mutex_);
};

}  // namespace

Result<std::unique_ptr<Source>> OpenKurrentSource(const ConnectionOptions& options,
                                                  std::shared_ptr<SourceThreads> threads) {
  if (threads == nullptr) {
    CATCHUP_ASSIGN_OR_RETURN(threads, SourceThreads::Start(1));
  }
  return std::unique_ptr<Source>(std::make_unique<KurrentSource>(options, std::move(threads)));
}

Result<std::optional<Position>> ReadHeadAndWait(Source* source) {
  // Shared: this function may return while the other thread is still inside set_value.
  const auto head = std::make_shared<std::promise<Result<std::optional<Position>>>>();
  auto answer = head->get_future();
  source->ReadHead([head](const Answer<std::optional<Position>>& found) {
    head->set_value(found.ok() ? Result<std::optional<Position>>(*found) : ToStatus(found.end()));
  });
  return answer.get();
}

}  // namespace catchup
