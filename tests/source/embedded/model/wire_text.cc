#include "tests/source/embedded/model/wire_text.h"

#include <array>
#include <cstdio>

#include "host/base/uuid.h"

namespace catchup::embedded::model {
namespace {

using Recorded = wire::ReadResp::ReadEvent::RecordedEvent;

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

template <typename Position>
std::string PairOf(const Position& position) {
  return Pair(std::to_string(position.commit_position()),
              std::to_string(position.prepare_position()));
}

std::string IdText(const shared::UUID& id) {
  if (id.has_string()) {
    return id.string();
  }
  return FormatUuid(
      Uuid::FromHalves(static_cast<std::uint64_t>(id.structured().most_significant_bits()),
                       static_cast<std::uint64_t>(id.structured().least_significant_bits())));
}

std::string RecordedLine(const Recorded& event) {
  EventText text;
  text.stream = Escape(event.stream_identifier().stream_name());
  text.revision = std::to_string(event.stream_revision());
  text.position = PairOf(event);
  text.id_form = event.id().has_string() ? "string" : "structured";
  text.id = IdText(event.id());
  text.metadata = Escape(event.custom_metadata());
  text.data = Escape(event.data());
  for (const auto& [key, value] : event.metadata()) {
    if (key == "type") {
      text.type = Escape(value);
    } else if (key == "content-type") {
      text.content_type = Escape(value);
    } else if (key != "created" || !IsNumber(value)) {
      text.type += " and " + Escape(key) + "=" + Escape(value);
    }
  }
  return EventLine(text) + (event.metadata().contains("created") ? "" : " without created");
}

std::string ReadEventText(const wire::ReadResp::ReadEvent& event) {
  return EventFrame(event.has_event() ? RecordedLine(event.event()) : "",
                    event.has_link() ? RecordedLine(event.link()) : "",
                    event.position_case() == wire::ReadResp::ReadEvent::kCommitPosition
                        ? std::to_string(event.commit_position())
                        : "unknown");
}

std::string CaughtUpText(const wire::ReadResp::CaughtUp& frame) {
  std::string place;
  if (frame.has_position()) {
    place = "position " + PairOf(frame.position());
  }
  if (frame.has_stream_revision()) {
    place += "revision " + std::to_string(frame.stream_revision());
  }
  return CaughtUpFrame(place) + (frame.has_timestamp() ? "" : " without time");
}

// `Reply` is anything whose position is one or is said to be unknown.
template <typename Reply>
std::string PositionText(const Reply& reply) {
  if (reply.has_position()) {
    return PairOf(reply.position());
  }
  return reply.has_no_position() ? "none" : "unset";
}

template <typename Success>
std::string SuccessOf(const Success& success) {
  return SuccessText(
      success.has_no_stream() ? "no stream" : std::to_string(success.current_revision()),
      PositionText(success));
}

std::string ErrorText(const google::rpc::Status& error) {
  std::string text = "error " + std::to_string(static_cast<int>(error.code())) + " " +
                     error.message() + " " + error.details().type_url() + " ";
  shared::WrongExpectedVersion conflict;
  if (error.details().Is<shared::WrongExpectedVersion>() && error.details().UnpackTo(&conflict)) {
    return text + conflict.ShortDebugString();
  }
  return text + Escape(error.details().value());
}

}  // namespace

std::string Escape(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    if (c >= ' ' && c <= '~' && c != '\\') {
      text += c;
      continue;
    }
    std::array<char, 5> code{};
    std::snprintf(code.data(), code.size(), "\\x%02x", static_cast<unsigned char>(c));
    text += code.data();
  }
  return text;
}

std::string Pair(const std::string& commit, const std::string& prepare) {
  return "(" + commit + "," + prepare + ")";
}

std::string EventLine(const EventText& event) {
  return event.stream + "@" + event.revision + " " + event.position + " " + event.type + " " +
         event.content_type + " " + event.id_form + " " + event.id + " metadata " + event.metadata +
         " data " + event.data + "\n";
}

std::string EventFrame(const std::string& event, const std::string& link,
                       const std::string& commit) {
  return "event " + (event.empty() ? "none\n" : event) + "    link " +
         (link.empty() ? "none\n" : link) + "    commit " + commit;
}

std::string CheckpointFrame(const std::string& position) { return "checkpoint " + position; }

std::string CaughtUpFrame(const std::string& place) { return "caught up: " + place; }

std::string SuccessText(const std::string& revision, const std::string& position) {
  return "success, revision " + revision + ", position " + position;
}

std::string RemovedText(const std::string& position) { return "removed, position " + position; }

std::string ToText(const wire::ReadResp& frame) {
  switch (frame.content_case()) {
    case wire::ReadResp::kEvent:
      return ReadEventText(frame.event());
    case wire::ReadResp::kConfirmation:
      return std::string(kConfirmation) +
             (ParseUuid(frame.confirmation().subscription_id()) ? "" : " without id");
    case wire::ReadResp::kCheckpoint:
      return CheckpointFrame(PairOf(frame.checkpoint())) +
             (frame.checkpoint().has_timestamp() ? "" : " without time");
    case wire::ReadResp::kCaughtUp:
      return CaughtUpText(frame.caught_up());
    default:
      return frame.ShortDebugString();
  }
}

std::string ToText(const wire::AppendResp& reply) {
  return reply.has_success() ? SuccessOf(reply.success()) : reply.ShortDebugString();
}

std::string ToText(const wire::BatchAppendResp& reply) {
  std::string text = IdText(reply.correlation_id()) + " for " +
                     Escape(reply.stream_identifier().stream_name()) + ": ";
  if (reply.expected_stream_position_case() !=
      wire::BatchAppendResp::EXPECTED_STREAM_POSITION_NOT_SET) {
    text += "with the expected position, ";
  }
  return text + (reply.has_error() ? ErrorText(reply.error()) : SuccessOf(reply.success()));
}

std::string ToText(const wire::DeleteResp& reply) { return RemovedText(PositionText(reply)); }

std::string ToText(const wire::TombstoneResp& reply) { return RemovedText(PositionText(reply)); }

}  // namespace catchup::embedded::model
