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
#include "host/source/client/questions.h"
#include "host/source/client/read_call.h"
#include "host/source/client/read_requests.h"
#include "host/source/client/received_frame.h"

namespace catchup {
namespace {

// The code of a message above gRPC's own limit: trying again in haste gets the same event.
grpc::Status TooLarge(const EventView& event) {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED,
          fmt::format("{}: {}", FormatPosition(event.position), TooLargeEvent(event.size()))};
}

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
    const Status status = TakeFrame(buffer, &spare_->bytes, &frame);
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
      case ReadFrame::Kind::kNoStream:
      case ReadFrame::Kind::kStreamEnd:
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
    Ask(HeadQuestion(options_.address, std::move(callback)), kReadMethod, HeadRequest());
  }

  void ReadEnd(PlaceCallback callback) override {
    SubscribeOptions from_end;
    from_end.from_end = true;
    from_end.filter.prefixes = {""};
    Ask(EndQuestion(options_.address, std::move(callback)), kReadMethod,
        SubscriptionRequest(from_end));
  }

  void ReadFirst(Position from, FirstCallback callback) override {
    Ask(FirstQuestion(options_.address, std::move(callback)), kReadMethod, FirstRequest(from));
  }

  void ReadRevision(const std::string& stream, std::uint64_t revision,
                    RevisionCallback callback) override {
    Ask(RevisionQuestion(options_.address, revision, std::move(callback)), kReadMethod,
        RevisionRequest(stream, revision));
  }

  void ReadNext(std::optional<Position> behind, const EventFilter& filter,
                PlaceCallback callback) override {
    CATCHUP_CHECK(!filter.prefixes.empty());
    Ask(NextQuestion(options_.address, behind, std::move(callback)), kReadMethod,
        NextRequest(behind, filter));
  }

  void ReadVersion(VersionCallback callback) override {
    Ask(VersionQuestion(options_.address, std::move(callback)), kVersionMethod, EmptyRequest());
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
  void Ask(std::shared_ptr<ReadCall> question, const char* method,
           const Result<grpc::ByteBuffer>& request) {
    question->context()->set_deadline(std::chrono::system_clock::now() + options_.deadline);
    Begin(std::move(question), method, request);
  }

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
  source->ReadHead([head](const Answer<std::optional<Witness>>& found) {
    head->set_value(found.ok() ? Result<std::optional<Position>>(PlaceOf(*found))
                               : ToStatus(found.end()));
  });
  return answer.get();
}

}  // namespace catchup
