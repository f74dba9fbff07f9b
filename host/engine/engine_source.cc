#include <fmt/core.h>

#include <string>
#include <utility>

#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// What the source says. The call itself is SourceLink's; here it meets what the group has received.

namespace catchup {

void Engine::ServerKnown(CallNumber call, const ServerTraits& traits, Tick tick, Commands* out) {
  if (!link_.Is(call) || !link_.connecting()) {
    return;
  }
  Turn turn(tick, out);
  Take(link_.OnServer(traits, ResumePlace(), turn));
  Plan(turn);
}

void Engine::EndKnown(CallNumber call, std::optional<Position> end, Tick tick, Commands* out) {
  if (!link_.Is(call) || !link_.reading_end()) {
    return;
  }
  Turn turn(tick, out);
  Take(link_.OnEnd(end, ResumePlace(), turn));
  Plan(turn);
}

void Engine::Probed(CallNumber call, std::optional<Position> found, Tick tick, Commands* out) {
  if (!link_.Is(call) || !link_.probing()) {
    return;
  }
  Turn turn(tick, out);
  Take(link_.OnProbed(found, ResumePlace(), turn));
  Plan(turn);
}

void Engine::Take(const SourceLink::Found& found) {
  if (found.placed) {
    origin_.OnSeen();
  }
  if (found.step_back) {
    frontier_.StepBack();
  }
  if (!found.failed.empty()) {
    End(GroupState::kFailed, found.failed, Lane::Force::kDrain, options_.drain_timeout);
  }
}

// The server has got as far as `position` in this call.
void Engine::OnPosition(Position position) {
  if (link_.OnPosition(position)) [[unlikely]] {
    catch_up_.OnLive(ledger_.last());
  }
}

void Engine::Announce(Position position, Turn& turn) {
  if (!IsPlace(position)) {
    if (position != kEndOfLog && !nonsense_told_) {
      nonsense_told_ = true;
      turn.Tell(Notice::kNoPlaceAnnounced,
                "ignoring what the server announced: position " + NoPlace(position), false,
                position);
    }
    return;
  }
  if (link_.traits().resumes_anywhere && !server_lied_) {
    if (const auto proven = frontier_.OnAnnouncement(position)) {
      ledger_.AddPassed(*proven);
    }
  }
  OnPosition(position);
}

Sequence Engine::Event(CallNumber call, Position position, std::uint64_t bytes, bool is_system,
                       EventName name, Tick tick, Commands* out) {
  if (!link_.Is(call)) {
    return 0;
  }
  Turn turn(tick, out);
  bool plain = link_.live() && !link_.knows_head();
  link_.OnFrame(turn.now);
  Sequence sequence = 0;
  if (!IsPlace(position)) [[unlikely]] {
    plain = false;
    catch_up_.Drop();
    link_.BreakOff("the server sent an event whose position " + NoPlace(position),
                   frontier_.reached(), turn);
  } else if (!frontier_.IsNew(position)) {
    ++counts_.dropped;
    OnPosition(position);
  } else {
    sequence = TakeEvent(position, bytes, is_system && !options_.system_events, &plain, turn);
  }
  if (many_ && sequence != 0) {
    streams_.Add(sequence, name.stream);
  }
  const bool deliver_only =
      plain && turn.now < wake_at_ && ledger_.events() < crowded_at_ && Plain();
  if (deliver_only && !many_) [[likely]] {
    Deliver(turn);
    return sequence;
  }
  arriving_ = std::pair(sequence, name);
  if (deliver_only) {
    Deliver(turn);
  } else {
    Plan(turn);
  }
  arriving_.reset();
  return sequence;
}

Sequence Engine::TakeEvent(Position position, std::uint64_t bytes, bool skip, bool* plain,
                           Turn& turn) {
  if (frontier_.Contradicts(position) || server_lied_) [[unlikely]] {
    *plain = false;
    if (!Believe(position, turn)) {
      return 0;
    }
  }
  if (const auto proven = frontier_.OnEvent(position)) [[unlikely]] {
    *plain = false;
    ledger_.AddPassed(*proven);
  }
  Sequence sequence = 0;
  if (skip) {
    *plain = false;
    ++counts_.skipped;
    ledger_.AddPassed(position, true);
  } else {
    sequence = ledger_.AddEvent(position, bytes);
  }
  OnPosition(position);
  return sequence;
}

// An event of a server that has announced as sent what it sent later, perhaps this one.
bool Engine::Believe(Position position, Turn& turn) {
  if (frontier_.Contradicts(position)) {
    server_lied_ = true;
    turn.Tell(Notice::kAnnouncedTooEarly,
              fmt::format("the server sent an event at {} after it had announced that everything "
                          "up to {} was sent; the event is handled, and no announcement is "
                          "believed any more",
                          FormatPosition(position), Place(frontier_.reached())),
              false, position);
    frontier_.StepBack();
    // The event is here now: no checkpoint may be written beyond it before it is settled.
    ledger_.Withdraw(frontier_.reached());
    catch_up_.Withdraw(ledger_.watermark());
  }
  if (position_mode_ && ledger_.IsTaken(position)) {
    End(GroupState::kFailed,
        fmt::format(
            "the server sent an event at {} after it had announced that very position, and the "
            "plugin stores it already: nobody could tell whether the event was applied; wanted "
            "the plugin's store put back to a position before it",
            FormatPosition(position)),
        Lane::Force::kDrain, options_.drain_timeout);
    return false;
  }
  return true;
}

void Engine::CheckpointFrame(CallNumber call, Position position, Tick tick, Commands* out) {
  if (!link_.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  link_.OnFrame(turn.now);
  Announce(position, turn);
  Plan(turn);
}

void Engine::CaughtUp(CallNumber call, std::optional<Position> position, Tick tick, Commands* out) {
  if (!link_.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  link_.OnFrame(turn.now);
  if (position) {
    Announce(*position, turn);
  }
  catch_up_.OnLive(ledger_.last());
  Plan(turn);
}

void Engine::Head(CallNumber call, std::optional<Position> head, Tick tick, Commands* out) {
  if (!link_.Is(call) || !needs_head() || (head && !IsPlace(*head))) {
    return;
  }
  Turn turn(tick, out);
  if (link_.OnHead(head)) {
    link_.OnFrame(turn.now);
    catch_up_.OnLive(ledger_.last());
  }
  Plan(turn);
}

void Engine::SubscriptionEnded(CallNumber call, const EndOfCall& end, Tick tick, Commands* out) {
  if (!link_.Is(call)) {
    return;
  }
  Turn turn(tick, out);
  catch_up_.Drop();
  if (end.kind == EndClass::kInvalidPosition) {
    link_.OnInvalidPosition();
    End(GroupState::kFailed,
        fmt::format("the log has no event at {} ({})", ResumePlace().words, OneLine(end.text)),
        Lane::Force::kDrain, options_.drain_timeout);
  } else {
    link_.OnEnded(end, frontier_.reached(), turn);
  }
  Plan(turn);
}

SourceLink::Place Engine::ResumePlace() const {
  return {.reached = frontier_.reached(),
          .event = frontier_.event(),
          .words = origin_.Describe(frontier_.reached(), position_mode_)};
}

}  // namespace catchup
