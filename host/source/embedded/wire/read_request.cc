#include "host/source/embedded/wire/read_request.h"

#include <fmt/core.h>

#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "host/source/proto/streams.pb.h"

namespace catchup::embedded {
namespace {

namespace wire = event_store::client::streams;
using Options = wire::ReadReq::Options;
using Filter = Options::FilterOptions;

// The window when a request leaves it to the server.
constexpr std::uint32_t kDefaultWindow = 32;

constexpr std::uint64_t kMaxPosition = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t kMinusOne = std::numeric_limits<std::uint64_t>::max();

// A node prints the whole message where neither field is set.
std::string PrintFilter(const Filter& filter) {
  std::string text = "{ ";
  auto add = [&text, first = true](const std::string& member) mutable {
    text += (first ? "" : ", ") + member;
    first = false;
  };
  if (filter.window_case() == Filter::kMax) {
    add(fmt::format("\"max\": {}", filter.max()));
  } else if (filter.window_case() == Filter::kCount) {
    add("\"count\": { }");
  }
  if (filter.checkpointintervalmultiplier() != 0) {
    add(fmt::format("\"checkpointIntervalMultiplier\": {}", filter.checkpointintervalmultiplier()));
  }
  return text == "{ " ? "{ }" : text + " }";
}

std::string CombinationText(const Options& options) {
  const char* stream = options.has_all() ? "All" : "Stream";
  const char* count = options.has_subscription()                       ? "Subscription"
                      : options.count_option_case() == Options::kCount ? "Count"
                                                                       : "None";
  const char* direction = options.read_direction() == Options::Forwards ? "Forwards" : "Backwards";
  const char* filter = options.has_filter()      ? "Filter"
                       : options.has_no_filter() ? "NoFilter"
                                                 : "None";
  return fmt::format("The combination of ({}, {}, {}, {}) is invalid.", stream, count, direction,
                     filter);
}

bool IsKnownCombination(const Options& options) {
  if (options.count_option_case() == Options::COUNT_OPTION_NOT_SET ||
      options.filter_option_case() == Options::FILTER_OPTION_NOT_SET) {
    return false;
  }
  if (options.has_subscription() && options.read_direction() != Options::Forwards) {
    return false;
  }
  return options.has_all() || options.has_no_filter();
}

std::optional<RpcError> PlanFilter(const Filter& filter, bool subscription, ReadPlan* plan) {
  RecordFilter::Field field = RecordFilter::Field::kNothing;
  const Filter::Expression* expression = nullptr;
  switch (filter.filter_case()) {
    case Filter::kStreamIdentifier:
      field = RecordFilter::Field::kStream;
      expression = &filter.stream_identifier();
      break;
    case Filter::kEventType:
      field = RecordFilter::Field::kType;
      expression = &filter.event_type();
      break;
    case Filter::FILTER_NOT_SET:
      return RpcError::Invalid(fmt::format(
          "'{}' is not a valid EventStore.Client.Streams.ReadReq+Types+Options+Types+FilterOptions",
          PrintFilter(filter)));
  }
  Result<RecordFilter> made = RecordFilter::Create(
      field, expression->regex(),
      std::vector<std::string>(expression->prefix().begin(), expression->prefix().end()));
  if (!made.ok()) {
    return RpcError::Unhandled();
  }
  switch (filter.window_case()) {
    case Filter::kMax:
      plan->window = filter.max();
      break;
    case Filter::kCount:
      plan->window = kDefaultWindow;
      break;
    case Filter::WINDOW_NOT_SET:
      return RpcError::UnsetOneof("ReadReq+Types+Options+Types+FilterOptions+WindowOneofCase");
  }
  plan->interval = std::uint64_t{plan->window} * filter.checkpointintervalmultiplier();
  // An interval of 0 is a checkpoint after nothing; a node throws, or for window 0 loops.
  if (plan->window == 0 || (subscription && plan->interval == 0)) {
    return RpcError::Unhandled();
  }
  plan->filtered = true;
  plan->filter = *std::move(made);
  return std::nullopt;
}

std::optional<RpcError> PlanAll(const Options::AllOptions& all, ReadPlan* plan) {
  plan->all = true;
  switch (all.all_option_case()) {
    case Options::AllOptions::kStart:
      plan->from = ReadPlan::From::kStart;
      return std::nullopt;
    case Options::AllOptions::kEnd:
      plan->from = ReadPlan::From::kEnd;
      return std::nullopt;
    case Options::AllOptions::kPosition:
      break;
    case Options::AllOptions::ALL_OPTION_NOT_SET:
      return RpcError::Unhandled();
  }
  const std::uint64_t commit = all.position().commit_position();
  const std::uint64_t prepare = all.position().prepare_position();
  if (commit == kMinusOne && prepare == kMinusOne) {
    plan->from = ReadPlan::From::kEnd;
    return std::nullopt;
  }
  if (commit > kMaxPosition || prepare > commit) {
    return RpcError::Unhandled();
  }
  plan->from = ReadPlan::From::kAt;
  plan->position = {commit, prepare};
  return std::nullopt;
}

std::optional<RpcError> PlanStream(const Options::StreamOptions& stream, ReadPlan* plan) {
  plan->stream = stream.stream_identifier().stream_name();
  if (plan->stream.empty()) {
    return RpcError::Unhandled();
  }
  switch (stream.revision_option_case()) {
    case Options::StreamOptions::kStart:
      plan->from = ReadPlan::From::kStart;
      return std::nullopt;
    case Options::StreamOptions::kEnd:
      plan->from = ReadPlan::From::kEnd;
      return std::nullopt;
    case Options::StreamOptions::kRevision:
      break;
    case Options::StreamOptions::REVISION_OPTION_NOT_SET:
      return RpcError::Unhandled();
  }
  if (stream.revision() == kMinusOne) {
    plan->from = ReadPlan::From::kEnd;
    return std::nullopt;
  }
  if (stream.revision() > kMaxPosition) {
    return RpcError::Unhandled();
  }
  plan->from = ReadPlan::From::kAt;
  plan->revision = static_cast<std::int64_t>(stream.revision());
  return std::nullopt;
}

}  // namespace

std::variant<ReadPlan, RpcError> PlanRead(const wire::ReadReq& request) {
  if (!request.has_options()) {
    return RpcError::Unhandled();
  }
  const Options& options = request.options();
  if (!options.has_uuid_option()) {
    return RpcError::Invalid("");
  }
  if (options.stream_option_case() == Options::STREAM_OPTION_NOT_SET) {
    return RpcError::UnsetOneof("ReadReq+Types+Options+StreamOptionOneofCase");
  }
  if (!IsKnownCombination(options)) {
    return RpcError::Invalid(CombinationText(options));
  }
  ReadPlan plan;
  plan.subscription = options.has_subscription();
  plan.forwards = options.read_direction() == Options::Forwards;
  plan.resolve_links = options.resolve_links();
  plan.count = options.count();
  plan.compatibility = options.control_option().compatibility();
  plan.encoder =
      FrameEncoder(options.uuid_option().has_string() ? FrameEncoder::UuidForm::kString
                                                      : FrameEncoder::UuidForm::kStructured);
  // Checked in a node's order, which shows where more than one thing is wrong.
  auto error =
      options.has_all() ? PlanAll(options.all(), &plan) : PlanStream(options.stream(), &plan);
  if (!error && options.has_filter()) {
    error = PlanFilter(options.filter(), plan.subscription, &plan);
  }
  if (error) {
    return *std::move(error);
  }
  return plan;
}

}  // namespace catchup::embedded
