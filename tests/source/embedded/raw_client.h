#pragma once

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/source/byte_buffer.h"

namespace catchup::test {

// Nothing in these tests takes longer on a loaded machine; a wait this long has failed.
inline constexpr std::chrono::seconds kPatience{30};

inline std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(17 << 20);
  arguments.SetMaxSendMessageSize(-1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// One call of raw messages, one operation at a time, each waited for. A call that is dropped is
// cancelled.
class RawCall {
 public:
  RawCall(const std::shared_ptr<grpc::Channel>& channel, const std::string& method,
          const std::map<std::string, std::string>& headers = {})
      : stub_(channel) {
    for (const auto& [key, value] : headers) {
      context_.AddMetadata(key, value);
    }
    call_ = stub_.PrepareCall(&context_, method, &queue_);
    call_->StartCall(this);
    (void)Await();
  }
  ~RawCall() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  RawCall(const RawCall&) = delete;
  RawCall& operator=(const RawCall&) = delete;

  // False when the call is already over.
  bool Send(const std::string& message) {
    call_->Write(ToBuffer(message), this);
    return Await();
  }
  void HalfClose() {
    call_->WritesDone(this);
    (void)Await();
  }

  // The next message; none when the call has ended. `timed_out` is set when neither came.
  std::optional<std::string> Receive(std::chrono::milliseconds patience = kPatience) {
    if (!is_reading_) {
      call_->Read(&incoming_, this);
      is_reading_ = true;
    }
    void* tag = nullptr;
    bool ok = false;
    timed_out_ = queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + patience) !=
                 grpc::CompletionQueue::GOT_EVENT;
    if (timed_out_) {
      return std::nullopt;
    }
    is_reading_ = false;
    return ok ? std::optional(ToText(incoming_)) : std::nullopt;
  }
  bool timed_out() const { return timed_out_; }

  // Reads to the end, then the status. For calls that the server ends, or after Cancel().
  grpc::Status Finish() {
    while (Receive() || timed_out_) {
      if (timed_out_) {
        return {grpc::StatusCode::UNKNOWN, "test: the call did not end"};
      }
    }
    grpc::Status status;
    call_->Finish(&status, this);
    (void)Await();
    return status;
  }
  void Cancel() { context_.TryCancel(); }

  std::map<std::string, std::string> Trailers() const {
    std::map<std::string, std::string> trailers;
    for (const auto& [key, value] : context_.GetServerTrailingMetadata()) {
      trailers.emplace(std::string(key.data(), key.size()),
                       std::string(value.data(), value.size()));
    }
    return trailers;
  }

 private:
  bool Await() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kPatience) ==
               grpc::CompletionQueue::GOT_EVENT &&
           ok;
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer incoming_;
  bool is_reading_ = false;
  bool timed_out_ = false;
};

}  // namespace catchup::test
