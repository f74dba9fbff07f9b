#include "host/source/embedded/calls/read_source.h"

#include <algorithm>
#include <utility>

#include "host/base/number.h"
#include "host/base/time_text.h"

namespace catchup::embedded {
namespace {

// The newest event of a stream, in a link.
constexpr std::int64_t kNewest = -1;

struct Link {
  enum class Kind { kTarget, kNothing, kNoLink };
  Kind kind = Kind::kNoLink;
  std::int64_t revision = 0;
  std::string_view stream;
};

// `text` without what a node lets stand around a number: white space, zero bytes behind it, a plus
// before it.
std::string_view TrimNumber(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\v\f\r";
  text = text.substr(std::min(text.find_first_not_of(kSpace), text.size()));
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') {
    text.remove_prefix(1);
  }
  text = text.substr(0, text.find_last_not_of('\0') + 1);
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

// "revision@stream". What does not begin with a number is no link at all; a number that leads
// nowhere is a link to nothing.
Link ParseLink(std::string_view data) {
  const std::size_t at = data.find('@');
  const auto revision = ParseNumber<std::int64_t>(TrimNumber(data.substr(0, at)));
  Link link;
  if (!revision) {
    return link;
  }
  link.revision = *revision;
  link.kind = Link::Kind::kNothing;
  if (at != std::string_view::npos && at + 1 < data.size() && link.revision >= kNewest) {
    link.kind = Link::Kind::kTarget;
    link.stream = data.substr(at + 1);
  }
  return link;
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

Status EncodeEvent(const ReadPlan& plan, LogReader& reader, const EventView& event, Met met,
                   FrameBuffer* out) {
  if (!plan.resolve_links || event.type != kLinkType) {
    plan.encoder.Event(event, out);
    return {};
  }
  Link link = ParseLink(event.data);
  if (link.kind == Link::Kind::kNoLink && met == Met::kInLog) {
    plan.encoder.Event(event, out);
    return {};
  }
  if (link.kind != Link::Kind::kTarget) {
    plan.encoder.Link(nullptr, event, out);
    return {};
  }
  CATCHUP_ASSIGN_OR_RETURN(StreamState state, reader.Stream(link.stream));
  if (link.revision == kNewest) {
    link.revision = state.last_revision;
  }
  LogReader::Cursor cursor = reader.StreamEvent(link.stream, link.revision);
  EventView target;
  CATCHUP_ASSIGN_OR_RETURN(bool found, cursor.Next(&target));
  const bool is_shown = found && state.Shows(link.revision, target.created_ticks, NowTicks());
  plan.encoder.Link(is_shown ? &target : nullptr, event, out);
  return {};
}

}  // namespace catchup::embedded
