#include "tests/sim/sim_server.h"

#include <algorithm>
#include <array>

namespace catchup::sim {
namespace {

Uuid ForeignId(Position position) { return Uuid::FromHalves(position.commit, ~position.prepare); }

}  // namespace

std::vector<LogEvent> MakeLog(Random* random) {
  const std::size_t count = random->Chance(70) ? random->Between(1, 90) : random->Between(90, 400);
  const std::uint64_t matching = random->Between(20, 100);
  const std::uint64_t system = random->Between(0, 25);
  const std::uint32_t streams = static_cast<std::uint32_t>(random->Between(1, 5));
  std::array<std::uint64_t, 5> revisions{};
  std::vector<LogEvent> log;
  std::uint64_t offset = random->Between(1, 100);
  while (log.size() < count) {
    // The events of one explicit transaction share its commit position.
    const std::size_t members = random->Chance(5) ? random->Between(2, 3) : 1;
    const std::uint64_t commit = offset + members * 10;
    for (std::size_t i = 0; i < members; ++i) {
      LogEvent event;
      event.position = members == 1 ? Position{offset, offset} : Position{commit, offset + i};
      event.stream = static_cast<std::uint32_t>(random->Between(0, streams - 1));
      event.revision = revisions[event.stream]++;
      event.type = static_cast<std::uint32_t>(random->Between(0, 2));
      event.bytes = random->Between(0, 200);
      event.matches = random->Chance(matching);
      event.system = random->Chance(system);
      log.push_back(event);
    }
    offset = commit + random->Between(1, 300);
  }
  return log;
}

SimServer::SimServer(const std::vector<LogEvent>* log, Random* random, FaultCounts* faults)
    : log_(*log), random_(*random), faults_(*faults) {
  visible_ = random_.Between(0, log_.size());
  interval_ = random_.Between(1, 12);
}

std::optional<Position> SimServer::head() const {
  if (!foreign_.empty()) {
    return foreign_.back();
  }
  if (visible_ == 0) {
    return std::nullopt;
  }
  return log_[visible_ - 1].position;
}

std::size_t SimServer::LowerBound(Position from) const {
  std::size_t index = 0;
  while (index < log_.size() && log_[index].position < from) {
    ++index;
  }
  return index;
}

std::optional<Position> SimServer::Before(Position place) const {
  const std::size_t index = std::min(LowerBound(place), visible_);
  return index > 0 ? std::optional(log_[index - 1].position) : std::nullopt;
}

void SimServer::RestoreBefore(Position place) {
  const std::size_t most = std::min(LowerBound(place), visible_);
  visible_ = random_.Chance(20) ? 0 : random_.Between(0, most);
}

void SimServer::GrowForeign(Position place) {
  Position next = place;
  for (std::uint64_t more = random_.Between(1, 3); more > 0; --more) {
    next = {next.commit + random_.Between(1, 200), next.commit};
    const std::size_t same = LowerBound(next);
    if (same < log_.size() && log_[same].position == next) {
      ++next.commit;  // No place of a record that was read.
    }
    foreign_.push_back(next);
  }
}

void SimServer::Regrow(Position place) {
  for (std::size_t i = visible_; i < log_.size() && log_[i].position < place; ++i) {
    if (random_.Chance(60)) {
      foreign_.push_back(log_[i].position);
    }
  }
  GrowForeign(place);
}

Uuid SimServer::IdOf(std::size_t index) { return Uuid::FromHalves(index + 1, 0); }

void SimServer::Scavenge(Position place) {
  const std::size_t end = std::min(LowerBound(place) + 1, visible_);
  const std::uint64_t share = random_.Chance(30) ? 100 : random_.Between(1, 99);
  for (std::size_t i = 0; i < end; ++i) {
    if (random_.Chance(share)) {
      scavenged_.insert(i);
    }
  }
}

std::optional<FirstRecord> SimServer::FirstShown(Position from) const {
  std::size_t index = LowerBound(from);
  while (index < visible_ && scavenged_.count(index) > 0) {
    ++index;
  }
  if (index < visible_) {
    return FirstRecord{log_[index].position, IdOf(index)};
  }
  const auto foreign = std::lower_bound(foreign_.begin(), foreign_.end(), from);
  return foreign != foreign_.end() ? std::optional(FirstRecord{*foreign, ForeignId(*foreign)})
                                   : std::nullopt;
}

StreamRevision SimServer::Revision(std::uint32_t stream, std::uint64_t revision) const {
  std::size_t index = 0;
  while (index < visible_ && (log_[index].stream != stream || log_[index].revision != revision)) {
    ++index;
  }
  if (index == visible_) {
    // Another log's stream may have got so far, too.
    return !foreign_.empty() && revision % 2 == 0
               ? StreamRevision{StreamRevision::Kind::kEvent, ForeignId(foreign_.back())}
               : StreamRevision{StreamRevision::Kind::kEndsBelow, {}};
  }
  return scavenged_.count(index) > 0 ? StreamRevision{StreamRevision::Kind::kGone, {}}
                                     : StreamRevision{StreamRevision::Kind::kEvent, IdOf(index)};
}

std::optional<Position> SimServer::First(Position from) const {
  const std::size_t index = LowerBound(from);
  if (index < visible_) {
    return log_[index].position;
  }
  const auto foreign = std::lower_bound(foreign_.begin(), foreign_.end(), from);
  return foreign != foreign_.end() ? std::optional(*foreign) : std::nullopt;
}

std::optional<Position> SimServer::NextMatch(const std::optional<Position>& behind) const {
  for (std::size_t index = 0; index < visible_; ++index) {
    if (log_[index].matches && log_[index].position > behind) {
      return log_[index].position;
    }
  }
  return std::nullopt;
}

bool SimServer::Owes() const {
  for (std::size_t index = cursor_; index < visible_; ++index) {
    if (log_[index].matches) {
      return true;
    }
  }
  return false;
}

void SimServer::Open(std::optional<Position> from) {
  cursor_ = 0;
  while (cursor_ < log_.size() && from && log_[cursor_].position <= *from) {
    ++cursor_;
  }
  lie_again_ = lying && lie_ && event_is_next_ && random_.Chance(70);
  if (old && from) {
    // It looks for the first record at or after the place, and begins behind that one.
    cursor_ = LowerBound(*from) + 1;
  }
  considered_ = 0;
  event_is_next_ = false;
  live_ = false;
  end_was_announced_ = false;
  from_ = from;
  last_event_.reset();
  last_checkpoint_.reset();
}

Frame SimServer::CheckpointAt(Position position) {
  return {.kind = Frame::Kind::kCheckpoint, .event = 0, .position = position};
}

// What servers have been seen to send wrongly. A position that is too high is followed by the event
// that it hides: nothing could protect against two of them in a row.
std::optional<Frame> SimServer::Lie() {
  switch (random_.Between(0, 4)) {
    case 0:
      if (last_event_) {
        faults_.Fired(Fault::kRepeatedEvent);
        return Frame{.kind = Frame::Kind::kEvent, .event = *last_event_, .position = {}};
      }
      break;
    case 1:
      if (last_checkpoint_) {
        faults_.Fired(Fault::kRepeatedCheckpoint);
        return CheckpointAt(*last_checkpoint_);
      }
      break;
    case 2:
      if (cursor_ > 1) {
        faults_.Fired(Fault::kLowerCheckpoint);
        return CheckpointAt(log_[random_.Between(0, cursor_ - 1)].position);
      }
      break;
    case 3:
      faults_.Fired(Fault::kCheckpointAtEndOfLog);
      return CheckpointAt(kEndOfLog);
    default:
      // One that does not say when it is caught up would be believed about that.
      if (cursor_ < visible_ && log_[cursor_].matches && sends_caught_up) {
        faults_.Fired(Fault::kCheckpointTooHigh);
        return TooHigh();
      }
      break;
  }
  return std::nullopt;
}

Frame SimServer::TooHigh() {
  event_is_next_ = true;
  Position wrong = log_[random_.Between(cursor_, log_.size() - 1)].position;
  wrong.commit += random_.Between(0, 2);
  lie_ = wrong;
  return CheckpointAt(wrong);
}

std::optional<Frame> SimServer::Next() {
  if (std::exchange(lie_again_, false) && cursor_ < visible_ && log_[cursor_].matches) {
    faults_.Fired(Fault::kLieAcrossCalls);
    event_is_next_ = true;
    lie_->commit += random_.Between(1, 50);
    return CheckpointAt(*lie_);
  }
  if (lying && lies_twice && event_is_next_ && lie_ && !hidden_ && random_.Chance(30)) {
    faults_.Fired(Fault::kLieTwice);
    hidden_ = Hidden{cursor_, *lie_};
    lie_->commit += random_.Between(1, 50);
    return CheckpointAt(*lie_);
  }
  if (lying && !event_is_next_ && random_.Chance(8)) {
    if (auto lie = Lie()) {
      return lie;
    }
  }
  while (cursor_ < visible_) {
    if (considered_ >= interval_ && !event_is_next_) {
      considered_ = 0;
      // A page's start, which is nobody's position, or the last event sent.
      Position position{log_[cursor_].position.commit, 0};
      if (last_event_ && random_.Chance(30)) {
        position = log_[*last_event_].position;
      }
      const bool transaction = cursor_ > 0 && log_[cursor_ - 1].position > position;
      if (!transaction && (!last_checkpoint_ || position > *last_checkpoint_)) {
        last_checkpoint_ = position;
        return CheckpointAt(position);
      }
    }
    const std::size_t index = cursor_++;
    ++considered_;
    if (log_[index].matches) {
      event_is_next_ = false;
      lie_.reset();
      end_was_announced_ = false;
      last_event_ = index;
      return Frame{.kind = Frame::Kind::kEvent, .event = index, .position = {}};
    }
  }
  return AtEndOfLog();
}

std::optional<Frame> SimServer::AtEndOfLog() {
  const std::optional<Position> end = visible_ > 0 ? head() : from_;
  if (!live_) {
    if (!end_was_announced_ && end && (!from_ || *end > *from_)) {
      end_was_announced_ = true;
      last_checkpoint_ = end;
      return CheckpointAt(*end);
    }
    live_ = true;
    if (sends_caught_up) {
      Frame frame{.kind = Frame::Kind::kCaughtUp, .event = 0, .position = end};
      if (random_.Chance(30) || (from_ && end < from_)) {
        frame.position.reset();
      }
      return frame;
    }
  }
  if (sends_caught_up && lying && random_.Chance(5)) {
    faults_.Fired(Fault::kRepeatedCaughtUp);
    return Frame{.kind = Frame::Kind::kCaughtUp, .event = 0, .position = end};
  }
  return std::nullopt;
}

Frame SimServer::Stale() {
  const std::size_t index = random_.Between(0, log_.size() - 1);
  if (random_.Chance(50)) {
    return CheckpointAt(log_[index].position);
  }
  return {.kind = Frame::Kind::kEvent, .event = index, .position = {}};
}

}  // namespace catchup::sim
