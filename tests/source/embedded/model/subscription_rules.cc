#include "tests/source/embedded/model/subscription_rules.h"

#include <algorithm>
#include <utility>

#include "tests/source/embedded/model/measured.h"
#include "tests/source/embedded/model/write_rules.h"

namespace catchup::embedded::model {
namespace {

constexpr std::size_t kPageRows = 32;       // 3.3
constexpr std::size_t kDefaultWindow = 32;  // 3.3

std::string TextOf(const wire::ReadReq::Options::Position& position) {
  return Pair(std::to_string(position.commit_position()),
              std::to_string(position.prepare_position()));
}

}  // namespace

SubscriptionModel::SubscriptionModel(const wire::ReadReq& request, const ModelLog& log)
    : options_(request.options()), log_(log), filter_(options_), writer_(log, options_) {
  opening_.frames = {std::string(kConfirmation)};
  if (IsOfStream()) {
    OpenStream();
  } else {
    OpenAll();
  }
  next_ = log_.records().size();
}

SubscriptionModel::Place SubscriptionModel::AtRecord(std::size_t record) {
  return {record, false, Pair(PositionOf(record), PositionOf(record))};
}

SubscriptionModel::Place SubscriptionModel::PageAt(std::size_t record) {
  return {record, true, Pair(PositionOf(record), "0")};
}

std::size_t SubscriptionModel::Window() const {
  return options_.filter().has_count() ? kDefaultWindow : options_.filter().max();
}

std::size_t SubscriptionModel::Interval() const {
  return Window() * options_.filter().checkpointintervalmultiplier();
}

void SubscriptionModel::FinishCaughtUp(const std::string& place) {
  opening_.frames.push_back(CaughtUpFrame(place));
  counter_ = 0;  // The live counter starts when the subscription registers (3.3).
}

std::optional<SubscriptionModel::Place> SubscriptionModel::StartOfAll() {
  const std::optional<std::size_t> last = log_.LastVisible();
  const auto& from = options_.all();
  if (IsEnd(from)) {
    opening_.rule = "3.2: for `end` caught_up is (L, L), L even a record that no read shows";
    if (log_.records().empty()) {
      opening_.undecided = "3.2: from the end of an empty log";
      return std::nullopt;
    }
    if (!log_.records().back().is_visible) {
      opening_.shows.push_back(kCaughtUpUnseen.ToText());
    }
    FinishCaughtUp("position " + AtRecord(log_.records().size() - 1).text);
    return std::nullopt;
  }
  if (IsStart(from)) {
    if (!last) {
      opening_.undecided = "3.2: from the start of a log without events";
      return std::nullopt;
    }
    return Place{0, true, Pair("0", "0")};
  }
  const auto& position = from.position();
  const std::optional<std::size_t> record = log_.AtPosition(position.commit_position());
  const bool is_page_start = position.prepare_position() == 0;
  const Place start{record.value_or(log_.records().size()), is_page_start, TextOf(position)};
  if (!record && log_.AtPosition(position.commit_position() - 1).value_or(*last) < *last) {
    opening_.rule = "3.1: inside the log but not at a record: confirmation, INVALID_ARGUMENT";
    opening_.code = grpc::StatusCode::INVALID_ARGUMENT;
    opening_.message = "Trying to read from an invalid position.";
    opening_.shows.push_back(kBetweenRecordsLive.ToText());
    return std::nullopt;
  }
  if (!start.IsBefore(AtRecord(*last))) {
    opening_.rule = "3.2: at or past the last position: caught_up at once; 3.6: at the value asked";
    can_follow_ = record.has_value();
    if (start.record == *last && !log_.records().back().is_visible) {
      opening_.shows.push_back(kBehindOnlyUnseen.ToText());
    }
    FinishCaughtUp("position " + start.text);
    return std::nullopt;
  }
  return start;
}

void SubscriptionModel::OpenAll() {
  opening_.rule = "3.2 and 3.3: events, checkpoints, one at the end of the log, caught_up";
  if (const std::optional<Place> start = StartOfAll()) {
    CatchUp(*start);
  }
}

void SubscriptionModel::CatchUp(const Place& start) {
  next_ = start.record;
  Place page = start;
  while (ReadPage(start, page)) {
    if (next_ == log_.records().size()) {
      break;
    }
    page = PageAt(next_);
  }
  Place reached = last_event_.value_or(start);
  if (last_checkpoint_ && reached.IsBefore(*last_checkpoint_)) {
    reached = *last_checkpoint_;
  }
  if (reached.is_page_start) {
    opening_.shows.push_back(kCaughtUpAtPage.ToText());
  }
  FinishCaughtUp("position " + reached.text);
}

bool SubscriptionModel::ReadPage(const Place& start, const Place& page) {
  const std::size_t window = IsFiltered() ? Window() : log_.records().size();
  std::size_t considered = 0;
  std::size_t matching = 0;
  while (next_ < log_.records().size() && considered < window && matching < kPageRows) {
    const std::size_t record = next_++;
    considered += log_.records()[record].is_considered ? 1 : 0;
    if (!log_.records()[record].is_visible || !filter_.Passes(log_.records()[record])) {
      continue;
    }
    ++matching;
    // The record at the start position is read, too, but not delivered.
    if (record != start.record || start.is_page_start) {
      opening_.frames.push_back(writer_.Event(record, false));
      last_event_ = AtRecord(record);
    } else if (IsFiltered()) {
      opening_.shows.push_back(kStartCounts.ToText());
    }
  }
  const bool is_full = considered == window || matching == kPageRows;
  if (!IsFiltered()) {
    return is_full;
  }
  const Place reached = last_event_ && page.IsBefore(*last_event_) ? *last_event_ : page;
  counter_ += considered;
  const bool is_due = counter_ >= Interval();
  if (is_due) {
    counter_ %= Interval();
    SendCheckpoint(reached);
  }
  if (!is_full) {
    if (considered == 0) {
      opening_.undecided = "3.3: a last page that holds only records that no read shows";
    }
    SendCheckpoint(reached);
  } else if (!is_due && next_ == log_.records().size()) {
    opening_.undecided = "3.3: the end of the log just behind a full page with no checkpoint due";
  }
  return is_full;
}

void SubscriptionModel::SendCheckpoint(const Place& place) {
  if (last_checkpoint_ && !last_checkpoint_->IsBefore(place)) {
    return;
  }
  if (place.is_page_start) {
    opening_.shows.push_back(kCheckpointAtPage.ToText());
  }
  opening_.frames.push_back(CheckpointFrame(place.text));
  last_checkpoint_ = place;
}

void SubscriptionModel::OpenStream() {
  const auto& from = options_.stream();
  const std::string& stream = from.stream_identifier().stream_name();
  if (log_.IsTombstoned(stream)) {
    opening_ = StreamDeleted(stream, "3.1: tombstoned: stream-deleted, no confirmation before it");
    opening_.shows = {kTombstonedStream.ToText()};
    return;
  }
  opening_.rule = "2.2: caught_up.stream_revision of a stream subscription";
  const std::int64_t last = log_.LastRevision(stream);
  const bool is_deleted = log_.IsSoftDeleted(stream);
  if (from.has_end()) {
    if (is_deleted) {
      opening_.undecided = "2.2: from the end of a soft-deleted stream";
    }
    FinishCaughtUp(last < 0 ? "" : "revision " + std::to_string(last));
    return;
  }
  if (stream.starts_with("$$") && last > 0) {
    opening_.undecided = "3.8: what a read of metadata shows besides the latest";
  }
  std::int64_t reached = from.has_start() ? -1 : static_cast<std::int64_t>(from.revision());
  const std::int64_t first = std::max(reached + 1, log_.FirstVisible(stream));
  for (std::int64_t i = first; i <= last && !is_deleted; ++i) {
    opening_.frames.push_back(
        writer_.Event(log_.Events(stream)[static_cast<std::size_t>(i)], false));
    reached = i;
  }
  can_follow_ = reached <= last;
  if (reached < 0 || (!from.has_start() && reached < first)) {
    opening_.shows.push_back((reached < 0 ? kRevisionAbsent : kRevisionEchoed).ToText());
  }
  FinishCaughtUp(reached < 0 ? "" : "revision " + std::to_string(reached));
}

Expectation SubscriptionModel::Live() {
  Expectation live;
  live.rule = "3.3: live, every matching event, and a checkpoint at every `interval`-th considered";
  for (; next_ < log_.records().size(); ++next_) {
    const Record& record = log_.records()[next_];
    if (!record.is_visible) {
      continue;
    }
    const bool is_wanted =
        IsOfStream() ? record.stream == options_.stream().stream_identifier().stream_name()
                     : filter_.Passes(record);
    if (is_wanted) {
      live.frames.push_back(writer_.Event(next_, true));
      if (writer_.IsMalformedLink(record)) {
        live.shows.push_back(kMalformedLive.ToText());
      }
    }
    if (IsFiltered() && ++counter_ == Interval()) {
      counter_ = 0;
      live.frames.push_back(CheckpointFrame(AtRecord(next_).text));
      live.shows.push_back(kCheckpointLive.ToText());
    }
  }
  return live;
}

}  // namespace catchup::embedded::model
