// Streams/Read.
#include <optional>
#include <utility>
#include <variant>

#include "host/source/embedded/calls/read_source.h"
#include "host/source/embedded/wire/rpc_call.h"
#include "host/source/proto/streams.pb.h"

namespace catchup::embedded {
namespace {

// Bytes of events that a live buffer holds, whatever their number: what a page of big events is.
constexpr std::uint64_t kLiveBytes = 4 << 20;

class ReadHandler final : public CallHandler {
 public:
  ReadHandler(RpcCall& call, ServerCore& core) : call_(call), core_(core) { call_.Read(); }

  void OnMessage(const std::string& message) override {
    event_store::client::streams::ReadReq request;
    if (!request.ParseFromString(message)) {
      call_.Finish(RpcError::Unhandled());
      return;
    }
    std::variant<ReadPlan, RpcError> plan = PlanRead(request);
    if (auto* error = std::get_if<RpcError>(&plan)) {
      call_.Finish(std::move(*error));
      return;
    }
    source_ = ReadSource::Create(
        std::move(std::get<ReadPlan>(plan)),
        {call_.reader(), core_.hub, core_.live_frames, kLiveBytes, call_.Waker()});
  }

  void OnHalfClose() override { call_.Finish(RpcError::Incomplete()); }

  void OnRoom() override {
    if (source_ == nullptr || waiting_) {
      return;
    }
    FrameBuffer frames;
    ReadSource::Step step = source_->Fill(&frames);
    const bool sent = !frames.empty();
    if (sent) {
      call_.Send(std::move(frames));
    }
    switch (step.state) {
      case ReadSource::State::kMore:
        if (!sent) {
          call_.Yield();
        }
        break;
      case ReadSource::State::kWait:
        waiting_ = true;
        break;
      case ReadSource::State::kEnd:
        source_.reset();
        if (step.error) {
          call_.Finish(*std::move(step.error));
        } else {
          call_.Finish();
        }
        break;
    }
  }

  void OnWake() override { waiting_ = false; }
  void OnDone() override { source_.reset(); }

 private:
  RpcCall& call_;
  ServerCore& core_;
  std::unique_ptr<ReadSource> source_;
  bool waiting_ = false;
};

}  // namespace

std::unique_ptr<CallHandler> CreateReadHandler(RpcCall& call, ServerCore& core) {
  return std::make_unique<ReadHandler>(call, core);
}

}  // namespace catchup::embedded
