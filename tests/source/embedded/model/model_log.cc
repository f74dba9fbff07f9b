#include "tests/source/embedded/model/model_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace catchup::embedded::model {

Record RecordOfNode(const std::string& stream, std::int64_t revision, const std::string& type) {
  Record record;
  record.stream = stream;
  record.revision = revision;
  record.type = type;
  return record;
}

ModelLog::ModelLog() {
  Record epoch = RecordOfNode("$epoch-information", 0, "$EpochInfo");
  epoch.is_visible = false;
  Add({std::move(epoch)});
}

std::size_t ModelLog::Add(std::vector<Record> write) {
  bool is_first = true;
  for (Record& record : write) {
    record.begins_write = std::exchange(is_first, false);
    if (record.revision == kTombstoneRevision) {
      tombstones_.insert(record.stream);
    } else if (record.is_visible) {
      events_[record.stream].push_back(records_.size());
      ++written_[record.id];
    }
    records_.push_back(std::move(record));
  }
  return records_.size() - 1;
}

std::optional<std::size_t> ModelLog::AtPosition(std::uint64_t position) const {
  for (std::size_t i = 0; i < records_.size(); ++i) {
    if (records_[i].position == position) {
      return i;
    }
  }
  return std::nullopt;
}

std::optional<std::size_t> ModelLog::LastVisible() const {
  for (std::size_t i = records_.size(); i > 0; --i) {
    if (records_[i - 1].is_visible) {
      return i - 1;
    }
  }
  return std::nullopt;
}

const std::vector<std::size_t>& ModelLog::Events(const std::string& stream) const {
  static const std::vector<std::size_t> kNone;
  const auto found = events_.find(stream);
  return found == events_.end() ? kNone : found->second;
}

std::int64_t ModelLog::LastRevision(const std::string& stream) const {
  return static_cast<std::int64_t>(Events(stream).size()) - 1;
}

bool ModelLog::IsSoftDeleted(const std::string& stream) const {
  return MetadataOf(stream).truncate_before == kTombstoneRevision;
}

std::int64_t ModelLog::FirstVisible(const std::string& stream) const {
  const std::int64_t end = LastRevision(stream) + 1;
  const Metadata metadata = MetadataOf(stream);
  std::int64_t first = metadata.truncate_before.value_or(0);
  if (metadata.max_count) {
    first = std::max(first, end - *metadata.max_count);
  }
  return std::min(first, end);
}

std::size_t ModelLog::TimesWritten(const std::string& id) const {
  const auto found = written_.find(id);
  return found == written_.end() ? 0 : found->second;
}

ModelLog::Metadata ModelLog::MetadataOf(const std::string& stream) const {
  Metadata metadata;
  const std::vector<std::size_t>& events = Events("$$" + stream);
  if (events.empty() || !records_[events.back()].data) {
    return metadata;
  }
  const nlohmann::json json = nlohmann::json::parse(*records_[events.back()].data, nullptr, false);
  if (const auto count = json.find("$maxCount"); count != json.end()) {
    metadata.max_count = count->get<std::int64_t>();
  }
  if (const auto before = json.find("$tb"); before != json.end()) {
    metadata.truncate_before = before->get<std::int64_t>();
  }
  return metadata;
}

bool ModelLog::Learn(char kind, std::size_t record, const std::string& value) {
  if (kind == kPosition) {
    return LearnPosition(record, value);
  }
  if (value.empty()) {
    return false;
  }
  Record& known = records_[record];
  if (kind == kId) {
    if (known.id.empty()) {
      known.id = value;
    }
    return known.id == value;
  }
  if (!known.data) {
    const nlohmann::json json = nlohmann::json::parse(value, nullptr, false);
    if (!json.is_object() || json.value("$tb", std::int64_t{-1}) != known.truncate_before) {
      return false;
    }
    known.data = value;
  }
  return known.data == value;
}

bool ModelLog::LearnPosition(std::size_t record, const std::string& value) {
  if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos) {
    return false;
  }
  const std::uint64_t position = std::stoull(value);
  if (records_[record].position) {
    return records_[record].position == position;
  }
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const std::optional<std::uint64_t>& other = records_[i].position;
    if (other && (i < record ? *other >= position : *other <= position)) {
      return false;
    }
  }
  records_[record].position = position;
  return true;
}

}  // namespace catchup::embedded::model
