#include "host/source/client/read_call.h"

#include <utility>

#include "host/base/check.h"

namespace catchup {

void ReadCall::Start(grpc::GenericStub* stub, grpc::CompletionQueue* queue, const char* method,
                     const grpc::ByteBuffer& request) {
  const MutexLock lock(&mutex_);
  CATCHUP_CHECK(step_ == Step::kNew);
  request_ = request;
  stream_ = stub->PrepareCall(&context_, method, queue);
  step_ = Step::kStarting;
  stream_->StartCall(this);
}

void ReadCall::Refuse(grpc::CompletionQueue* queue, grpc::Status reason) {
  const MutexLock lock(&mutex_);
  CATCHUP_CHECK(step_ == Step::kNew);
  override_ = std::move(reason);
  step_ = Step::kFinishing;
  alarm_ = std::make_unique<grpc::Alarm>();
  alarm_->Set(queue, gpr_now(GPR_CLOCK_MONOTONIC), this);
}

bool ReadCall::Proceed(bool ok) {
  MutexLock lock(&mutex_);
  // After a failed operation, or once we have ended the call, only its status is of interest.
  const bool over = !ok || override_.has_value();
  switch (step_) {
    case Step::kStarting:
      if (over) {
        Finish();
      } else {
        step_ = Step::kSending;
        stream_->WriteLast(request_, grpc::WriteOptions(), this);
      }
      return false;
    case Step::kSending:
      request_.Clear();
      over ? Finish() : Read();
      return false;
    case Step::kReading:
      if (over) {
        Finish();
      } else {
        Deliver();
      }
      return false;
    case Step::kFinishing:
      step_ = Step::kDone;
      // One that was never started has no metadata to look at.
      heard_ = heard_ || (stream_ != nullptr && (!context_.GetServerInitialMetadata().empty() ||
                                                 !context_.GetServerTrailingMetadata().empty()));
      stream_.reset();
      status_ = override_.value_or(AdviseOnAccess(status_, access_, credentials_));
      lock.Unlock();
      OnFinished(status_, context_);
      return true;
    case Step::kNew:
    case Step::kDelivering:
    case Step::kPaused:
    case Step::kDone:
      break;
  }
  CATCHUP_CHECK(false && "an operation completed that was never started");
  return true;
}

void ReadCall::Deliver() {
  step_ = Step::kDelivering;
  resumed_ = false;
  heard_ = true;
  mutex_.Unlock();
  const bool go_on = OnFrame(&frame_);
  mutex_.Lock();
  if (override_.has_value()) {
    Finish();
  } else if (go_on || resumed_) {
    Read();
  } else {
    step_ = Step::kPaused;
  }
}

void ReadCall::Resume() {
  const MutexLock lock(&mutex_);
  if (step_ == Step::kPaused) {
    Read();
  } else if (step_ == Step::kDelivering) {
    resumed_ = true;
  }
}

void ReadCall::Abort(grpc::Status reason) {
  const MutexLock lock(&mutex_);
  if (override_.has_value() || step_ == Step::kDone) {
    return;
  }
  override_ = std::move(reason);
  context_.TryCancel();
  // Everywhere else an operation is pending, or the queue's thread is about to look at override_.
  if (step_ == Step::kPaused) {
    Finish();
  }
}

void ReadCall::Read() {
  step_ = Step::kReading;
  frame_.Clear();
  stream_->Read(&frame_, this);
}

void ReadCall::Finish() {
  step_ = Step::kFinishing;
  stream_->Finish(&status_, this);
}

}  // namespace catchup
