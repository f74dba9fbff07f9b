#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "host/base/uuid.h"
#include "host/source/embedded/log/live_hub.h"
#include "host/source/embedded/log/log_reader.h"
#include "host/source/embedded/log/log_writer.h"
#include "host/source/embedded/wire/frame_encoder.h"
#include "host/source/embedded/wire/rpc_error.h"

namespace catchup::embedded {

// One call of a client, seen from the code that answers it. The transport behind it is in
// grpc_call.cc, so that only that file and the server's see gRPC.
//
// All but Wake() belong to the call's thread, which is also the one that calls its handler.
class RpcCall {
 public:
  virtual ~RpcCall() = default;

  // Asks for the next message; OnMessage() or OnHalfClose() follows.
  virtual void Read() = 0;
  // Queues messages to send, in order.
  virtual void Send(FrameBuffer frames) = 0;
  virtual void Send(std::string message) = 0;
  // Messages queued that the transport has not taken.
  virtual std::size_t unsent() const = 0;
  // Ends the call after what is queued.
  virtual void Finish() = 0;
  virtual void Finish(RpcError error) = 0;
  // Calls OnTimer() once at `when`; a later call replaces an earlier one.
  virtual void SetTimer(std::chrono::steady_clock::time_point when) = 0;
  // Calls OnRoom() again soon, after the thread's other calls had their turn.
  virtual void Yield() = 0;
  // Calls OnWake() on the call's thread. Any thread, also after the call is over.
  virtual std::function<void()> Waker() = 0;
  // Reads of the log by the call's thread.
  virtual LogReader& reader() = 0;
};

// Answers one call. Constructed on the call's thread, when the call begins; destroyed when it is
// over and nobody holds its Waker() any more.
class CallHandler {
 public:
  virtual ~CallHandler() = default;

  virtual void OnMessage(const std::string& message) = 0;
  virtual void OnHalfClose() {}
  // The transport can take more: at most one message is queued.
  virtual void OnRoom() {}
  virtual void OnWake() {}
  virtual void OnTimer() {}
  // The call is over, by either side. Nothing else is called after this.
  virtual void OnDone() {}
};

// What the handlers share. Outlives every call.
struct ServerCore {
  LogWriter& writer;
  LiveHub& hub;
  std::string host;  // The name that clients are told.
  std::uint16_t port = 0;
  Uuid instance_id;
  std::uint64_t max_append_bytes = 0;
  std::size_t live_frames = 0;
};

// The handler for a full method path, or null for a method that this server does not have.
std::unique_ptr<CallHandler> CreateHandler(const std::string& method, RpcCall& call,
                                           ServerCore& core);

// What a call of a method gets that this server does not have.
RpcError Unimplemented(std::string_view method);

std::unique_ptr<CallHandler> CreateReadHandler(RpcCall& call, ServerCore& core);
std::unique_ptr<CallHandler> CreateAppendHandler(RpcCall& call, ServerCore& core);
std::unique_ptr<CallHandler> CreateBatchAppendHandler(RpcCall& call, ServerCore& core);
std::unique_ptr<CallHandler> CreateDeleteHandler(RpcCall& call, ServerCore& core);
std::unique_ptr<CallHandler> CreateTombstoneHandler(RpcCall& call, ServerCore& core);
std::unique_ptr<CallHandler> CreateGossipHandler(RpcCall& call, ServerCore& core);
std::unique_ptr<CallHandler> CreateServerFeaturesHandler(RpcCall& call, ServerCore& core);

}  // namespace catchup::embedded
