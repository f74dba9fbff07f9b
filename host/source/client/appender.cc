#include "host/source/client/appender.h"

#include <fmt/core.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <thread>
#include <utility>

#include "host/base/mutex.h"
#include "host/base/shortage.h"
#include "host/base/unique_fd.h"
#include "host/source/client/access.h"
#include "host/source/client/append_messages.h"
#include "host/source/client/append_question.h"
#include "host/source/client/call_status.h"
#include "host/source/client/channel.h"
#include "host/source/client/read_requests.h"
#include "host/source/proto/streams.grpc.pb.h"

namespace catchup {
namespace {

using event_store::client::streams::BatchAppendReq;
using event_store::client::streams::BatchAppendResp;
using event_store::client::streams::Streams;

// Appends go out one behind the other on one call, answers come in whatever order. The queue's
// thread does both; the lock guards all that it shares with the caller's.
class BatchAppender final : public Appender {
  using Clock = std::chrono::steady_clock;

 public:
  BatchAppender(const ConnectionOptions& options, UniqueFd wake)
      : options_(options),
        channel_(OpenChannel(options)),
        stub_(Streams::NewStub(channel_)),
        reads_(channel_),
        wake_(std::move(wake)) {}

  // Once, before anything else.
  Status Start() {
    CATCHUP_ASSIGN_OR_RETURN(thread_, StartThread([this] { Serve(); }));
    return {};
  }

  ~BatchAppender() override {
    {
      const MutexLock lock(&mutex_);
      if (call_ != nullptr) {
        // The server keeps the call open after a half-close; only a cancel ends it.
        call_->context.TryCancel();
      }
      for (const auto& [number, question] : questions_) {
        question->Cancel();
      }
      while (call_ != nullptr || !questions_.empty()) {
        ended_.Wait(&mutex_);
      }
    }
    queue_.Shutdown();
    if (thread_.joinable()) {
      thread_.join();
    } else {
      Serve();  // Never started: a queue must be emptied before it goes.
    }
  }

  BatchAppender(const BatchAppender&) = delete;
  BatchAppender& operator=(const BatchAppender&) = delete;

  std::uint64_t Append(std::string_view stream, const ExpectedStream& expected,
                       std::span<const NewEvent* const> events) override {
    const MutexLock lock(&mutex_);
    const std::uint64_t number = ++requests_;
    waiting_.emplace(number, Waiting{std::string(stream), Clock::now() + options_.deadline});
    unsent_.push_back(AppendRequest(number, stream, expected, events));
    if (call_ == nullptr) {
      StartCall();
    } else {
      WriteNext();
    }
    return number;
  }

  std::uint64_t ReadEnd(std::string_view stream, std::int64_t since) override {
    return Ask(since, StreamEndRequest(stream), AccessTo::kStream,
               "read the end of stream " + std::string(stream));
  }

  std::uint64_t ReadHead() override {
    return Ask(std::numeric_limits<std::int64_t>::min(), HeadRequest(), AccessTo::kAll,
               "read the head of the log");
  }

  std::vector<AppendAnswer> Take() override {
    const MutexLock lock(&mutex_);
    GiveUpLate(Clock::now());
    std::uint64_t count = 0;
    (void)!::read(wake_.get(), &count, sizeof count);
    return std::exchange(answers_, {});
  }

  int wake() const override { return wake_.get(); }

  std::optional<Clock::time_point> deadline() const override {
    const MutexLock lock(&mutex_);
    std::optional<Clock::time_point> first;
    const auto consider = [&](Clock::time_point time) {
      first = first.has_value() ? std::min(*first, time) : time;
    };
    if (!waiting_.empty() && !given_up_) {
      consider(waiting_.begin()->second.deadline);
    }
    for (const auto& [number, question] : questions_) {
      consider(question->last_progress() + options_.deadline);
    }
    return first;
  }

 private:
  enum class Step : std::uint8_t { kStart, kWrite, kRead, kFinish };

