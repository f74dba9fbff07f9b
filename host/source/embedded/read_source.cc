#include "host/source/embedded/read_source.h"

#include <charconv>
#include <utility>

namespace catchup::embedded {
namespace {

constexpr std::int64_t kTicksPerSecond = 10'000'000;

struct LinkTarget {
  std::int64_t revision;
  std::string_view stream;
};

// "revision@stream".
std::optional<LinkTarget> ParseLink(std::string_view data) {
  const std::size_t at = data.find('@');
  if (at == std::string_view::npos || at + 1 == data.size()) {
    return std::nullopt;
  }
  LinkTarget target{0, data.substr(at + 1)};
  const auto [end, error] = std::from_chars(data.data(), data.data() + at, target.revision);
  if (error != std::errc() || end != data.data() + at || target.revision < 0) {
    return std::nullopt;
  }
  return target;
}

}  // namespace

std::unique_ptr<ReadSource> ReadSource::Create(ReadPlan plan, Context context) {
  if (plan.subscription) {
    return plan.all ? MakeAllSubscription(std::move(plan), std::move(context))
                    : MakeStreamSubscription(std::move(plan), std::move(context));
  }
  return plan.all ? MakeAllRead(std::move(plan), std::move(context))
                  : MakeStreamRead(std::move(plan), std::move(context));
}

Status EncodeEvent(const ReadPlan& plan, LogReader& reader, const EventView& event,
                   FrameBuffer* out) {
  std::optional<LinkTarget> link;
  if (plan.resolve_links && event.type == kLinkType) {
    link = ParseLink(event.data);
  }
  if (!link) {
    plan.encoder.Event(event, out);
    return {};
  }
  Result<StreamState> state = reader.Stream(link->stream);
  if (!state.ok()) {
    return state.status();
  }
  if (state->tombstoned || link->revision < state->first_readable()) {
    plan.encoder.Link(nullptr, event, out);
    return {};
  }
  LogReader::Cursor cursor = reader.StreamEvent(link->stream, link->revision);
  EventView target;
  Result<bool> found = cursor.Next(&target);
  if (!found.ok()) {
    return found.status();
  }
  plan.encoder.Link(*found ? &target : nullptr, event, out);
  return {};
}

bool IsTooOld(const StreamState& state, std::int64_t created_ticks, std::int64_t now_ticks) {
  // Compared in seconds: an age given in centuries must not overflow.
  return state.max_age_seconds > 0 &&
         (now_ticks - created_ticks) / kTicksPerSecond >= state.max_age_seconds;
}

}  // namespace catchup::embedded
