// Reads that end: a number of events of `$all` or of one stream, in either direction.
#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/source/embedded/calls/read_source.h"

namespace catchup::embedded {
namespace {

// What a node reads at a time of one stream; it shows in first_stream_position.
constexpr std::uint64_t kStreamPage = 32;

class AllRead final : public ReadSource {
 public:
  AllRead(ReadPlan plan, Context context) : plan_(std::move(plan)), context_(std::move(context)) {}

  Step Fill(FrameBuffer* out) override {
    if (plan_.count == 0) {
      // A node never ends such a call and keeps a core busy over it. Here it only stays open.
      return {State::kWait, std::nullopt};
    }
    if (!started_) {
      if (Step step = Start(); step.state == State::kEnd) {
        return step;
      }
    }
    LogReader::Cursor cursor =
        plan_.forwards ? context_.reader.Forwards(at_, end_) : context_.reader.Backwards(at_);
    EventView event;
    for (std::size_t scanned = 0; scanned < kStepRecords && out->bytes() < kStepBytes; ++scanned) {
      Result<bool> row = cursor.Next(&event);
      if (!row.ok()) {
        return FailStorage(row.status());
      }
      if (!*row) {
        return {State::kEnd, std::nullopt};
      }
      const std::uint64_t position = event.position.commit;
      at_ = plan_.forwards
                ? position + RecordSize(event.stream, event.type, event.data, event.metadata)
                : position;
      if (!plan_.filter.Matches(event.stream, event.type)) {
        continue;
      }
      if (Status status = EncodeEvent(plan_, context_.reader, event, Met::kInLog, out);
          !status.ok()) {
        return FailStorage(status);
      }
      if (--left_ == 0) {
        return {State::kEnd, std::nullopt};
      }
    }
    return {State::kMore, std::nullopt};
  }

 private:
  Step Start() {
    started_ = true;
    left_ = plan_.count;
    end_ = context_.hub.head().end;
    switch (plan_.from) {
      case ReadPlan::From::kStart:
        at_ = 0;
        return {};
      case ReadPlan::From::kEnd:
        at_ = end_;
        return {};
      case ReadPlan::From::kAt:
        break;
    }
    return StartAt(plan_.position);
  }

  Step StartAt(Position position) {
    at_ = std::min(position.commit, end_);
    if (at_ == end_) {
      if (!plan_.forwards && position.commit > end_) {
        return FailRead("Error");
      }
      return {};
    }
    Result<bool> is_record = context_.reader.IsRecord(at_);
    if (!is_record.ok()) {
      return FailStorage(is_record.status());
    }
    if (!*is_record) {
      return FailRead("InvalidPosition");
    }
    if (plan_.forwards || position.prepare == position.commit) {
      return {};
    }
    // (N, 0) lies before every event of the write that N is in the middle of, and so before the
    // end of the record ahead of N, by which a node goes.
    Result<std::optional<std::uint64_t>> earlier = context_.reader.EarlierOfSameWrite(at_);
    if (!earlier.ok()) {
      return FailStorage(earlier.status());
    }
    at_ = earlier->value_or(at_);
    return {};
  }

  // What a node says where the read itself went wrong.
  Step FailRead(const char* what) const {
    return Fail({RpcCode::kUnknown,
                 std::string(plan_.filtered ? "Unexpected FilteredReadAllResult: "
                                            : "Unexpected ReadAllResult: ") +
                     what,
                 {}});
  }

  const ReadPlan plan_;
  const Context context_;
  bool started_ = false;
  std::uint64_t at_ = 0;    // Next position forwards; backwards, the one before which to go on.
  std::uint64_t end_ = 0;   // As the call began: a read of a growing log must end.
  std::uint64_t left_ = 0;  // Events still to send.
};

class StreamRead final : public ReadSource {
 public:
  StreamRead(ReadPlan plan, Context context)
      : plan_(std::move(plan)), context_(std::move(context)) {}

