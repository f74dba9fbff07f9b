#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "host/base/mutex.h"
#include "host/source/client/access.h"

namespace catchup {

// One call that reads, driven by a completion queue: request out, frames in one at a time, status.
// The frames are raw bytes, so that no message object is built for each.
//
// Exactly one operation is in the queue at any moment, except while paused, when there is none. So
// the object itself is the operation's tag, and `step_` tells which operation it stands for.
//
// Locks: `mutex_` guards the step and what goes with it, and is never held while OnFrame or
// OnFinished runs. Operations are started under it, which gRPC allows: it calls nothing back from
// there.
class ReadCall {
 public:
  ReadCall() = default;
  virtual ~ReadCall() = default;
  ReadCall(const ReadCall&) = delete;
  ReadCall& operator=(const ReadCall&) = delete;

  // Who keeps the object, and is told on the queue's thread, once Proceed has returned true, that
  // nobody else needs it any more.
  class Keeper {
   public:
    virtual void LetGo(ReadCall* call) = 0;

   protected:
    ~Keeper() = default;
  };
  // To be set before Start, where whoever serves the queue asks for it.
  void set_keeper(Keeper* keeper) { keeper_ = keeper; }
  Keeper* keeper() const { return keeper_; }

  // What the call needs a right to, and where the credentials come from that it carries, for the
  // text of a refusal. Before Start only.
  void set_access(AccessTo access, std::string credentials) {
    access_ = access;
    credentials_ = std::move(credentials);
  }

  // For headers and deadline; before Start only.
  grpc::ClientContext* context() { return &context_; }

  // Calls `method` (a path that outlives the call) with `request`. Once only; from here on the
  // object must live until Proceed returns true.
  void Start(grpc::GenericStub* stub, grpc::CompletionQueue* queue, const char* method,
             const grpc::ByteBuffer& request);

  // Instead of Start: makes no call and ends with `reason`, through the queue all the same.
  void Refuse(grpc::CompletionQueue* queue, grpc::Status reason);

  // The operation in the queue is complete. On the queue's thread. True: this was the last one.
  bool Proceed(bool ok);

  // Called on the queue's thread, behind one or more calls of Proceed, unless the last one returned
  // true.
  virtual void OnRoundEnd() {}

  // See Subscription. Any thread.
  void Resume();
  void Cancel() { Abort(grpc::Status(grpc::StatusCode::CANCELLED, "cancelled by this host")); }

 protected:
  // Ends the call at once; OnFinished will be given `reason` instead of what the call ends with.
  // Any thread. The first reason counts.
  void Abort(grpc::Status reason);

  // Called on the queue's thread. OnFrame may take the bytes out of `frame`; it returns whether to
  // read on, else the call pauses. OnFinished comes once, last.
  virtual bool OnFrame(grpc::ByteBuffer* frame) = 0;
  virtual void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) = 0;

  // Whether a message, a header or a trailer has come. On the queue's thread, in OnFinished.
  bool heard() const { return heard_; }

 private:
  enum class Step : std::uint8_t {
    kNew,
    kStarting,
    kSending,
    kReading,
    kDelivering,  // No operation pending, but the queue's thread is at work here.
    kPaused,      // No operation pending, nobody at work.
    kFinishing,
    kDone,
  };

  void Read() CATCHUP_REQUIRES(mutex_);
  void Finish() CATCHUP_REQUIRES(mutex_);
  // Lets go of the lock while the frame is delivered.
  void Deliver() CATCHUP_REQUIRES(mutex_);

  Keeper* keeper_ = nullptr;
  AccessTo access_ = AccessTo::kAll;
  std::string credentials_;
  Mutex mutex_;
  Step step_ CATCHUP_GUARDED_BY(mutex_) = Step::kNew;
  // Resume() came while a frame was being delivered.
  bool resumed_ CATCHUP_GUARDED_BY(mutex_) = false;
  // Why we ended it; set means cancelled.
  std::optional<grpc::Status> override_ CATCHUP_GUARDED_BY(mutex_);
  bool heard_ = false;  // The queue's thread only.
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  std::unique_ptr<grpc::Alarm> alarm_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer frame_;
  grpc::Status status_;
};

}  // namespace catchup
