#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "host/base/mutex.h"
#include "host/source/embedded/log/log_writer.h"
#include "host/source/embedded/wire/rpc_call.h"

namespace catchup::embedded {

// One write of a call on its way: submitted from the call's thread, answered on the writer's, read
// by the call again.
class PendingWrite {
 public:
  // Once. `wake` is called on the writer's thread as soon as there is an outcome; this object must
  // live until then.
  void Submit(LogWriter& writer, LogWriter::Work work, std::function<void()> wake) {
    writer.Submit({std::move(work), [this, wake = std::move(wake)](const auto& outcome) {
                     {
                       const MutexLock lock(&mutex_);
                       outcome_ = outcome;
                     }
                     wake();
                   }});
  }

  // What is left for the call to tell: nothing before the writer has answered, nor where the answer
  // ends the call here, because the file failed or `stream`, which was written to, is deleted.
  std::optional<WriteOutcome> TakeOrEnd(const std::string& stream, RpcCall* call) const {
    const std::optional<Result<WriteOutcome>> answer = outcome();
    if (!answer) {
      return std::nullopt;
    }
    if (!answer->ok()) {
      call->Finish(RpcError::Storage(answer->status().message()));
      return std::nullopt;
    }
    if ((*answer)->kind == WriteOutcome::Kind::kStreamDeleted) {
      call->Finish(RpcError::StreamDeleted(stream));
      return std::nullopt;
    }
    return **answer;
  }

 private:
  std::optional<Result<WriteOutcome>> outcome() const {
    const MutexLock lock(&mutex_);
    return outcome_;
  }

  mutable Mutex mutex_;
  std::optional<Result<WriteOutcome>> outcome_ CATCHUP_GUARDED_BY(mutex_);
};

}  // namespace catchup::embedded
