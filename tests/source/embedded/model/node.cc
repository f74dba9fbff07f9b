#include "tests/source/embedded/model/node.h"

#include <set>

namespace catchup::embedded::model {
namespace {

// What a web server adds of its own.
bool IsOfTransport(const std::string& key) {
  static const std::set<std::string> kKeys{"content-length", "content-type", "date", "server"};
  return kKeys.contains(key);
}

void Finish(const grpc::Status& status, const grpc::ClientContext& context, Answer* answer) {
  answer->code = status.error_code();
  answer->message = status.error_message();
  for (const auto& [key, value] : context.GetServerTrailingMetadata()) {
    const std::string name(key.data(), key.size());
    if (!IsOfTransport(name)) {
      answer->trailers.emplace(name, std::string(value.data(), value.size()));
    }
  }
}

}  // namespace

Node::~Node() {
  if (batch_ != nullptr) {
    batch_context_.TryCancel();
    (void)batch_->Finish();
  }
}

Answer Node::Append(const std::vector<wire::AppendReq>& messages) {
  grpc::ClientContext context;
  test::LogClient::SetDeadline(&context);
  wire::AppendResp reply;
  Answer answer;
  auto writer = client_.stub().Append(&context, &reply);
  for (const wire::AppendReq& message : messages) {
    if (!writer->Write(message)) {
      break;  // The call is over; its status says why.
    }
  }
  writer->WritesDone();
  Finish(writer->Finish(), context, &answer);
  if (answer.code == grpc::StatusCode::OK) {
    answer.frames = {ToText(reply)};
  }
  return answer;
}

Answer Node::BatchAppend(const wire::BatchAppendReq& request) {
  if (batch_ == nullptr) {
    test::LogClient::SetDeadline(&batch_context_);
    batch_ = client_.stub().BatchAppend(&batch_context_);
  }
  Answer answer;
  wire::BatchAppendResp reply;
  if (batch_->Write(request) && batch_->Read(&reply)) {
    answer.frames = {ToText(reply)};
    return answer;
  }
  Finish(batch_->Finish(), batch_context_, &answer);
  batch_.reset();
  return answer;
}

Answer Node::Delete(const wire::DeleteReq& request) {
  grpc::ClientContext context;
  test::LogClient::SetDeadline(&context);
  wire::DeleteResp reply;
  Answer answer;
  Finish(client_.stub().Delete(&context, request, &reply), context, &answer);
  if (answer.code == grpc::StatusCode::OK) {
    answer.frames = {ToText(reply)};
  }
  return answer;
}

Answer Node::Tombstone(const wire::TombstoneReq& request) {
  grpc::ClientContext context;
  test::LogClient::SetDeadline(&context);
  wire::TombstoneResp reply;
  Answer answer;
  Finish(client_.stub().Tombstone(&context, request, &reply), context, &answer);
  if (answer.code == grpc::StatusCode::OK) {
    answer.frames = {ToText(reply)};
  }
  return answer;
}

Answer Node::Read(const wire::ReadReq& request) {
  grpc::ClientContext context;
  test::LogClient::SetDeadline(&context);
  Answer answer;
  auto reader = client_.stub().Read(&context, request);
  wire::ReadResp frame;
  while (reader->Read(&frame)) {
    answer.frames.push_back(ToText(frame));
  }
  Finish(reader->Finish(), context, &answer);
  return answer;
}

std::string Node::Head() {
  wire::ReadReq request = test::LogClient::ReadAll();
  request.mutable_options()->mutable_all()->mutable_end();
  request.mutable_options()->set_read_direction(wire::ReadReq::Options::Backwards);
  request.mutable_options()->set_count(1);
  std::vector<wire::ReadResp> frames;
  if (!client_.Read(request, &frames).ok() || frames.empty()) {
    return "";
  }
  const auto& event = frames.front().event().event();
  return event.stream_identifier().stream_name() + "@" + std::to_string(event.stream_revision());
}

}  // namespace catchup::embedded::model
