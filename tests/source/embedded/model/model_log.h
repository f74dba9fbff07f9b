#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace catchup::embedded::model {

constexpr std::int64_t kTombstoneRevision = 9223372036854775807;

// One record of the log.
struct Record {
  std::string stream;
  std::int64_t revision = 0;
  std::string type;
  std::string id;                   // As text; empty: the log's own and not seen yet.
  std::optional<std::string> data;  // None: the log's own and not seen yet.
  std::string metadata;
  bool is_json = true;
  // False for the record of an append without events, and for a node's very first, which no read
  // shows.
  bool is_visible = true;
  bool is_considered = true;  // Whether it counts for the cadence of checkpoints (3.3).
  bool begins_write = true;
  std::optional<std::uint64_t> position;        // None until it was seen.
  std::optional<std::int64_t> truncate_before;  // What `$tb` of data not seen yet must say.
};

// A record that a node writes of its own accord.
Record RecordOfNode(const std::string& stream, std::int64_t revision, const std::string& type);

// Everything that was written, in order, and what follows from it about each stream. Plain on
// purpose: a stream's state is derived anew from its records at every question.
class ModelLog {
 public:
  static constexpr char kPosition = 'p';
  static constexpr char kId = 'i';
  static constexpr char kData = 'd';

  // With what a node writes before anybody else does: a record of `$epoch-information`, which
  // `$all` never shows (3.7) but which counts: the recorded subscriptions from the start have 31
  // events to their first 32.
  ModelLog();

  // Appends the records of one write; returns the index of the last.
  std::size_t Add(std::vector<Record> write);

  const std::vector<Record>& records() const { return records_; }
  // The record that lies at `position`, as far as it was seen.
  std::optional<std::size_t> AtPosition(std::uint64_t position) const;
  std::optional<std::size_t> LastVisible() const;

  // The stream's events, by revision; without its tombstone.
  const std::vector<std::size_t>& Events(const std::string& stream) const;
  std::int64_t LastRevision(const std::string& stream) const;  // -1: none.
  bool IsTombstoned(const std::string& stream) const { return tombstones_.contains(stream); }
  bool IsMetadataOfTombstoned(const std::string& stream) const {
    return stream.starts_with("$$") && IsTombstoned(stream.substr(2));
  }
  bool IsSoftDeleted(const std::string& stream) const;
  bool HasMetadata(const std::string& stream) const { return LastRevision("$$" + stream) >= 0; }
  // The revision at which a read of the stream begins; past the last one when none is to be seen.
  std::int64_t FirstVisible(const std::string& stream) const;
  bool IsHidden(const std::string& stream, std::int64_t revision) const {
    return revision < FirstVisible(stream);
  }
  // How often an event of this id was written, to whatever stream.
  std::size_t TimesWritten(const std::string& id) const;

  // Takes in what an answer says about a record. False if it was known to be something else, or if
  // positions would not increase with the records.
  bool Learn(char kind, std::size_t record, const std::string& value);

 private:
  struct Metadata {
    std::optional<std::int64_t> max_count;
    std::optional<std::int64_t> truncate_before;
  };

  Metadata MetadataOf(const std::string& stream) const;
  bool LearnPosition(std::size_t record, const std::string& value);

  std::vector<Record> records_;
  std::map<std::string, std::vector<std::size_t>> events_;
  std::set<std::string> tombstones_;
  std::map<std::string, std::size_t> written_;
};

}  // namespace catchup::embedded::model
