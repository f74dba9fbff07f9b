#include <algorithm>
#include <iterator>

#include "tests/source/embedded/model/write_rules.h"

namespace catchup::embedded::model {
namespace {

using Kind = Decision::Kind;

// The revision of the stream's event with this id; none if it has none.
std::optional<std::int64_t> RevisionOf(const ModelLog& log, const std::string& stream,
                                       const std::string& id) {
  for (const std::size_t event : log.Events(stream)) {
    if (log.records()[event].id == id) {
      return log.records()[event].revision;
    }
  }
  return std::nullopt;
}

// The second row of 7.2's table: a node looks for the ids among what it committed lately.
Decision DecideByIdAlone(const ModelLog& log, const Proposal& proposal) {
  std::vector<std::optional<std::int64_t>> found;
  for (const Record& event : proposal.events) {
    if (log.TimesWritten(event.id) > 1) {
      return {Kind::kUndecided, "7.2: which of several events with one id is found"};
    }
    found.push_back(RevisionOf(log, proposal.stream, event.id));
  }
  if (found.empty() || !found.front()) {
    return {Kind::kWrite, "7.2, any and stream_exists: first id new, written"};
  }
  if (std::find(found.begin(), found.end(), std::nullopt) != found.end()) {
    return {Kind::kConflict, "7.2, any and stream_exists: a later id new, conflict"};
  }
  return {Kind::kRepeat, "7.2, any and stream_exists: all ids present, success again",
          *found.back()};
}

// The first row of it: a node looks at the revisions after the expected one.
Decision DecideByRevision(const ModelLog& log, const Proposal& proposal) {
  const std::vector<std::size_t>& events = log.Events(proposal.stream);
  const bool is_writable = proposal.expected == kNoStream && log.IsSoftDeleted(proposal.stream);
  std::size_t at = static_cast<std::size_t>(proposal.expected + 1);
  std::size_t same = 0;
  while (same < proposal.events.size() && at < events.size() &&
         log.records()[events[at]].id == proposal.events[same].id) {
    ++same;
    ++at;
  }
  if (is_writable && proposal.events.empty()) {
    return {Kind::kUndecided, "7.1: no_stream and no events for a soft-deleted stream"};
  }
  if (same == 0 && is_writable) {
    return {Kind::kWrite, "7.1: no_stream also succeeds on a soft-deleted stream"};
  }
  if (same == 0) {
    return {Kind::kConflict, "7.2, lower revision: first id new, conflict"};
  }
  if (same < proposal.events.size()) {
    return {Kind::kConflict, "7.2, lower revision: a later id new, conflict"};
  }
  return {Kind::kRepeat, "7.2, lower revision: all ids present, success again",
          static_cast<std::int64_t>(at) - 1};
}

}  // namespace

Decision Decide(const ModelLog& log, const Proposal& proposal) {
  const std::int64_t last = log.LastRevision(proposal.stream);
  if (log.IsTombstoned(proposal.stream)) {
    return {Kind::kDeleted, "4.2: stream tombstoned, FAILED_PRECONDITION stream-deleted"};
  }
  if (proposal.expected == kStreamExists) {
    if (log.IsSoftDeleted(proposal.stream)) {
      return {Kind::kDeleted, "7.1: stream_exists on a soft-deleted one: stream-deleted"};
    }
    if (last < 0 && !log.HasMetadata(proposal.stream)) {
      return {Kind::kConflict, "7.1: stream_exists and no such stream: conflict"};
    }
  }
  if (proposal.expected == kAny || proposal.expected == kStreamExists) {
    return DecideByIdAlone(log, proposal);
  }
  if (proposal.expected == last) {
    return {Kind::kWrite, "7.2: exact revision = current: written"};
  }
  if (proposal.expected > last) {
    return {Kind::kConflict, "7.1: no such revision: conflict"};
  }
  return DecideByRevision(log, proposal);
}

}  // namespace catchup::embedded::model
