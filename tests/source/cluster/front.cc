#include "tests/source/cluster/front.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/channel_arguments.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <utility>

#include "tests/source/byte_buffer.h"

namespace catchup {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

template <typename Metadata>
Headers ToHeaders(const Metadata& metadata) {
  Headers headers;
  for (const auto& [name, value] : metadata) {
    headers.emplace_back(std::string(name.data(), name.size()),
                         std::string(value.data(), value.size()));
  }
  return headers;
}

// What each of two connections has of its own.
bool IsOfConnection(const std::string& name) {
  return name == "user-agent" || name == "content-type" || name == "te" || name == "date" ||
         name.rfind("grpc-", 0) == 0;
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& log) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxTestMessageBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  return grpc::CreateCustomChannel(log, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

std::string Front::Call::Header(const std::string& name) const {
  for (const auto& [known, value] : headers) {
    if (known == name) {
      return value;
    }
  }
  return {};
}

Front::Fate Front::Fate::End(grpc::Status status, Headers trailers) {
  Fate fate;
  fate.ends = true;
  fate.status = std::move(status);
  fate.trailers = std::move(trailers);
  return fate;
}

// One call and the one that it becomes at the log, driven by one thread and one queue. Each
// operation is named by its tag; of each kind there is at most one.
class Front::Relay {
 public:
  Relay(Front* front, AnyCall* call)
      : front_(*front),
        context_(call->context),
        stream_(call->stream),
        queue_(call->queue),
        log_stub_(front->LogFor(context_.peer())) {}
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  void Run() {
    stream_.Read(&from_client_, Tag(Step::kRead));
    void* tag = nullptr;
    bool ok = false;
    while (!(over_ && finished_ && !at_log_) && queue_.Next(&tag, &ok)) {
      Proceed(static_cast<Step>(reinterpret_cast<std::intptr_t>(tag)), ok);
    }
  }

  // The rule has changed. Any thread.
  void JudgeAgain() {
    const std::lock_guard lock(mutex_);
    if (!open_.has_value() || cut_short_.ends) {
      return;
    }
    cut_short_ = front_.Judge(*open_);
    swallows_ = cut_short_.swallows;
    if (cut_short_.ends) {
      log_context_.TryCancel();
    }
  }

 private:
  enum class Step : std::intptr_t {
    kOver,   // The client's call is over, whoever ended it: the server's own tag.
    kRead,   // From the client,
    kWrite,  // and to it.
    kFinish,
    kLogStart,
    kLogRead,
    kLogWrite,
    kLogHalfClose,
    kLogFinish,
  };
  static void* Tag(Step step) { return reinterpret_cast<void*>(static_cast<std::intptr_t>(step)); }

  void Proceed(Step step, bool ok) {
    switch (step) {
      case Step::kOver:
        over_ = true;
        finished_ = finished_ || context_.IsCancelled();
        log_context_.TryCancel();
        break;
      case Step::kRead:
        OnMessage(ok);
        break;
      case Step::kWrite:
        OnAnswered(ok);
        break;
      case Step::kFinish:
        finished_ = true;
        break;
      case Step::kLogStart:
        log_stream_->Read(&from_log_, Tag(Step::kLogRead));
        Pass();
        break;
      case Step::kLogRead:
        OnLogMessage(ok);
        break;
      case Step::kLogWrite:
        if (ok && at_log_) {
          stream_.Read(&from_client_, Tag(Step::kRead));
        }
        break;
      case Step::kLogHalfClose:
        break;
      case Step::kLogFinish:
        OnLogFinished();
        break;
    }
  }

  // The client has sent a message, or its last.
  void OnMessage(bool ok) {
    half_closed_ = !ok;
    if (!std::exchange(judged_, true)) {
      Judge(ok ? ToText(from_client_) : std::string());
      if (fate_.ends) {
        Finish(fate_.status, fate_.trailers, fate_.last_words);
        return;
      }
      if (at_log_) {
        return;  // This message passes once the call has begun there.
      }
    }
    if (fate_.answer == nullptr) {
      if (at_log_) {
        Pass();  // Else the log has ended the call, whatever the client still says.
      }
    } else if (half_closed_) {
      Finish(grpc::Status::OK, {});
    } else {
      stream_.Write(ToBuffer(fate_.answer(ToText(from_client_))), Tag(Step::kWrite));
    }
  }

  void Judge(std::string message) {
    Call call{context_.method(), std::move(message), ToHeaders(context_.client_metadata())};
    const std::lock_guard lock(mutex_);
    fate_ = front_.Judge(call);
    if (!fate_.ends && fate_.answer == nullptr) {
      StartAtLog(call);
      open_ = std::move(call);
      open_->open = true;
    }
  }

  void StartAtLog(const Call& call) {
    for (const auto& [name, value] : call.headers) {
      if (!IsOfConnection(name)) {
        log_context_.AddMetadata(name, value);
      }
    }
    at_log_ = true;
    log_stream_ = log_stub_.PrepareCall(&log_context_, call.method, &queue_);
    log_stream_->StartCall(Tag(Step::kLogStart));
  }

  void Pass() {
    if (half_closed_) {
      log_stream_->WritesDone(Tag(Step::kLogHalfClose));
    } else {
      log_stream_->Write(from_client_, Tag(Step::kLogWrite));
    }
  }

  void OnLogMessage(bool ok) {
    if (!ok) {
      log_stream_->Finish(&log_status_, Tag(Step::kLogFinish));
      return;
    }
    if (swallows_) {
      log_stream_->Read(&from_log_, Tag(Step::kLogRead));
      return;
    }
    if (!headers_sent_) {
      headers_sent_ = true;
      for (const auto& [name, value] : ToHeaders(log_context_.GetServerInitialMetadata())) {
        if (!IsOfConnection(name)) {
          context_.AddInitialMetadata(name, value);
        }
      }
    }
    stream_.Write(from_log_, Tag(Step::kWrite));
  }

  void OnAnswered(bool ok) {
    if (fate_.answer != nullptr) {
      if (ok) {
        stream_.Read(&from_client_, Tag(Step::kRead));
      }
    } else if (ok) {
      log_stream_->Read(&from_log_, Tag(Step::kLogRead));
    } else {
      log_context_.TryCancel();
      log_stream_->Finish(&log_status_, Tag(Step::kLogFinish));
    }
  }

  void OnLogFinished() {
    const std::lock_guard lock(mutex_);
    open_.reset();
    at_log_ = false;
    if (cut_short_.ends) {
      Finish(cut_short_.status, cut_short_.trailers);
    } else {
      Finish(log_status_, ToHeaders(log_context_.GetServerTrailingMetadata()));
    }
  }

  void Finish(const grpc::Status& status, const Headers& trailers,
              const std::optional<std::string>& last_words = std::nullopt) {
    if (over_) {
      finished_ = true;
      return;
    }
    for (const auto& [name, value] : trailers) {
      if (!IsOfConnection(name) || name == "grpc-retry-pushback-ms") {
        context_.AddTrailingMetadata(name, value);
      }
    }
    if (last_words) {
      stream_.WriteAndFinish(ToBuffer(*last_words), {}, status, Tag(Step::kFinish));
    } else {
      stream_.Finish(status, Tag(Step::kFinish));
    }
  }

  Front& front_;
  // All three of the client's call, and there while this runs.
  grpc::GenericServerContext& context_;
  grpc::GenericServerAsyncReaderWriter& stream_;
  grpc::CompletionQueue& queue_;
  grpc::GenericStub log_stub_;
  grpc::ClientContext log_context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> log_stream_;
  grpc::ByteBuffer from_client_;
  grpc::ByteBuffer from_log_;
  grpc::Status log_status_;
  bool over_ = false;
  bool finished_ = false;
  bool half_closed_ = false;
  bool headers_sent_ = false;
  std::atomic<bool> swallows_ = false;

  Fate fate_;
  bool judged_ = false;
  bool at_log_ = false;

  std::mutex mutex_;          // For the next two, and the start at the log.
  std::optional<Call> open_;  // While it is at the log: as it was judged.
  Fate cut_short_;            // By a later rule.
};

Front::Front(const std::string& log, const std::shared_ptr<grpc::ServerCredentials>& credentials)
    : log_(log), server_([this](AnyCall* call) { Serve(call); }, credentials) {}

std::shared_ptr<grpc::Channel> Front::LogFor(const std::string& client) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<grpc::Channel>& channel = channels_[client];
  if (channel == nullptr) {
    channel = ChannelTo(log_);
  }
  return channel;
}

void Front::Serve(AnyCall* call) {
  const auto relay = std::make_shared<Relay>(this, call);
  {
    const std::lock_guard lock(mutex_);
    relays_.push_back(relay);
  }
  relay->Run();
}

Front::Fate Front::Judge(const Call& call) {
  const std::lock_guard lock(mutex_);
  Fate fate = rule_ == nullptr ? Fate() : rule_(call);
  ended_ += fate.ends ? 1 : 0;
  return fate;
}

void Front::SetRule(Rule rule) {
  std::vector<std::shared_ptr<Relay>> relays;
  {
    const std::lock_guard lock(mutex_);
    rule_ = std::move(rule);
    relays = relays_;
  }
  for (const auto& relay : relays) {
    relay->JudgeAgain();
  }
}

int Front::ended() {
  const std::lock_guard lock(mutex_);
  return ended_;
}

}  // namespace catchup
