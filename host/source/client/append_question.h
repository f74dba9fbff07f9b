#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "host/source/client/appender.h"
#include "host/source/client/read_call.h"

namespace catchup {

// A read that a writer makes before it writes: of the end of a stream, or of the head of the log.
class AppendQuestion final : public ReadCall {
 public:
  // `answered` is called once, on the queue's thread. Events created before `since` end the read.
  AppendQuestion(std::string address, std::uint64_t number, std::int64_t since,
                 std::function<void(AppendAnswer)> answered);

  // When the last frame came. Any thread.
  std::chrono::steady_clock::time_point last_progress() const { return last_progress_.load(); }

  // Ends the read with "no answer within …". Any thread.
  void GiveUp(std::chrono::milliseconds waited);

 protected:
  bool OnFrame(grpc::ByteBuffer* frame) override;
  void OnFinished(const grpc::Status& status, const grpc::ClientContext& context) override;

 private:
  const std::string address_;
  const std::int64_t since_;
  const std::function<void(AppendAnswer)> answered_;
  std::atomic<std::chrono::steady_clock::time_point> last_progress_;
  AppendAnswer answer_;
};

}  // namespace catchup
