#include "tests/source/embedded/model/read_rules.h"

#include <algorithm>
#include <limits>

#include "tests/source/embedded/model/measured.h"
#include "tests/source/embedded/model/write_rules.h"

namespace catchup::embedded::model {
namespace {

using Options = wire::ReadReq::Options;

constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kTooLarge = std::uint64_t{1} << 63;
// Rows of a page (3.10): how far a node looks for the first one that a read may see.
constexpr std::int64_t kPage = 32;

std::string CombinationOf(const Options& options) {
  std::string text = options.has_all() ? "(All, " : "(Stream, ";
  text += options.has_subscription()                                     ? "Subscription, "
          : options.count_option_case() == Options::COUNT_OPTION_NOT_SET ? "None, "
                                                                         : "Count, ";
  text += options.read_direction() == Options::Forwards ? "Forwards, " : "Backwards, ";
  text += options.has_filter() ? "Filter)" : options.has_no_filter() ? "NoFilter)" : "None)";
  return text;
}

bool IsAllowed(const Options& options) {
  const bool counts = options.count_option_case() == Options::kCount;
  const bool subscribes =
      options.has_subscription() && options.read_direction() == Options::Forwards;
  return (counts || subscribes) &&
         (options.has_no_filter() || (options.has_filter() && options.has_all()));
}

std::optional<Expectation> RefusalOfFilter(const Options& options) {
  const auto& filter = options.filter();
  if (filter.filter_case() == Options::FilterOptions::FILTER_NOT_SET) {
    return InvalidArgument(
        "'{ \"count\": { }, \"checkpointIntervalMultiplier\": 1 }' is not a valid "
        "EventStore.Client.Streams.ReadReq+Types+Options+Types+FilterOptions",
        "3.1: `filter` with neither `stream_identifier` nor `event_type`");
  }
  if (filter.window_case() == Options::FilterOptions::WINDOW_NOT_SET) {
    return InvalidArgument(
        "'None' is not a valid "
        "EventStore.Client.Streams.ReadReq+Types+Options+Types+FilterOptions+WindowOneofCase",
        "3.1: `filter` without `window`");
  }
  if (filter.checkpointintervalmultiplier() == 0 && options.has_subscription()) {
    return Unhandled("3.1: multiplier 0 on a subscription");
  }
  try {
    (void)Filter(options);
  } catch (const std::regex_error&) {
    return Unhandled("3.1: invalid regex");
  }
  return std::nullopt;
}

bool IsImpossible(const Options::Position& position) {
  const std::uint64_t commit = position.commit_position();
  const std::uint64_t prepare = position.prepare_position();
  if (commit == kMax && prepare == kMax) {
    return false;
  }
  return commit < prepare || (commit >= kTooLarge && commit < kMax) ||
         (prepare >= kTooLarge && prepare < kMax);
}

// The notes have the text for a read without a filter only.
Expectation InvalidPosition(bool is_filtered) {
  Expectation answer = Unhandled("3.1: one byte past a record, a count read in either direction");
  answer.message = is_filtered ? Anything() : "Unexpected ReadAllResult: InvalidPosition";
  answer.shows = {kBetweenRecords.ToText()};
  return answer;
}

// Which records a read of `$all` passes over, in its order.
std::vector<std::size_t> Between(std::size_t from, std::size_t to) {
  std::vector<std::size_t> records;
  for (std::size_t i = from; i < to; ++i) {
    records.push_back(i);
  }
  return records;
}

Expectation ReadAll(const Options& options, const ModelLog& log) {
  const bool forwards = options.read_direction() == Options::Forwards;
  const std::size_t end = log.records().size();
  Expectation answer;
  answer.rule = "3.4: count reads forwards are inclusive, backwards exclusive";
  std::vector<std::size_t> records;
  if (IsStart(options.all())) {
    records = forwards ? Between(0, end) : std::vector<std::size_t>();
  } else if (IsEnd(options.all())) {
    records = forwards ? std::vector<std::size_t>() : Between(0, end);
  } else {
    const auto& position = options.all().position();
    const auto record = log.AtPosition(position.commit_position());
    if (!record && log.AtPosition(position.commit_position() - 1)) {
      return InvalidPosition(options.has_filter());
    }
    if (!record && !forwards) {
      return Undecided("3.1: a backwards read from beyond the log");
    }
    // `(N, 0)` read backwards leaves out the record before, too, within a write (10).
    const std::size_t at = record.value_or(end);
    const bool misses_one =
        !forwards && position.prepare_position() == 0 && at > 0 && !log.records()[at].begins_write;
    records = forwards ? Between(at, end) : Between(0, misses_one ? at - 1 : at);
    if (!forwards) {
      answer.shows = {(misses_one ? kBackwardsInWrite : kBackwards).ToText()};
    }
  }
  if (!forwards) {
    std::reverse(records.begin(), records.end());
  }
  const Filter filter(options);
  const FrameWriter writer(log, options);
  for (const std::size_t record : records) {
    if (answer.frames.size() == options.count()) {
      break;
    }
    if (log.records()[record].is_visible && filter.Passes(log.records()[record])) {
      answer.frames.push_back(writer.Event(record, false));
    }
  }
  return answer;
}

std::string NumberFrame(const char* name, std::int64_t number) {
  return std::string(name) + ": " + std::to_string(number);
}

// The revision at which a read of a stream begins.
std::int64_t BeginOf(const Options& options, std::int64_t last) {
  if (options.stream().has_start()) {
    return 0;
  }
  if (options.stream().has_end()) {
    return last;
  }
  return static_cast<std::int64_t>(options.stream().revision());
}

std::optional<Expectation> RefusalOfStream(const Options& options, const ModelLog& log) {
  const std::string& stream = options.stream().stream_identifier().stream_name();
  const bool from_end = options.stream().has_end() && options.read_direction() == Options::Forwards;
  if (log.IsMetadataOfTombstoned(stream)) {
    return Undecided("4.2: metadata of a tombstoned stream");
  }
  if (log.IsTombstoned(stream)) {
    return from_end || options.count() == 0
               ? Undecided("3.1: a read of a tombstoned stream that fails for another reason, too")
               : StreamDeleted(stream, "4.2: stream tombstoned");
  }
  if (from_end) {
    Expectation answer = Unhandled("3.1: a stream read forwards from `end`");
    answer.message = "Unexpected ReadStreamResult: Error";
    answer.shows = {kStreamFromEnd.ToText()};
    return answer;
  }
  if (options.count() == 0) {
    Expectation answer = Unhandled("3.1: `count` 0: a stream read gives UNKNOWN");
    answer.message = Anything();
    answer.shows = {kNoEventsOfStream.ToText()};
    return answer;
  }
  if (stream.starts_with("$$") && log.LastRevision(stream) > 0) {
    return Undecided("3.8: what a read of metadata shows besides the latest");
  }
  return std::nullopt;
}

Expectation ReadStream(const Options& options, const ModelLog& log) {
  if (auto refusal = RefusalOfStream(options, log)) {
    return *refusal;
  }
  const std::string& stream = options.stream().stream_identifier().stream_name();
  const bool forwards = options.read_direction() == Options::Forwards;
  const std::int64_t last = log.LastRevision(stream);
  const std::int64_t first = log.FirstVisible(stream);
  Expectation answer;
  answer.rule = "2.2: stream_not_found for a missing stream; a soft-deleted one reads as missing";
  if (last < 0 || log.IsSoftDeleted(stream)) {
    wire::ReadResp frame;
    frame.mutable_stream_not_found()->mutable_stream_identifier()->set_stream_name(stream);
    answer.frames = {ToText(frame)};
    return answer;
  }
  if (first > last) {
    return Undecided("3.8: a stream whose events are all hidden, but not deleted");
  }
  answer.rule = "3.8: stream reads honour `$maxCount` and `$tb`; 3.9: last_stream_position";
  const bool shows_ends = options.control_option().compatibility() >= 1;
  const std::int64_t begin = BeginOf(options, last);
  const std::int64_t page = std::min(kPage, static_cast<std::int64_t>(options.count()));
  if (shows_ends && forwards && first - begin >= page) {
    answer.rule = "3.9: first_stream_position: first page empty, the stream begins later";
    answer.frames.push_back(NumberFrame("first_stream_position", first));
  }
  const FrameWriter writer(log, options);
  const std::vector<std::size_t>& events = log.Events(stream);
  std::uint64_t left = options.count();
  for (std::int64_t i = forwards ? std::max(begin, first) : std::min(begin, last);
       i >= first && i <= last && left > 0; i += forwards ? 1 : -1, --left) {
    answer.frames.push_back(writer.Event(events[static_cast<std::size_t>(i)], false));
  }
  if (shows_ends && answer.frames.empty()) {
    return Undecided("10: which first_stream_position a read sends that yields no event");
  }
  if (shows_ends) {
    answer.frames.push_back(NumberFrame("last_stream_position", last));
  }
  return answer;
}

}  // namespace

bool IsStart(const Options::AllOptions& from) {
  return from.has_start() || (from.has_position() && from.position().commit_position() == 0 &&
                              from.position().prepare_position() == 0);
}

bool IsEnd(const Options::AllOptions& from) {
  return from.has_end() || (from.has_position() && from.position().commit_position() == kMax &&
                            from.position().prepare_position() == kMax);
}

std::optional<Expectation> Refusal(const Options& options) {
  if (options.uuid_option().content_case() == Options::UUIDOption::CONTENT_NOT_SET) {
    return InvalidArgument("", "3.1: `uuid_option` missing");
  }
  if (options.stream_option_case() == Options::STREAM_OPTION_NOT_SET) {
    return InvalidArgument(
        "'None' is not a valid "
        "EventStore.Client.Streams.ReadReq+Types+Options+StreamOptionOneofCase",
        "3.1: neither `all` nor `stream`");
  }
  if (options.has_all() &&
      options.all().all_option_case() == Options::AllOptions::ALL_OPTION_NOT_SET) {
    return Unhandled("3.1: `all` with no inner oneof set");
  }
  if (options.has_filter()) {
    if (auto refusal = RefusalOfFilter(options)) {
      return refusal;
    }
  }
  if (!IsAllowed(options)) {
    return InvalidArgument("The combination of " + CombinationOf(options) + " is invalid.",
                           "3.1: any other combination");
  }
  if (options.has_all() && options.all().has_position() && IsImpossible(options.all().position())) {
    return Unhandled("3.1: `commit_position` < `prepare_position`, or either in 2^63 ... 2^64-2");
  }
  return std::nullopt;
}

Expectation Read(const wire::ReadReq& request, const ModelLog& log) {
  if (auto refusal = Refusal(request.options())) {
    return *refusal;
  }
  return request.options().has_all() ? ReadAll(request.options(), log)
                                     : ReadStream(request.options(), log);
}

}  // namespace catchup::embedded::model