  Step Fill(FrameBuffer* out) override {
    if (!started_) {
      if (Step step = Start(out); step.state == State::kEnd) {
        return step;
      }
    }
    LogReader::Cursor cursor = plan_.forwards ? context_.reader.StreamForwards(plan_.stream, at_)
                                              : context_.reader.StreamBackwards(plan_.stream, at_);
    const std::int64_t now = NowTicks();
    EventView event;
    for (std::size_t scanned = 0; scanned < kStepRecords && out->bytes() < kStepBytes; ++scanned) {
      if (left_ == 0) {
        return End(out);
      }
      Result<bool> row = cursor.Next(&event);
      if (!row.ok()) {
        return FailStorage(row.status());
      }
      const auto revision = static_cast<std::int64_t>(event.revision);
      if (!*row || revision < state_.first_readable()) {
        return End(out);
      }
      at_ = plan_.forwards ? revision + 1 : revision - 1;
      if (state_.HidesByAge(event.created_ticks, now)) {
        continue;
      }
      if (Status status = EncodeEvent(plan_, context_.reader, event, Met::kInLog, out);
          !status.ok()) {
        return FailStorage(status);
      }
      --left_;
    }
    return {State::kMore, std::nullopt};
  }

 private:
  Step Start(FrameBuffer* out) {
    started_ = true;
    left_ = plan_.count;
    if (plan_.count == 0 || (plan_.forwards && plan_.from == ReadPlan::From::kEnd)) {
      return Fail({RpcCode::kUnknown, "Unexpected ReadStreamResult: Error", {}});
    }
    Result<StreamState> state = context_.reader.Stream(plan_.stream);
    if (!state.ok()) {
      return FailStorage(state.status());
    }
    state_ = *state;
    if (state_.tombstoned) {
      return Fail(RpcError::StreamDeleted(plan_.stream));
    }
    if (!state_.exists() || state_.soft_deleted()) {
      FrameEncoder::StreamNotFound(plan_.stream, out);
      return {State::kEnd, std::nullopt};
    }
    const std::int64_t asked = plan_.from == ReadPlan::From::kAt    ? plan_.revision
                               : plan_.from == ReadPlan::From::kEnd ? state_.last_revision
                                                                    : 0;
    if (!plan_.forwards) {
      at_ = std::min(asked, state_.last_revision);
      return {};
    }
    page_start_ = asked;
    at_ = std::max(asked, state_.first_readable());
    const auto skipped = static_cast<std::uint64_t>(at_ - asked);
    if (skipped >= std::min(plan_.count, kStreamPage)) {
      SendFirstPosition(at_, out);
    }
    return {};
  }

  // Told after every empty page before the first event: from where the read goes on, if that is not
  // where the page began.
  void SendFirstPosition(std::int64_t next, FrameBuffer* out) {
    if (plan_.compatibility >= 1 && next != page_start_) {
      FrameEncoder::FirstStreamPosition(static_cast<std::uint64_t>(next), out);
      page_start_ = next;
    }
  }

  Step End(FrameBuffer* out) {
    if (plan_.forwards && left_ == plan_.count) {
      SendFirstPosition(state_.last_revision + 1, out);
    }
    if (plan_.compatibility >= 1) {
      FrameEncoder::LastStreamPosition(static_cast<std::uint64_t>(state_.last_revision), out);
    }
    return {State::kEnd, std::nullopt};
  }

  const ReadPlan plan_;
  const Context context_;
  bool started_ = false;
  StreamState state_;
  std::int64_t page_start_ = 0;  // Forwards, while nothing was sent: where the page began.
  std::int64_t at_ = 0;          // The next revision to look for.
  std::uint64_t left_ = 0;       // Events still to send.
};

}  // namespace

std::unique_ptr<ReadSource> MakeAllRead(ReadPlan plan, ReadSource::Context context) {
  return std::make_unique<AllRead>(std::move(plan), std::move(context));
}

std::unique_ptr<ReadSource> MakeStreamRead(ReadPlan plan, ReadSource::Context context) {
  return std::make_unique<StreamRead>(std::move(plan), std::move(context));
}

}  // namespace catchup::embedded
