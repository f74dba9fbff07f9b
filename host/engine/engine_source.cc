#include <fmt/core.h>

#include <string>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/deliver.h"
#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// What the source says. The call itself is SourceLink's; here it meets what the group has received.

namespace catchup {

void Engine::ServerKnown(CallNumber call, const ServerTraits& traits, Tick tick, Commands* out) {
  if (!parts_.link.Is(call) || !parts_.link.connecting()) {
    return;
  }
  Turn turn(tick, out);
  Take(parts_.link.OnServer(traits, ResumePlace(), turn), turn.now);
  Plan(turn);
}

void Engine::EndKnown(CallNumber call, std::optional<Position> end, Tick tick, Commands* out) {
  if (!parts_.link.Is(call) || !parts_.link.reading_end()) {
    return;
  }
  Turn turn(tick, out);
  Take(parts_.link.OnEnd(end, ResumePlace(), turn), turn.now);
  Plan(turn);
}

void Engine::WitnessRead(CallNumber call, const std::optional<FirstRecord>& first, Tick tick,
                         Commands* out) {
  if (!parts_.link.Is(call) || !parts_.link.proving()) {
    return;
  }
  Turn turn(tick, out);
  Take(parts_.link.OnWitness(first, ResumePlace(), turn), turn.now);
  Plan(turn);
}

void Engine::WitnessStreamRead(CallNumber call, const StreamRevision& found, Tick tick,
                               Commands* out) {
  if (!parts_.link.Is(call) || !parts_.link.proving()) {
    return;
  }
  Turn turn(tick, out);
  Take(parts_.link.OnWitnessStream(found, ResumePlace(), turn), turn.now);
  Plan(turn);
}

void Engine::Probed(CallNumber call, std::optional<Position> found, Tick tick, Commands* out) {
  if (!parts_.link.Is(call) || !parts_.link.probing()) {
    return;
  }
  Turn turn(tick, out);
  Take(parts_.link.OnProbed(found, ResumePlace(), turn), turn.now);
  Plan(turn);
}

void Engine::Take(const SourceLink::Found& found, std::chrono::nanoseconds now) {
  if (found.placed) {
    parts_.origin.OnSeen();
  }
  if (found.step_back) {
    parts_.frontier.StepBack();
  }
  if (parts_.link.open()) {
    parts_.liveness.Rest(now);
  }
  if (found.failed.empty()) {
    return;
  }
  std::string reason = found.failed;
  // A `start` that this log does not have is a fault of the configuration's.
  if (found.fault != LineageFault::kNone && !parts_.origin.IsStart(parts_.frontier.reached())) {
    foreign_log_ = ForeignLog{found.fault, found.last_good};
    reason = fmt::format("lineage {}: {}", LineageFaultName(found.fault), found.failed);
  }
  parts_.End(GroupState::kFailed, reason, Lane::Force::kDrain, parts_.options.drain_timeout);
}

void Engine::OnFrame(Turn& turn) {
  parts_.link.OnFrame(turn);
  parts_.liveness.Rest(turn.now);
}

// The server has got as far as `position` in this call.
void Engine::OnPosition(Position position) {
  if (parts_.link.OnPosition(position)) [[unlikely]] {
    parts_.catch_up.OnLive(parts_.ledger.last());
  }
}

void Engine::Announce(Position position, Turn& turn) {
  if (!IsPlace(position)) {
    parts_.counts.dropped += position != kEndOfLog ? 1 : 0;
    if (position != kEndOfLog && !nonsense_told_) {
      nonsense_told_ = true;
      turn.Tell(Notice::kNoPlaceAnnounced,
                "ignoring what the server announced: position " + NoPlace(position), false,
                position);
    }
    return;
  }
  if (parts_.link.traits().resumes_anywhere && !server_lied_) {
    parts_.counts.dropped += position < parts_.link.told() ? 1 : 0;
    if (const auto proven = parts_.frontier.OnAnnouncement(position)) {
      parts_.ledger.AddPassed(*proven);
    }
  }
  OnPosition(position);
}

Sequence Engine::Event(CallNumber call, Position position, std::uint64_t bytes, bool skip,
                       EventName name, Tick tick, Commands* out) {
  if (!parts_.link.Is(call)) {
    return 0;
  }
  Turn turn(tick, out);
  bool plain = parts_.link.live() && !parts_.link.knows_head();
  OnFrame(turn);
  Sequence sequence = 0;
  if (!IsPlace(position)) [[unlikely]] {
    plain = false;
    parts_.catch_up.Drop();
    parts_.link.BreakOff("the server sent an event whose position " + NoPlace(position),
                         parts_.frontier.reached(), turn);
  } else if (!parts_.frontier.IsNew(position)) {
    ++parts_.counts.dropped;
    OnPosition(position);
  } else {
    sequence = TakeEvent(position, bytes, skip, &plain, turn);
  }
  if (parts_.many && sequence != 0) {
    parts_.streams.Add(sequence, name.stream);
  }
  const bool deliver_only = plain && turn.now < parts_.wake_at &&
                            parts_.ledger.events() < parts_.crowded_at && parts_.Plain();
  if (deliver_only && !parts_.many) [[likely]] {
    Deliver(parts_, turn);
    return sequence;
  }
  parts_.arriving = std::pair(sequence, name);
  if (deliver_only) {
    Deliver(parts_, turn);
  } else {
    Plan(turn);
  }
  parts_.arriving.reset();
  return sequence;
}

Sequence Engine::TakeEvent(Position position, std::uint64_t bytes, bool skip, bool* plain,
                           Turn& turn) {
  if (parts_.frontier.Contradicts(position) || server_lied_) [[unlikely]] {
    *plain = false;
    if (!Believe(position, turn)) {
      return 0;
    }
  }
  if (const auto proven = parts_.frontier.OnEvent(position)) [[unlikely]] {
    *plain = false;
    parts_.ledger.AddPassed(*proven);
  }
  Sequence sequence = 0;
  if (skip) {
    *plain = false;
    ++parts_.counts.skipped;
    parts_.ledger.AddPassed(position, true);
  } else {
    sequence = parts_.ledger.AddEvent(position, bytes);
  }
  OnPosition(position);
  return sequence;
}

// An event of a server that has announced as sent what it sent later, perhaps this one.
bool Engine::Believe(Position position, Turn& turn) {
  if (parts_.frontier.Contradicts(position)) {
    server_lied_ = true;
    turn.Tell(Notice::kAnnouncedTooEarly,
              fmt::format("the server sent an event at {} after it had announced that everything "
                          "up to {} was sent; the event is handled, and no announcement is "
                          "believed any more",
                          FormatPosition(position), Place(parts_.frontier.reached())),
              false, position);
    parts_.frontier.StepBack();
    // The event is here now: no checkpoint may be written beyond it before it is settled.
    parts_.ledger.Withdraw(parts_.frontier.reached());
    parts_.catch_up.Withdraw(parts_.ledger.watermark());
  }
  if (parts_.position_mode && parts_.ledger.IsTaken(position)) {
    parts_.End(
        GroupState::kFailed,
        fmt::format(
            "the server sent an event at {} after it had announced that very position, and the "
            "plugin stores it already: nobody could tell whether the event was applied; wanted "
            "the plugin's store put back to a position before it",
            FormatPosition(position)),
        Lane::Force::kDrain, parts_.options.drain_timeout);
    return false;
  }
  return true;
}

void Engine::CheckpointFrame(CallNumber call, Position position, Tick tick, Commands* out) {
  if (!parts_.link.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  OnFrame(turn);
  Announce(position, turn);
  Plan(turn);
}

void Engine::CaughtUp(CallNumber call, std::optional<Position> position, Tick tick, Commands* out) {
  if (!parts_.link.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  OnFrame(turn);
  if (position) {
    Announce(*position, turn);
  }
  parts_.catch_up.OnLive(parts_.ledger.last());
  Plan(turn);
}

void Engine::Head(CallNumber call, std::optional<Position> head, Tick tick, Commands* out) {
  if (!parts_.link.Is(call) || !needs_head() || (head && !IsPlace(*head))) {
    return;
  }
  Turn turn(tick, out);
  if (parts_.link.OnHead(head)) {
    parts_.link.OnFrame(turn);
    parts_.catch_up.OnLive(parts_.ledger.last());
  }
  Plan(turn);
}

void Engine::HeadSeen(std::optional<Position> head, Tick tick, Commands* out) {
  if (!parts_.link.open() || (head && !IsPlace(*head))) {
    return;
  }
  Turn turn(tick, out);
  parts_.liveness.OnHead(head);
  Plan(turn);
}

void Engine::NextKnown(CallNumber call, std::optional<Position> next, Tick tick, Commands* out) {
  if (!parts_.link.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  parts_.liveness.OnFound(next, parts_.link.told(), turn.now);
  Plan(turn);
}

void Engine::NextUnknown(CallNumber call, std::string_view why, Tick tick, Commands* out) {
  if (!parts_.link.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  const std::chrono::nanoseconds silence = turn.now - parts_.liveness.since();
  if (parts_.liveness.OnUnknown(turn.now)) {
    turn.Tell(
        Notice::kSilenceUnexplained,
        fmt::format("no frame for {}, and the log does not tell whether an event is missing "
                    "({}); looking again in {}",
                    FormatDuration(silence), OneLine(why), FormatDuration(Liveness::kSilence)),
        false, parts_.link.told());
  }
  Plan(turn);
}

void Engine::SubscriptionEnded(CallNumber call, const EndOfCall& end, Tick tick, Commands* out) {
  if (!parts_.link.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  parts_.catch_up.Drop();
  const bool no_place = end.kind == EndClass::kInvalidPosition;
  if (no_place && parts_.link.reading_witness()) {
    Take(parts_.link.OnInvalidWitness(end.text, ResumePlace(), turn), turn.now);
  } else if (no_place) {
    Take(parts_.link.OnInvalidPosition(end.text, ResumePlace()), turn.now);
  } else {
    parts_.link.OnEnded(end, parts_.frontier.reached(), turn);
  }
  Plan(turn);
}

void Engine::AccessChanged(Tick tick, Commands* out) {
  Turn turn(tick, out);
  if (parts_.link.OnAccessChanged(turn.now)) {
    Plan(turn);
  }
}

void Engine::SourceAnswers(Tick tick, Commands* out) {
  if (!parts_.link.connect_at()) {
    return;
  }
  Turn turn(tick, out);
  parts_.link.OnSourceAnswers(turn.now);
  Plan(turn);
}

SourceLink::Place Engine::ResumePlace() const {
  return {.reached = parts_.frontier.reached(),
          .event = parts_.frontier.event(),
          .words = parts_.origin.Describe(parts_.frontier.reached()),
          .witnesses = parts_.witnesses.UpTo(parts_.frontier.reached())};
}

}  // namespace catchup
