#include "host/source/embedded/wire/grpc_call.h"

#include <algorithm>
#include <utility>

#include "host/base/check.h"
#include "host/base/shortage.h"

namespace catchup::embedded {
namespace {

// Calls that were cancelled end in milliseconds. One that does not is a defect of ours.
constexpr std::chrono::seconds kEndOfCalls{30};

// Nobody else holds the page once its last frame has left.
grpc::Slice OwningSlice(std::string bytes) {
  auto* owned = new std::string(std::move(bytes));
  return grpc::Slice(
      owned->data(), owned->size(), [](void* p) { delete static_cast<std::string*>(p); }, owned);
}

// Printable ASCII is what a trailer can hold: of anything else gRPC takes the process down. A space
// at either end, which HTTP/2 forbids (RFC 9113, 8.2.1), is sent as a node's web server sends it:
// some clients leave that one trailer out.
bool FitTrailers(const RpcError& error) {
  const auto is_printable = [](char c) { return c >= ' ' && c <= '~'; };
  return std::all_of(error.trailers.begin(), error.trailers.end(), [&](const auto& trailer) {
    return std::all_of(trailer.second.begin(), trailer.second.end(), is_printable);
  });
}

}  // namespace

CallWorker::CallWorker(grpc::AsyncGenericService& service,
                       std::unique_ptr<grpc::ServerCompletionQueue> queue, LogReader reader,
                       ServerCore& core)
    : service_(service), queue_(std::move(queue)), reader_(std::move(reader)), core_(core) {}

CallWorker::~CallWorker() { Stop(); }

Status CallWorker::Start() {
  CATCHUP_ASSIGN_OR_RETURN(thread_, StartThread([this] {
                             GrpcCall::Accept(*this);
                             Drain();
                           }));
  return {};
}

void CallWorker::Stop() {
  if (queue_ == nullptr) {
    return;
  }
  {
    const MutexLock lock(&mutex_);
    stopping_ = true;
    const auto deadline = std::chrono::steady_clock::now() + kEndOfCalls;
    while (calls_ != 0) {
      CATCHUP_CHECK(changed_.WaitUntil(&mutex_, deadline));
    }
  }
  queue_->Shutdown();
  if (thread_.joinable()) {
    thread_.join();
  } else {
    Drain();  // Never started: a queue must be emptied before it goes.
  }
  queue_.reset();
}

void CallWorker::RequestCall(GrpcCall& call) {
  const MutexLock lock(&mutex_);
  if (stopping_) {
    call.EndOperation();
    return;
  }
  call.context_.AsyncNotifyWhenDone(&call.on_done_);
  service_.RequestCall(&call.context_, &call.stream_, queue_.get(), queue_.get(),
                       &call.on_accepted_);
}

void CallWorker::AddCall() {
  const MutexLock lock(&mutex_);
  ++calls_;
}

void CallWorker::RemoveCall() {
  const MutexLock lock(&mutex_);
  --calls_;
  changed_.NotifyAll();
}

void CallWorker::Drain() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) {
    static_cast<Completion*>(tag)->Run(ok);
  }
}

void CallWorker::Post(std::shared_ptr<GrpcCall> call) {
  const MutexLock lock(&mutex_);
  posted_.push_back(std::move(call));
  if (!alarm_set_) {
    alarm_set_ = true;
    alarm_.Set(queue_.get(), gpr_time_0(GPR_CLOCK_MONOTONIC), &on_posts_);
  }
}

void CallWorker::OnPosts(bool) {
  std::vector<std::shared_ptr<GrpcCall>> posted;
  {
    const MutexLock lock(&mutex_);
    posted.swap(posted_);
    alarm_set_ = false;
  }
  for (const std::shared_ptr<GrpcCall>& call : posted) {
    call->OnPosted();
  }
}

GrpcCall::GrpcCall(CallWorker& worker) : worker_(worker) { worker_.AddCall(); }

GrpcCall::~GrpcCall() { worker_.RemoveCall(); }

void GrpcCall::Accept(CallWorker& worker) {
  auto call = std::make_shared<GrpcCall>(worker);
  call->self_ = call;
  call->BeginOperation();
  worker.RequestCall(*call);
}

void GrpcCall::OnAccepted(bool ok) {
  if (!ok) {
    EndOperation();  // The server ends; no call came, so no end of one will be told.
    return;
  }
  Accept(worker_);
  BeginOperation();  // For OnDone().
  handler_ = CreateHandler(context_.method(), *this, worker_.core());
  if (handler_ == nullptr) {
    Finish(Unimplemented(context_.method()));
  }
  Pump();
  EndOperation();
}

void GrpcCall::Read() {
  if (is_over()) {
    return;
  }
  BeginOperation();
  stream_.Read(&incoming_, &on_read_);
}

