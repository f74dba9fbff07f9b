// Subscriptions to `$all`: catch-up from the log, then live, and back when the live buffer
// overflows, with the frames and the checkpoint cadence of a node.
#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/base/uuid.h"
#include "host/source/embedded/calls/phased_subscription.h"

namespace catchup::embedded {
namespace {

// A page of catch-up ends after so many matching events, if the window does not end it before.
constexpr std::uint32_t kPageMatches = 32;

class AllSubscription final : public PhasedSubscription {
 public:
  AllSubscription(ReadPlan plan, Context context)
      : plan_(std::move(plan)),
        context_(std::move(context)),
        feed_(context_.hub,
              {[filter = plan_.filter](const Record& record) {
                 return filter.Matches(record.stream, record.type);
               },
               plan_.interval, context_.live_frames, context_.live_bytes, context_.wake}) {}

 private:
  Step Start(FrameBuffer* out) override {
    FrameEncoder::Confirmation(FormatUuid(RandomUuid()), out);
    while (true) {
      const Head head = context_.hub.head();
      if (plan_.from == ReadPlan::From::kEnd) {
        // The place of the last record, which may have no event.
        reached_ = Position{head.last, head.last};
      } else if (plan_.from == ReadPlan::From::kAt) {
        reached_ = plan_.position;
      }
      Result<bool> is_at_end = IsAtEnd(head);
      if (!is_at_end.ok()) {
        return FailStorage(is_at_end.status());
      }
      if (!*is_at_end) {
        BeginCatchUp();
        return {};
      }
      if (context_.hub.head().end == head.end && feed_.JoinAt(head.end)) {
        skip_to_ = reached_;
        GoLive(out);
        return {};
      }
    }
  }

  // At or past the last event there is nothing to catch up with, and no checkpoint to send. Records
  // without events may lie behind it, and a place that is none of them is refused like any other.
  Result<bool> IsAtEnd(const Head& head) {
    if (!reached_ || *reached_ < Position{head.last_event, head.last_event}) {
      return false;
    }
    if (*reached_ >= Position{head.last, head.last}) {
      return true;
    }
    return context_.reader.IsRecord(reached_->commit);
  }

  // Catch-up begins with the record at the place reached, which is considered again but not sent.
  void BeginCatchUp() {
    phase_ = Phase::kCatchingUp;
    skip_to_ = reached_;
    scan_ = reached_ ? reached_->commit : 0;
    page_start_ = reached_.value_or(Position{});
    candidate_.reset();
    page_considered_ = 0;
    page_matched_ = 0;
    considered_ = 0;
    is_checked_ = false;
  }

  Step CatchUp(FrameBuffer* out) override {
    const std::uint64_t end = context_.hub.head().end;
    if (!is_checked_ && scan_ < end) {
      is_checked_ = true;
      Result<bool> is_record = context_.reader.IsRecord(scan_);
      if (!is_record.ok()) {
        return FailStorage(is_record.status());
      }
      if (!*is_record) {
        return Fail(RpcError::Invalid("Trying to read from an invalid position."));
      }
    }
    if (scan_ == 0) {
      // What lies before the first record is considered like one that matches nothing: a node's own
      // first record, which it never shows.
      BeginRecord(kFirstPosition);
      EndRecord(out);
    }
    LogReader::Cursor cursor = context_.reader.Forwards(scan_, end);
    EventView event;
    for (std::size_t scanned = 0; scanned < kStepRecords && out->bytes() < kStepBytes; ++scanned) {
      Result<bool> row = cursor.Next(&event);
      if (!row.ok()) {
        return FailStorage(row.status());
      }
      if (!*row) {
        // Records without events may lie between the last event and the end.
        scan_ = end;
        if (feed_.JoinAt(end)) {
          if (candidate_) {
            SendCheckpoint(*candidate_, out);
          }
          GoLive(out);
        }
        return {};
      }
      if (Status status = Consider(event, out); !status.ok()) {
        return FailStorage(status);
      }
    }
    return {};
  }

