// Subscriptions to one stream: its events from the log, then live. They carry no checkpoints.
#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/base/uuid.h"
#include "host/source/embedded/calls/phased_subscription.h"

namespace catchup::embedded {
namespace {

class StreamSubscription final : public PhasedSubscription {
 public:
  StreamSubscription(ReadPlan plan, Context context)
      : plan_(std::move(plan)),
        context_(std::move(context)),
        feed_(context_.hub,
              {[stream = plan_.stream](const Record& record) { return record.stream == stream; }, 0,
               context_.live_frames, context_.live_bytes, context_.wake}) {}

 private:
  Step Start(FrameBuffer* out) override {
    Result<StreamState> state = context_.reader.Stream(plan_.stream);
    if (!state.ok()) {
      return FailStorage(state.status());
    }
    if (state->tombstoned) {
      return Fail(RpcError::StreamDeleted(plan_.stream));
    }
    FrameEncoder::Confirmation(FormatUuid(RandomUuid()), out);
    if (plan_.from == ReadPlan::From::kAt) {
      reached_ = plan_.revision;
    } else if (plan_.from == ReadPlan::From::kEnd && state->exists()) {
      reached_ = state->last_revision;
    }
    phase_ = Phase::kCatchingUp;
    return {};
  }

  Step CatchUp(FrameBuffer* out) override {
    const std::uint64_t end = context_.hub.head().end;
    Result<StreamState> state = context_.reader.Stream(plan_.stream);
    if (!state.ok()) {
      return FailStorage(state.status());
    }
    if (state->tombstoned) {
      return Fail(RpcError::StreamDeleted(plan_.stream));
    }
    next_ = std::max(next_, reached_.value_or(-1) + 1);
    const std::int64_t from = std::max(next_, state->first_readable());
    const std::int64_t now = NowTicks();
    LogReader::Cursor cursor = context_.reader.StreamForwards(plan_.stream, from);
    EventView event;
    for (std::size_t scanned = 0; scanned < kStepRecords && out->bytes() < kStepBytes; ++scanned) {
      Result<bool> row = cursor.Next(&event);
      if (!row.ok()) {
        return FailStorage(row.status());
      }
      // The file may be a commit ahead of the end that the feed goes by.
      if (!*row || event.position.commit >= end) {
        if (feed_.JoinAt(end)) {
          phase_ = Phase::kLive;
          FrameEncoder::CaughtUpStream(reached_, NowTicks(), out);
        }
        return {};
      }
      next_ = static_cast<std::int64_t>(event.revision) + 1;
      if (state->HidesByAge(event.created_ticks, now)) {
        continue;
      }
      if (Status status = EncodeEvent(plan_, context_.reader, event, Met::kInLog, out);
          !status.ok()) {
        return FailStorage(status);
      }
      reached_ = next_ - 1;
      if (event.type == kTombstoneType) {
        return Fail(RpcError::StreamDeleted(plan_.stream));
      }
    }
    return {};
  }

  Step Live(FrameBuffer* out) override {
    while (out->bytes() < kStepBytes) {
      std::optional<LiveFeed::Entry> entry = feed_.Take();
      if (!entry) {
        break;
      }
      // Without checkpoints, every entry has an event.
      const EventView event = entry->event->view();
      const auto revision = static_cast<std::int64_t>(event.revision);
      if (reached_ && revision <= *reached_) {
        continue;
      }
      if (Status status = EncodeEvent(plan_, context_.reader, event, Met::kLive, out);
          !status.ok()) {
        return FailStorage(status);
      }
      // Live, the tombstone itself is still sent. A node goes by the type, whoever wrote the event.
      if (event.type == kTombstoneType) {
        return Fail(RpcError::StreamDeleted(plan_.stream));
      }
      reached_ = revision;
    }
    if (feed_.TakeLost()) {
      phase_ = Phase::kCatchingUp;
      return {};
    }
    return {feed_.HasMore() ? State::kMore : State::kWait, std::nullopt};
  }

  const ReadPlan plan_;
  const Context context_;
  std::optional<std::int64_t> reached_;  // The last revision sent, or the one asked for.
  std::int64_t next_ = 0;                // Of catch-up: the revision to look for.
  LiveFeed feed_;                        // Last: it ends before what its callbacks use.
};

}  // namespace

std::unique_ptr<ReadSource> MakeStreamSubscription(ReadPlan plan, ReadSource::Context context) {
  return std::make_unique<StreamSubscription>(std::move(plan), std::move(context));
}

}  // namespace catchup::embedded
