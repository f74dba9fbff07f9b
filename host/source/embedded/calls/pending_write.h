#pragma once

#include <functional>
#include <optional>
#include <utility>

#include "host/base/mutex.h"
#include "host/source/embedded/log/log_writer.h"

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

  // Nothing before the writer has answered.
  std::optional<Result<WriteOutcome>> outcome() const {
    const MutexLock lock(&mutex_);
    return outcome_;
  }

 private:
  mutable Mutex mutex_;
  std::optional<Result<WriteOutcome>> outcome_ CATCHUP_GUARDED_BY(mutex_);
};

}  // namespace catchup::embedded