  Status Consider(const EventView& event, FrameBuffer* out) {
    BeginRecord(event.position.commit +
                RecordSize(event.stream, event.type, event.data, event.metadata));
    if (plan_.filter.Matches(event.stream, event.type)) {
      ++page_matched_;
      if (!skip_to_ || event.position > *skip_to_) {
        CATCHUP_RETURN_IF_ERROR(EncodeEvent(plan_, context_.reader, event, Met::kInLog, out));
        candidate_ = event.position;
        reached_ = event.position;
      }
    }
    EndRecord(out);
    return {};
  }

  void BeginRecord(std::uint64_t end) {
    scan_ = end;
    if (page_considered_++ == 0) {
      candidate_ = candidate_ ? std::max(*candidate_, page_start_) : page_start_;
    }
  }

  void EndRecord(FrameBuffer* out) {
    if (plan_.filtered && (page_matched_ == kPageMatches || page_considered_ == plan_.window)) {
      considered_ += page_considered_;
      page_considered_ = 0;
      page_matched_ = 0;
      page_start_ = {scan_, 0};
      if (considered_ >= plan_.interval) {
        considered_ %= plan_.interval;
        SendCheckpoint(*candidate_, out);
      }
    }
  }

  void GoLive(FrameBuffer* out) {
    phase_ = Phase::kLive;
    FrameEncoder::CaughtUpAll(reached_, NowTicks(), out);
  }

  Step Live(FrameBuffer* out) override {
    while (out->bytes() < kStepBytes) {
      std::optional<LiveFeed::Entry> entry = feed_.Take();
      if (!entry) {
        break;
      }
      const Position position{entry->position, entry->position};
      if (skip_to_ && position < *skip_to_) {
        continue;
      }
      // The event at the very place that was asked for is skipped, a checkpoint there is not.
      if (entry->event != nullptr && (!skip_to_ || position > *skip_to_)) {
        if (Status status =
                EncodeEvent(plan_, context_.reader, entry->event->view(), Met::kLive, out);
            !status.ok()) {
          return FailStorage(status);
        }
        reached_ = position;
      }
      if (entry->checkpoint) {
        SendCheckpoint(position, out);
      }
    }
    if (feed_.TakeLost()) {
      if (reached_) {
        SendCheckpoint(*reached_, out);
      }
      BeginCatchUp();
      return {};
    }
    return {feed_.HasMore() ? State::kMore : State::kWait, std::nullopt};
  }

  // Checkpoints only ever go up; one that was sent already is not sent again.
  void SendCheckpoint(Position position, FrameBuffer* out) {
    if (!plan_.filtered || (last_checkpoint_ && position <= *last_checkpoint_)) {
      return;
    }
    last_checkpoint_ = position;
    reached_ = reached_ ? std::max(*reached_, position) : position;
    FrameEncoder::Checkpoint(position, NowTicks(), out);
  }

  const ReadPlan plan_;
  const Context context_;

  // The last event or checkpoint sent, or the place asked for; none at the start of the log.
  std::optional<Position> reached_;
  std::optional<Position> last_checkpoint_;
  std::optional<Position> skip_to_;  // Events up to here are not sent.

  // Catch-up.
  std::uint64_t scan_ = 0;             // The next position to read.
  bool is_checked_ = false;            // That a record begins there.
  Position page_start_;                // Of the page being read.
  std::optional<Position> candidate_;  // What a checkpoint would say now; none: nothing was read.
  std::uint64_t page_considered_ = 0;
  std::uint32_t page_matched_ = 0;
  std::uint64_t considered_ =
      0;  // In whole pages, since the last checkpoint that the count caused.

  LiveFeed feed_;  // Last: it ends before what its callbacks use.
};

}  // namespace

std::unique_ptr<ReadSource> MakeAllSubscription(ReadPlan plan, ReadSource::Context context) {
  return std::make_unique<AllSubscription>(std::move(plan), std::move(context));
}

}  // namespace catchup::embedded
