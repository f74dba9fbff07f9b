#pragma once

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/uuid.h"
#include "host/source/proto/streams.grpc.pb.h"
#include "tests/source/embedded/raw_client.h"

namespace catchup::test {

namespace wire = event_store::client::streams;

// A plain client of the wire protocol, over the generated stubs.
class LogClient {
 public:
  explicit LogClient(const std::string& address)
      : channel_(Connect(address)), stub_(wire::Streams::NewStub(channel_)) {}

  wire::Streams::Stub& stub() { return *stub_; }
  const std::shared_ptr<grpc::Channel>& channel() { return channel_; }

  struct Event {
    std::string type = "thing-happened";
    std::string data = "{}";
    Uuid id = RandomUuid();
  };

  // `configure` sets the expected revision.
  template <typename Configure>
  grpc::Status Append(const std::string& stream, const std::vector<Event>& events,
                      wire::AppendResp* reply, Configure configure) {
    grpc::ClientContext context;
    SetDeadline(&context);
    auto writer = stub_->Append(&context, reply);
    wire::AppendReq request;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    configure(request.mutable_options());
    writer->Write(request);
    for (const Event& event : events) {
      request.Clear();
      auto& message = *request.mutable_proposed_message();
      message.mutable_id()->set_string(FormatUuid(event.id));
      (*message.mutable_metadata())["type"] = event.type;
      (*message.mutable_metadata())["content-type"] = "application/json";
      message.set_data(event.data);
      writer->Write(request);
    }
    writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Append(const std::string& stream, const std::vector<Event>& events,
                      wire::AppendResp* reply) {
    return Append(stream, events, reply, [](auto* options) { options->mutable_any(); });
  }
  // Appends that must succeed; returns the position of the last record.
  std::uint64_t MustAppend(const std::string& stream, const std::vector<Event>& events) {
    wire::AppendResp reply;
    const grpc::Status status = Append(stream, events, &reply);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_TRUE(reply.has_success()) << reply.ShortDebugString();
    return reply.success().position().commit_position();
  }

  template <typename Request, typename Response, typename Configure>
  grpc::Status Remove(const std::string& stream, Configure configure,
                      grpc::Status (wire::Streams::Stub::*method)(grpc::ClientContext*,
                                                                  const Request&, Response*)) {
    grpc::ClientContext context;
    SetDeadline(&context);
    Request request;
    Response reply;
    request.mutable_options()->mutable_stream_identifier()->set_stream_name(stream);
    configure(request.mutable_options());
    return (stub_.get()->*method)(&context, request, &reply);
  }
  grpc::Status Delete(const std::string& stream) {
    return Remove<wire::DeleteReq, wire::DeleteResp>(
        stream, [](auto* options) { options->mutable_any(); }, &wire::Streams::Stub::Delete);
  }
  grpc::Status Tombstone(const std::string& stream) {
    return Remove<wire::TombstoneReq, wire::TombstoneResp>(
        stream, [](auto* options) { options->mutable_any(); }, &wire::Streams::Stub::Tombstone);
  }

  static wire::ReadReq ReadAll() {
    wire::ReadReq request;
    auto& options = *request.mutable_options();
    options.mutable_uuid_option()->mutable_string();
    options.mutable_all()->mutable_start();
    options.set_count(1'000'000);
    options.mutable_no_filter();
    return request;
  }
  static wire::ReadReq ReadStream(const std::string& stream) {
    wire::ReadReq request = ReadAll();
    auto& options = *request.mutable_options()->mutable_stream();
    options.mutable_stream_identifier()->set_stream_name(stream);
    options.mutable_start();
    return request;
  }
  // Everything of `$all` from its start.
  static wire::ReadReq SubscribeAll() {
    wire::ReadReq request = ReadAll();
    request.mutable_options()->mutable_subscription();
    return request;
  }

  // All frames of a call that ends.
  grpc::Status Read(const wire::ReadReq& request, std::vector<wire::ReadResp>* frames) {
    grpc::ClientContext context;
    SetDeadline(&context);
    auto reader = stub_->Read(&context, request);
    wire::ReadResp frame;
    while (reader->Read(&frame)) {
      frames->push_back(frame);
    }
    return reader->Finish();
  }

  static void SetDeadline(grpc::ClientContext* context) {
    context->set_deadline(std::chrono::system_clock::now() + kPatience);
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<wire::Streams::Stub> stub_;
};

// A Read call in progress. One that is dropped is cancelled.
class Subscription {
 public:
  Subscription(LogClient& client, const wire::ReadReq& request) {
    LogClient::SetDeadline(&context_);
    reader_ = client.stub().Read(&context_, request);
  }
  ~Subscription() {
    if (reader_ != nullptr) {
      context_.TryCancel();
      (void)reader_->Finish();
    }
  }

  // The next frame; an empty one when the call has ended.
  wire::ReadResp Next() {
    wire::ReadResp frame;
    if (!reader_->Read(&frame)) {
      frame.Clear();
    }
    return frame;
  }
  // Passes over frames up to and with caught_up, and returns it.
  wire::ReadResp UntilCaughtUp() {
    while (true) {
      wire::ReadResp frame = Next();
      if (frame.has_caught_up() || frame.content_case() == wire::ReadResp::CONTENT_NOT_SET) {
        return frame;
      }
    }
  }
  // The next event, passing over everything else.
  std::optional<wire::ReadResp::ReadEvent::RecordedEvent> NextEvent() {
    while (true) {
      wire::ReadResp frame = Next();
      if (frame.has_event()) {
        return frame.event().event();
      }
      if (frame.content_case() == wire::ReadResp::CONTENT_NOT_SET) {
        return std::nullopt;
      }
    }
  }
  grpc::Status Finish() {
    const grpc::Status status = reader_->Finish();
    reader_.reset();
    return status;
  }
  void Cancel() { context_.TryCancel(); }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<wire::ReadResp>> reader_;
};

}  // namespace catchup::test
