#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "host/base/event_size.h"
#include "host/base/mutex.h"
#include "host/source/embedded/log/log_reader.h"
#include "host/source/embedded/wire/rpc_call.h"

namespace catchup::embedded {

// The largest request that a node takes.
inline constexpr std::size_t kMaxRequestBytes = 16'767'216;
static_assert(kMaxRequestBytes < kMaxAppendBytes);

// What a completion queue hands back. Lives until it has been handed back.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Run(bool ok) = 0;
};

// Calls a member function of its owner.
template <typename Owner, void (Owner::*Method)(bool)>
class MemberCompletion final : public Completion {
 public:
  explicit MemberCompletion(Owner* owner) : owner_(owner) {}
  void Run(bool ok) override { (owner_->*Method)(ok); }

 private:
  Owner* owner_;
};

class GrpcCall;

// One thread with its completion queue and its reader of the log. A call stays with the worker that
// accepted it, so what answers calls needs no locks.
class CallWorker {
 public:
  CallWorker(grpc::AsyncGenericService& service, std::unique_ptr<grpc::ServerCompletionQueue> queue,
             LogReader reader, ServerCore& core);
  ~CallWorker();
  CallWorker(const CallWorker&) = delete;
  CallWorker& operator=(const CallWorker&) = delete;

  // After the server has started. kExhausted: there is no thread to be had.
  Status Start();
  // After the server was shut down and nothing posts any more: ends the thread. Waits for the
  // calls, which the shutdown has cancelled: none may start an operation on a queue that was shut
  // down.
  void Stop();

  // Has the call's OnPosted() run on this thread. Any thread.
  void Post(std::shared_ptr<GrpcCall> call);

  // Waits for one more call, unless the worker stops.
  void RequestCall(GrpcCall& call);
  void AddCall();
  void RemoveCall();

  grpc::ServerCompletionQueue* queue() { return queue_.get(); }
  LogReader& reader() { return reader_; }
  ServerCore& core() { return core_; }

 private:
  void Drain();
  void OnPosts(bool ok);

  grpc::AsyncGenericService& service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  LogReader reader_;
  ServerCore& core_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<std::shared_ptr<GrpcCall>> posted_ CATCHUP_GUARDED_BY(mutex_);
  std::size_t calls_ CATCHUP_GUARDED_BY(mutex_) = 0;
  bool stopping_ CATCHUP_GUARDED_BY(mutex_) = false;
  bool alarm_set_ CATCHUP_GUARDED_BY(mutex_) = false;
  grpc::Alarm alarm_;  // Set to now, it is how another thread reaches this queue.
  MemberCompletion<CallWorker, &CallWorker::OnPosts> on_posts_{this};
  std::thread thread_;
};

// One call, as raw messages over gRPC's generic service. Owns itself while operations of the
// transport are under way; wakers share in it.
class GrpcCall final : public RpcCall, public std::enable_shared_from_this<GrpcCall> {
 public:
  // Waits for a client's next call.
  static void Accept(CallWorker& worker);

  explicit GrpcCall(CallWorker& worker);
  ~GrpcCall() override;

  void Read() override;
  void Send(FrameBuffer frames) override;
  void Send(std::string message) override;
  std::size_t unsent() const override { return outgoing_.size(); }
  void Finish() override;
  void Finish(RpcError error) override;
  void SetTimer(std::chrono::steady_clock::time_point when) override;
  void Yield() override;
  std::function<void()> Waker() override;
  LogReader& reader() override { return worker_.reader(); }

  // A Waker() or Yield() arrived on the worker's thread.
  void OnPosted();

 private:
  friend class CallWorker;

  void OnAccepted(bool ok);
  void OnRead(bool ok);
  void OnWritten(bool ok);
  void OnFinished(bool ok);
  void OnDone(bool ok);
  void OnTimer(bool ok);

  void Pump();
  void StartWrite();
  void StartFinish();
  void BeginOperation() { ++operations_; }
  void EndOperation();
  bool is_over() const { return done_ || finishing_; }

  CallWorker& worker_;
  std::shared_ptr<GrpcCall> self_;  // Until the last operation is back.
  int operations_ = 0;

  grpc::GenericServerContext context_;
  grpc::GenericServerAsyncReaderWriter stream_{&context_};
  grpc::ByteBuffer incoming_;
  std::unique_ptr<CallHandler> handler_;
  std::deque<grpc::Slice> outgoing_;
  std::optional<grpc::Status> finish_;
  bool writing_ = false;
  bool headers_sent_ = false;
  bool finishing_ = false;
  bool done_ = false;

  grpc::Alarm timer_;
  bool timer_set_ = false;
  std::optional<std::chrono::steady_clock::time_point> next_timer_;

  MemberCompletion<GrpcCall, &GrpcCall::OnAccepted> on_accepted_{this};
  MemberCompletion<GrpcCall, &GrpcCall::OnRead> on_read_{this};
  MemberCompletion<GrpcCall, &GrpcCall::OnWritten> on_written_{this};
  MemberCompletion<GrpcCall, &GrpcCall::OnFinished> on_finished_{this};
  MemberCompletion<GrpcCall, &GrpcCall::OnDone> on_done_{this};
  MemberCompletion<GrpcCall, &GrpcCall::OnTimer> on_timer_{this};
};

}  // namespace catchup::embedded