  struct Call {
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncReaderWriter<BatchAppendReq, BatchAppendResp>> stream;
    bool started = false;
    bool writing = false;
    bool reading = false;
    bool broken = false;
    Status refused;  // By ourselves, before it was made.
    grpc::Status status;
  };

  struct Waiting {
    std::string stream;
    Clock::time_point deadline;
  };

  std::uint64_t Ask(std::int64_t since, const grpc::ByteBuffer& request, AccessTo access,
                    std::string what) {
    const MutexLock lock(&mutex_);
    const std::uint64_t number = ++requests_;
    auto question = std::make_unique<AppendQuestion>(
        options_.address, number, since, [this, what = std::move(what)](AppendAnswer answer) {
          const MutexLock answering(&mutex_);
          answer.status = answer.status.ok() ? Status() : answer.status.Within(what);
          Answer(std::move(answer));
        });
    const Status headers = AddHeaders(options_, question->context());
    question->set_access(access, options_.credentials_origin);
    AppendQuestion* const raw = question.get();
    questions_.emplace(number, std::move(question));
    if (headers.ok()) {
      raw->Start(&reads_, &queue_, kReadMethod, request);
    } else {
      raw->Refuse(&queue_, {grpc::StatusCode::UNAUTHENTICATED, headers.message()});
    }
    return number;
  }

  // ---- On the queue's thread ----

  void Serve() {
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
      const std::less<const void*> before;
      const bool is_step = !before(tag, &steps_.front()) && before(tag, &steps_.front() + kSteps);
      if (is_step) {
        const MutexLock lock(&mutex_);
        Proceed(*static_cast<const Step*>(tag), ok);
      } else if (static_cast<ReadCall*>(tag)->Proceed(ok)) {
        const MutexLock lock(&mutex_);
        std::erase_if(questions_, [tag](const auto& entry) {
          return static_cast<ReadCall*>(entry.second.get()) == tag;
        });
        ended_.NotifyAll();
      }
    }
  }

  void* Tag(Step step) { return &steps_[static_cast<std::size_t>(step)]; }

  void StartCall() CATCHUP_REQUIRES(mutex_) {
    call_ = std::make_unique<Call>();
    given_up_ = false;
    if (Status headers = AddHeaders(options_, &call_->context); !headers.ok()) {
      call_->refused = std::move(headers);
      call_->context.TryCancel();  // It ends as it begins.
    }
    call_->stream = stub_->PrepareAsyncBatchAppend(&call_->context, &queue_);
    call_->stream->StartCall(Tag(Step::kStart));
  }

  void WriteNext() CATCHUP_REQUIRES(mutex_) {
    if (!call_->started || call_->writing || call_->broken || unsent_.empty()) {
      return;
    }
    call_->writing = true;
    call_->stream->Write(unsent_.front(), Tag(Step::kWrite));
  }

  void Read() CATCHUP_REQUIRES(mutex_) {
    call_->reading = true;
    response_.Clear();
    call_->stream->Read(&response_, Tag(Step::kRead));
  }

  void Proceed(Step step, bool ok) CATCHUP_REQUIRES(mutex_) {
    switch (step) {
      case Step::kStart:
        call_->started = ok;
        call_->broken = !ok;
        if (ok) {
          Read();
          WriteNext();
        }
        break;
      case Step::kWrite:
        call_->writing = false;
        unsent_.pop_front();
        call_->broken = call_->broken || !ok;
        WriteNext();
        break;
      case Step::kRead:
        call_->reading = false;
        call_->broken = call_->broken || !ok;
        if (ok) {
          TakeResponse();
          Read();
        }
        break;
      case Step::kFinish:
        EndCall();
        return;
    }
    if (call_->broken && !call_->writing && !call_->reading) {
      call_->stream->Finish(&call_->status, Tag(Step::kFinish));
    }
  }

