#include <limits>
#include <utility>

#include "host/base/uuid.h"
#include "tests/source/embedded/model/measured.h"
#include "tests/source/embedded/model/write_parts.h"

namespace catchup::embedded::model {
namespace {

using Kind = Decision::Kind;

constexpr std::uint64_t kMaxAppendBytes = 1'048'576;
constexpr const char* kHandler = "Exception was thrown by handler.";

std::string RevisionText(std::int64_t revision) {
  return revision < 0 ? "no stream" : std::to_string(revision);
}

// What a node adds after a write to a soft-deleted stream, or to its metadata: 7.1, side effects.
// What the latter keeps besides `$tb` is the log's to say.
void Undelete(const std::string& stream, std::int64_t truncate_before, bool by_metadata,
              ModelLog* log) {
  const std::string metastream = "$$" + stream;
  Record record = RecordOfNode(metastream, log->LastRevision(metastream) + 1, "$metadata");
  record.truncate_before = truncate_before;
  if (!by_metadata) {
    record.data = "{\"$tb\":" + std::to_string(truncate_before) + "}";
  }
  log->Add({std::move(record)});
}

// Writes the events and what a node writes after them; returns the index of the last event.
std::size_t WriteEvents(Proposal proposal, ModelLog* log) {
  const std::string& stream = proposal.stream;
  const std::string described = stream.starts_with("$$") ? stream.substr(2) : "";
  const bool was_deleted = log->IsSoftDeleted(stream);
  const bool has_deleted = !described.empty() && log->IsSoftDeleted(described);
  const std::int64_t end = log->LastRevision(stream) + 1;
  std::int64_t revision = end;
  for (Record& event : proposal.events) {
    event.revision = revision++;
  }
  if (proposal.events.empty()) {
    Record unseen = RecordOfNode(stream, -1, "");
    unseen.is_visible = false;
    unseen.is_considered = false;
    proposal.events.push_back(std::move(unseen));
  }
  const std::size_t last = log->Add(proposal.events);
  if (was_deleted) {
    Undelete(stream, end, false, log);
  } else if (has_deleted) {
    Undelete(described, log->LastRevision(described) + 1, true, log);
  }
  return last;
}

std::string RepeatPosition(const ModelLog& log, const Proposal& proposal,
                           std::int64_t last_revision) {
  const std::int64_t first_visible = log.FirstVisible(proposal.stream);
  const std::int64_t count = static_cast<std::int64_t>(proposal.events.size());
  if (last_revision - count + 1 >= first_visible) {
    return PositionText(log.Events(proposal.stream)[static_cast<std::size_t>(last_revision)]);
  }
  // The notes know of events that are all hidden, not of some.
  return last_revision < first_visible ? "none" : Anything();
}

wire::AppendResp ConflictOf(const ModelLog& log, const Proposal& proposal) {
  wire::AppendResp reply;
  auto& conflict = *reply.mutable_wrong_expected_version();
  if (const std::int64_t last = log.LastRevision(proposal.stream); last >= 0) {
    conflict.set_current_revision(static_cast<std::uint64_t>(last));
    conflict.set_current_revision_20_6_0(static_cast<std::uint64_t>(last));
  } else {
    conflict.mutable_current_no_stream();
    conflict.mutable_no_stream_20_6_0();
  }
  if (proposal.expected == kAny) {
    conflict.mutable_expected_any();
    conflict.mutable_any_20_6_0();
  } else if (proposal.expected == kStreamExists) {
    conflict.mutable_expected_stream_exists();
    conflict.mutable_stream_exists_20_6_0();
  } else if (proposal.expected == kNoStream) {
    conflict.mutable_expected_no_stream();
    conflict.set_expected_revision_20_6_0(std::numeric_limits<std::uint64_t>::max());
  } else {
    conflict.set_expected_revision(static_cast<std::uint64_t>(proposal.expected));
    conflict.set_expected_revision_20_6_0(static_cast<std::uint64_t>(proposal.expected));
  }
  return reply;
}

Expectation MissingProperty(const std::string& key) {
  Expectation answer = InvalidArgument("Required Metadata Property '" + key + "' is missing",
                                       "7.1: `type` / `content-type` key missing");
  answer.trailers = {{"exception", "missing-required-metadata-property"},
                     {"required-metadata-properties", "type,content-type"}};
  return answer;
}

Expectation AppendTooLarge() {
  Expectation answer = InvalidArgument("Maximum Append Size of 1048576 Exceeded.",
                                       "4.2: append too large; 3.11: 1 MiB up to 25.0");
  answer.trailers = {{"exception", "maximum-append-size-exceeded"},
                     {"maximum-append-size", "1048576"}};
  return answer;
}

// What is wrong with an event, if anything is.
std::optional<Expectation> FlawOf(const wire::AppendReq& message) {
  if (!message.has_proposed_message()) {
    return Unhandled("7.1: a second `options`");
  }
  const auto& proposed = message.proposed_message();
  for (const char* key : {"type", "content-type"}) {
    if (!proposed.metadata().contains(key)) {
      return MissingProperty(key);
    }
  }
  const std::optional<Uuid> id = ParseUuid(proposed.id().string());
  if (!id || id->is_zero() || proposed.metadata().at("type").empty()) {
    return Unhandled("7.1: missing `id`; all-zero id; empty `type`");
  }
  return std::nullopt;
}

std::optional<Expectation> FlawOf(const std::vector<wire::AppendReq>& messages) {
  if (messages.empty() || !messages.front().has_options()) {
    return Unhandled("7.1: first message not `options`");
  }
  if (!ExpectedOf(messages.front().options())) {
    return InvalidArgument(
        "'None' is not a valid "
        "EventStore.Client.Streams.AppendReq+Types+Options+ExpectedStreamRevisionOneofCase",
        "7.1: expected revision oneof unset");
  }
  std::uint64_t bytes = 0;
  for (std::size_t i = 1; i < messages.size(); ++i) {
    if (auto flaw = FlawOf(messages[i])) {
      return flaw;
    }
    bytes += messages[i].proposed_message().data().size();
  }
  if (messages.front().options().stream_identifier().stream_name().empty()) {
    Expectation answer = Unhandled("7.1: empty stream name: UNKNOWN");
    answer.message = Anything();
    answer.shows = {kNoStreamName.ToText()};
    return answer;
  }
  return bytes > kMaxAppendBytes ? std::optional(AppendTooLarge()) : std::nullopt;
}

}  // namespace

Expectation StreamDeleted(const std::string& stream, const std::string& rule) {
  Expectation answer;
  answer.rule = rule;
  answer.code = grpc::StatusCode::FAILED_PRECONDITION;
  answer.message = "Event stream '" + stream + "' is deleted.";
  answer.trailers = {{"exception", "stream-deleted"}, {"stream-name", stream}};
  return answer;
}

Expectation InvalidArgument(const std::string& message, const std::string& rule) {
  Expectation answer;
  answer.rule = rule;
  answer.code = grpc::StatusCode::INVALID_ARGUMENT;
  answer.message = message;
  return answer;
}

Expectation Unhandled(const std::string& rule) {
  Expectation answer;
  answer.rule = rule;
  answer.code = grpc::StatusCode::UNKNOWN;
  answer.message = kHandler;
  return answer;
}

Expectation Undecided(const std::string& why) {
  Expectation answer;
  answer.undecided = why;
  return answer;
}

std::string PositionText(std::size_t record) {
  return Pair(PositionOf(record), PositionOf(record));
}

// The text of the success, once it is carried out.
std::string CarryOut(Proposal proposal, const Decision& decision, ModelLog* log) {
  if (decision.kind == Kind::kRepeat) {
    return SuccessText(RevisionText(decision.last_revision),
                       RepeatPosition(*log, proposal, decision.last_revision));
  }
  const std::string stream = proposal.stream;
  const std::int64_t revision =
      log->LastRevision(stream) + static_cast<std::int64_t>(proposal.events.size());
  const std::size_t last = WriteEvents(std::move(proposal), log);
  return SuccessText(RevisionText(revision), PositionText(last));
}

std::vector<std::string> ShownBy(const ModelLog& log, const Proposal& proposal,
                                 const Decision& decision) {
  const std::string& stream = proposal.stream;
  const bool is_deleted = log.IsSoftDeleted(stream);
  const bool is_empty = proposal.events.empty();
  std::vector<std::string> shown;
  if (decision.kind == Kind::kWrite && is_empty) {
    shown.push_back((is_deleted ? kUndeleteByNone : kNoEvents).ToText());
  } else if (decision.kind == Kind::kWrite && is_deleted) {
    shown.push_back(kUndelete.ToText());
  } else if (decision.kind == Kind::kWrite && stream.starts_with("$$") &&
             log.IsSoftDeleted(stream.substr(2))) {
    shown.push_back(kUndeleteByMetadata.ToText());
  } else if (decision.kind == Kind::kConflict && is_empty) {
    shown.push_back(kNoEventsConflict.ToText());
  } else if (decision.kind == Kind::kRepeat && log.IsHidden(stream, decision.last_revision)) {
    shown.push_back((is_deleted ? kRepeatedDeleted : kRepeatedHidden).ToText());
  }
  if (decision.kind == Kind::kWrite && proposal.expected == kStreamExists &&
      log.LastRevision(stream) < 0) {
    shown.push_back(kOnlyMetadata.ToText());
  }
  return shown;
}

Expectation Append(const std::vector<wire::AppendReq>& messages, ModelLog* log) {
  if (auto flaw = FlawOf(messages)) {
    return *flaw;
  }
  const auto& options = messages.front().options();
  Proposal proposal{options.stream_identifier().stream_name(), *ExpectedOf(options), {}};
  for (std::size_t i = 1; i < messages.size(); ++i) {
    proposal.events.push_back(RecordOf(proposal.stream, messages[i].proposed_message()));
  }
  if (log->IsMetadataOfTombstoned(proposal.stream)) {
    return Undecided("4.2: metadata of a tombstoned stream");
  }
  const Decision decision = Decide(*log, proposal);
  Expectation answer;
  answer.rule = decision.why;
  answer.shows = ShownBy(*log, proposal, decision);
  switch (decision.kind) {
    case Kind::kUndecided:
      return Undecided(decision.why);
    case Kind::kDeleted:
      return StreamDeleted(proposal.stream, decision.why);
    case Kind::kConflict:
      answer.frames = {ToText(ConflictOf(*log, proposal))};
      return answer;
    default:
      answer.frames = {CarryOut(std::move(proposal), decision, log)};
      return answer;
  }
}

}  // namespace catchup::embedded::model