void GrpcCall::OnRead(bool ok) {
  if (!is_over() && !finish_) {
    if (!ok) {
      handler_->OnHalfClose();
    } else if (incoming_.Length() > kMaxRequestBytes) {
      Finish({RpcCode::kResourceExhausted,
              "Received message exceeds the maximum configured message size.",
              {}});
    } else {
      std::vector<grpc::Slice> slices;
      std::string message;
      if (incoming_.Dump(&slices).ok()) {
        message.reserve(incoming_.Length());
        for (const grpc::Slice& slice : slices) {
          message.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
        }
      }
      incoming_.Clear();
      handler_->OnMessage(message);
    }
    Pump();
  }
  EndOperation();
}

void GrpcCall::Send(FrameBuffer frames) {
  if (is_over()) {
    return;
  }
  const std::vector<std::size_t> ends = frames.ends();
  const grpc::Slice page = OwningSlice(frames.TakeBytes());
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    outgoing_.push_back(page.sub(begin, end));
    begin = end;
  }
}

void GrpcCall::Send(std::string message) {
  if (!is_over()) {
    outgoing_.push_back(OwningSlice(std::move(message)));
  }
}

void GrpcCall::Finish() {
  if (!finish_) {
    finish_ = grpc::Status::OK;
  }
}

void GrpcCall::Finish(RpcError error) {
  if (finish_) {
    return;
  }
  if (!FitTrailers(error)) {
    // Without them clients would look in vain for what the others promise.
    error = RpcError::Unhandled();
  }
  for (const auto& [key, value] : error.trailers) {
    context_.AddTrailingMetadata(key, value);
  }
  finish_ = grpc::Status(static_cast<grpc::StatusCode>(error.code), error.message);
}

void GrpcCall::Pump() {
  if (writing_ || is_over()) {
    return;
  }
  // Asked before the last message goes, so that it is known whether more follow it.
  if (outgoing_.size() <= 1 && !finish_ && handler_ != nullptr) {
    handler_->OnRoom();
  }
  if (!outgoing_.empty()) {
    StartWrite();
  } else if (finish_) {
    StartFinish();
  }
}

void GrpcCall::StartWrite() {
  const grpc::ByteBuffer message(&outgoing_.front(), 1);
  outgoing_.pop_front();
  writing_ = true;
  BeginOperation();
  grpc::WriteOptions options;
  if (outgoing_.empty() && finish_) {
    finishing_ = true;
    stream_.WriteAndFinish(message, options, *finish_, &on_finished_);
    return;
  }
  if (!outgoing_.empty() && headers_sent_) {
    // More follows at once: one system call may carry them all. Not with the first one: gRPC would
    // keep it and the headers back until something else makes the connection write.
    options.set_buffer_hint();
  }
  headers_sent_ = true;
  stream_.Write(message, options, &on_written_);
}

void GrpcCall::StartFinish() {
  finishing_ = true;
  BeginOperation();
  stream_.Finish(*finish_, &on_finished_);
}

void GrpcCall::OnWritten(bool ok) {
  writing_ = false;
  if (ok) {
    Pump();
  }
  EndOperation();
}

void GrpcCall::OnFinished(bool) { EndOperation(); }

void GrpcCall::OnDone(bool) {
  done_ = true;
  outgoing_.clear();
  if (timer_set_) {
    next_timer_.reset();
    timer_.Cancel();
  }
  if (handler_ != nullptr) {
    handler_->OnDone();
  }
  EndOperation();
}

void GrpcCall::SetTimer(std::chrono::steady_clock::time_point when) {
  if (is_over()) {
    return;
  }
  if (timer_set_) {
    // The alarm comes back first, cancelled, and is then set anew.
    next_timer_ = when;
    timer_.Cancel();
    return;
  }
  timer_set_ = true;
  BeginOperation();
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(
      when - std::chrono::steady_clock::now());
  timer_.Set(
      worker_.queue(),
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_micros(left.count(), GPR_TIMESPAN)),
      &on_timer_);
}

void GrpcCall::OnTimer(bool) {
  timer_set_ = false;
  if (!is_over()) {
    if (next_timer_) {
      SetTimer(*std::exchange(next_timer_, std::nullopt));
    } else {
      handler_->OnTimer();
      Pump();
    }
  }
  EndOperation();
}

void GrpcCall::Yield() { worker_.Post(shared_from_this()); }

std::function<void()> GrpcCall::Waker() {
  return [call = shared_from_this()] { call->worker_.Post(call); };
}

void GrpcCall::OnPosted() {
  if (is_over()) {
    return;
  }
  handler_->OnWake();
  Pump();
}

void GrpcCall::EndOperation() {
  if (--operations_ == 0) {
    self_.reset();  // May destroy this call.
  }
}

}  // namespace catchup::embedded
