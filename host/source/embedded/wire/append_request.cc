#include "host/source/embedded/wire/append_request.h"

#include <fmt/core.h>

#include <utility>

namespace catchup::embedded {
namespace {

RpcError MissingProperty(const std::string& name) {
  return {RpcCode::kInvalidArgument,
          fmt::format("Required Metadata Property '{}' is missing", name),
          {{"exception", "missing-required-metadata-property"},
           {"required-metadata-properties", "type,content-type"}}};
}

template <typename Message>
std::variant<NewEvent, RpcError> Take(Message* message) {
  auto& properties = *message->mutable_metadata();
  const auto type = properties.find("type");
  if (type == properties.end()) {
    return MissingProperty("type");
  }
  const auto content_type = properties.find("content-type");
  if (content_type == properties.end()) {
    return MissingProperty("content-type");
  }
  const std::optional<Uuid> id = ReadUuid(message->id());
  if (!id || type->second.empty()) {
    return RpcError::Unhandled();
  }
  NewEvent event;
  event.id = *id;
  event.type = std::move(type->second);
  event.is_json = content_type->second == "application/json";
  event.metadata = std::move(*message->mutable_custom_metadata());
  event.data = std::move(*message->mutable_data());
  return event;
}

}  // namespace

std::optional<Uuid> ReadUuid(const event_store::client::UUID& uuid) {
  std::optional<Uuid> id;
  if (uuid.has_structured()) {
    id = Uuid::FromHalves(static_cast<std::uint64_t>(uuid.structured().most_significant_bits()),
                          static_cast<std::uint64_t>(uuid.structured().least_significant_bits()));
  } else {
    id = ParseUuid(uuid.string());
  }
  if (id && id->is_zero()) {
    return std::nullopt;
  }
  return id;
}

std::variant<NewEvent, RpcError> TakeEvent(
    event_store::client::streams::AppendReq::ProposedMessage* message) {
  return Take(message);
}

std::variant<NewEvent, RpcError> TakeEvent(
    event_store::client::streams::BatchAppendReq::ProposedMessage* message) {
  return Take(message);
}

std::uint64_t AppendBytes(const NewEvent& event) {
  std::uint64_t units = 0;
  for (const char c : event.type) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xc0) != 0x80) {        // Not the continuation of a character.
      units += byte >= 0xf0 ? 2u : 1u;  // Four bytes of UTF-8 are a surrogate pair.
    }
  }
  return event.data.size() + event.metadata.size() + 2 * units;
}

}  // namespace catchup::embedded