  void TakeResponse() CATCHUP_REQUIRES(mutex_) {
    const auto found = waiting_.find(AnsweredAppend(response_));
    if (found == waiting_.end()) {
      return;
    }
    AppendAnswer answer = ReadAppendResponse(response_, options_.address, found->second.stream);
    if (answer.status.code() == Status::Code::kDenied) {
      answer.status = Status::Denied(answer.status.message() + "; " +
                                     AdviseOnAccess({grpc::StatusCode::PERMISSION_DENIED, ""},
                                                    AccessTo::kStream, options_.credentials_origin)
                                         .error_message());
    }
    waiting_.erase(found);
    Answer(std::move(answer));
  }

  // The call is over: whatever waits for an answer gets the reason.
  void EndCall() CATCHUP_REQUIRES(mutex_) {
    Status reason;
    if (given_up_) {
      reason = Status::Unavailable(
          fmt::format("{}: no answer within {} ms; the events may have been written",
                      options_.address, options_.deadline.count()));
    } else if (!call_->refused.ok()) {
      reason = call_->refused;
    } else if (call_->status.ok()) {
      reason = Status::Unavailable(options_.address + ": the server ended the call");
    } else {
      reason =
          ToStatus(options_.address,
                   AdviseOnAccess(call_->status, AccessTo::kStream, options_.credentials_origin),
                   call_->context);
    }
    for (const auto& [number, waiting] : std::exchange(waiting_, {})) {
      AppendAnswer answer;
      answer.number = number;
      answer.status = reason.Within("append to stream " + waiting.stream);
      Answer(std::move(answer));
    }
    unsent_.clear();
    call_.reset();
    ended_.NotifyAll();
  }

  void GiveUpLate(Clock::time_point now) CATCHUP_REQUIRES(mutex_) {
    if (!waiting_.empty() && waiting_.begin()->second.deadline <= now && call_ != nullptr &&
        !std::exchange(given_up_, true)) {
      call_->context.TryCancel();
    }
    for (const auto& [number, question] : questions_) {
      if (question->last_progress() + options_.deadline <= now) {
        question->GiveUp(options_.deadline);
      }
    }
  }

  void Answer(AppendAnswer answer) CATCHUP_REQUIRES(mutex_) {
    answers_.push_back(std::move(answer));
    const std::uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);
  }

  static constexpr std::size_t kSteps = 4;

  const ConnectionOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<Streams::Stub> stub_;
  grpc::GenericStub reads_;
  grpc::CompletionQueue queue_;
  const UniqueFd wake_;
  // Their addresses are the tags of the call's operations.
  std::array<Step, kSteps> steps_ = {Step::kStart, Step::kWrite, Step::kRead, Step::kFinish};

  mutable Mutex mutex_;
  CondVar ended_;
  std::unique_ptr<Call> call_ CATCHUP_GUARDED_BY(mutex_);
  // The call was cancelled because an answer was late.
  bool given_up_ CATCHUP_GUARDED_BY(mutex_) = false;
  std::uint64_t requests_ CATCHUP_GUARDED_BY(mutex_) = 0;
  std::deque<BatchAppendReq> unsent_
      CATCHUP_GUARDED_BY(mutex_);  // The front one may be on its way.
  std::map<std::uint64_t, Waiting> waiting_ CATCHUP_GUARDED_BY(mutex_);
  std::map<std::uint64_t, std::unique_ptr<AppendQuestion>> questions_ CATCHUP_GUARDED_BY(mutex_);
  std::vector<AppendAnswer> answers_ CATCHUP_GUARDED_BY(mutex_);
  BatchAppendResp response_;

  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Appender>> Appender::Open(const ConnectionOptions& options) {
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) {
    return Status::FromErrno(fmt::format("append to {} (eventfd)", options.address), errno);
  }
  auto appender = std::make_unique<BatchAppender>(options, std::move(wake));
  CATCHUP_RETURN_IF_ERROR(appender->Start().Within("append to " + options.address));
  return std::unique_ptr<Appender>(std::move(appender));
}

}  // namespace catchup
