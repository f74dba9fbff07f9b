#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/source/embedded/model/write_rules.h"

// What the kinds of writes have in common.
namespace catchup::embedded::model {

// The options of Append, Delete and Tombstone name it alike. None: it is not set.
template <typename Options>
std::optional<std::int64_t> ExpectedOf(const Options& options) {
  switch (options.expected_stream_revision_case()) {
    case Options::kRevision:
      return static_cast<std::int64_t>(options.revision());
    case Options::kNoStream:
      return kNoStream;
    case Options::kAny:
      return kAny;
    case Options::kStreamExists:
      return kStreamExists;
    default:
      return std::nullopt;
  }
}

template <typename Message>
Record RecordOf(const std::string& stream, const Message& message) {
  Record record;
  record.stream = stream;
  record.id = message.id().string();
  record.data = Escape(message.data());
  record.metadata = Escape(message.custom_metadata());
  record.type = message.metadata().at("type");
  record.is_json = message.metadata().at("content-type") == "application/json";
  return record;
}

std::string PositionText(std::size_t record);

// What of measured.h such a decision shows; before it is carried out.
std::vector<std::string> ShownBy(const ModelLog& log, const Proposal& proposal,
                                 const Decision& decision);

// Does what was decided, a write or a repetition; returns the text of its success.
std::string CarryOut(Proposal proposal, const Decision& decision, ModelLog* log);

}  // namespace catchup::embedded::model
