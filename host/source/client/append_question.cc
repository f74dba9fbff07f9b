#include "host/source/client/append_question.h"

#include <fmt/core.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include "host/base/number.h"
#include "host/source/client/call_status.h"
#include "host/source/proto/streams.pb.h"

namespace catchup {
namespace {

using event_store::client::streams::ReadResp;

// More events of one stream than this are no tail of a run, and their ids would take 160 MB.
constexpr std::size_t kMaxIds = 10'000'000;

// 100 ns ticks since 1970, as the server writes them; none if it says something else.
std::optional<std::int64_t> CreatedTicks(const ReadResp::ReadEvent::RecordedEvent& event) {
  const auto found = event.metadata().find("created");
  if (found == event.metadata().end()) {
    return std::nullopt;
  }
  return ParseNumber<std::int64_t>(found->second);
}

}  // namespace

AppendQuestion::AppendQuestion(std::string address, std::uint64_t number, std::int64_t since,
                               std::function<void(AppendAnswer)> answered)
    : address_(std::move(address)),
      since_(since),
      answered_(std::move(answered)),
      last_progress_(std::chrono::steady_clock::now()) {
  answer_.number = number;
}

void AppendQuestion::GiveUp(std::chrono::milliseconds waited) {
  Abort(grpc::Status(grpc::StatusCode::UNAVAILABLE,
                     fmt::format("no answer within {} ms", waited.count())));
}

bool AppendQuestion::OnFrame(grpc::ByteBuffer* frame) {
  last_progress_ = std::chrono::steady_clock::now();
  ReadResp response;
  if (!grpc::SerializationTraits<ReadResp>::Deserialize(frame, &response).ok()) {
    Abort(grpc::Status(grpc::StatusCode::INTERNAL, "a frame of a read that is no ReadResp"));
    return false;
  }
  if (!response.has_event()) {
    return true;
  }
  const ReadResp::ReadEvent::RecordedEvent& event =
      response.event().has_link() ? response.event().link() : response.event().event();
  const std::optional<std::int64_t> created = CreatedTicks(event);
  if (!created.has_value()) {
    Abort(grpc::Status(grpc::StatusCode::INTERNAL, "an event without the time of its creation"));
    return false;
  }
  if (!answer_.revision.has_value()) {
    answer_.revision = event.stream_revision();
    answer_.position = Position{event.commit_position(), event.prepare_position()};
  }
  if (*created < since_) {
    Abort(grpc::Status::OK);
    return false;
  }
  if (answer_.ids.size() == kMaxIds) {
    Abort(grpc::Status(
        grpc::StatusCode::RESOURCE_EXHAUSTED,
        fmt::format("more than {} events at the end of the stream since the run began", kMaxIds)));
    return false;
  }
  answer_.ids.push_back(Uuid::FromHalves(
      static_cast<std::uint64_t>(event.id().structured().most_significant_bits()),
      static_cast<std::uint64_t>(event.id().structured().least_significant_bits())));
  return true;
}

void AppendQuestion::OnFinished(const grpc::Status& status, const grpc::ClientContext& context) {
  if (!status.ok()) {
    answer_.status = ToStatus(address_, status, context);
  }
  answered_(std::move(answer_));
}

}  // namespace catchup
