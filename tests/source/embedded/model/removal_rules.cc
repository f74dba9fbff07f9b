#include <utility>

#include "tests/source/embedded/model/measured.h"
#include "tests/source/embedded/model/write_parts.h"

namespace catchup::embedded::model {
namespace {

// Delete and Tombstone of a stream that has no events, or none to be seen: whether the notes say
// what comes of it.
bool IsRemovalUndecided(const ModelLog& log, const std::string& stream, std::int64_t expected,
                        bool is_tombstone) {
  if (log.IsTombstoned(stream)) {
    return false;
  }
  if (log.IsSoftDeleted(stream)) {
    return !(is_tombstone && expected == kAny);
  }
  if (log.LastRevision(stream) >= 0) {
    return false;
  }
  return log.HasMetadata(stream) || expected == kNoStream ||
         (is_tombstone && expected == kStreamExists);
}

template <typename Request>
Expectation Remove(const Request& request, bool is_tombstone, Record record, ModelLog* log) {
  const std::string& stream = request.options().stream_identifier().stream_name();
  const std::optional<std::int64_t> expected = ExpectedOf(request.options());
  if (!expected) {
    Expectation answer = InvalidArgument(
        "'None' is not a valid "
        "EventStore.Client.Streams.DeleteReq+Types+Options+ExpectedStreamRevisionOneofCase",
        "7.4: expected-revision oneof required");
    answer.message = is_tombstone ? Anything() : answer.message;
    return answer;
  }
  if (log->IsTombstoned(stream)) {
    return StreamDeleted(stream, "4.2: stream tombstoned");
  }
  if (IsRemovalUndecided(*log, stream, *expected, is_tombstone)) {
    return Undecided("7.4: removal of a stream without events to be seen");
  }
  const std::int64_t last = log->LastRevision(stream);
  const bool any_will_do = last >= 0 || is_tombstone;
  const bool matches =
      *expected == last
          ? last >= 0
          : any_will_do && (*expected == kAny || (*expected == kStreamExists && last >= 0));
  if (!matches) {
    Expectation answer;
    answer.rule = "7.4: conflict is an error; a missing stream conflicts with actual-version -1";
    answer.code = grpc::StatusCode::FAILED_PRECONDITION;
    answer.message = is_tombstone ? Anything()
                                  : "Delete failed due to WrongExpectedVersion. Stream: " + stream +
                                        ", Expected version: " + std::to_string(*expected) +
                                        ", Actual version: " + std::to_string(last);
    if (last < 0 && !is_tombstone) {
      answer.shows = {kDeleteMissing.ToText()};
    }
    answer.trailers = {{"exception", "wrong-expected-version"},
                       {"stream-name", stream},
                       {"expected-version", std::to_string(*expected)},
                       {"actual-version", std::to_string(last)}};
    return answer;
  }
  Expectation answer;
  answer.rule = "3.8: soft delete shows as `$metadata` in `$$name`, tombstone as `$streamDeleted`";
  if (last < 0) {
    answer.shows = {kTombstoneMissing.ToText()};
  } else if (!is_tombstone && log->HasMetadata(stream)) {
    answer.shows = {kDeleteDropsMetadata.ToText()};
  }
  answer.frames = {RemovedText(PositionText(log->Add({std::move(record)})))};
  return answer;
}

}  // namespace

Expectation Delete(const wire::DeleteReq& request, ModelLog* log) {
  const std::string metastream = "$$" + request.options().stream_identifier().stream_name();
  Record record = RecordOfNode(metastream, log->LastRevision(metastream) + 1, "$metadata");
  record.data = "{\"$tb\":" + std::to_string(kTombstoneRevision) + "}";
  return Remove(request, false, std::move(record), log);
}

Expectation Tombstone(const wire::TombstoneReq& request, ModelLog* log) {
  Record record = RecordOfNode(request.options().stream_identifier().stream_name(),
                               kTombstoneRevision, "$streamDeleted");
  record.data = "";
  record.is_json = false;
  return Remove(request, true, std::move(record), log);
}

}  // namespace catchup::embedded::model
