#include <utility>

#include "host/base/time_text.h"
#include "host/engine/engine.h"
#include "host/engine/engine_text.h"

// How a call finds the place to resume from: kConnect, ServerKnown, kReadEnd, EndKnown, kProbe,
// Probed, kSubscribe; what is not needed is left out.

namespace catchup {
namespace {

// A node that has just become the leader may tell an end that it is about to pass: it took appends
// after 1 to 2 seconds. A log that was restored or made anew ends where it ends.
constexpr std::chrono::nanoseconds kEndPatience = std::chrono::seconds(3);
constexpr std::chrono::nanoseconds kEndPause = std::chrono::milliseconds(500);

// 0:0 is where a log without any record ends.
std::string EndOf(const char* verb, const char* verb_when_empty,
                  const std::optional<Position>& end) {
  return end > Position{} ? verb + (" at " + FormatPosition(*end))
                          : std::string(verb_when_empty) + " empty";
}

}  // namespace

// A server takes a place beyond the end of its log, says that the call has caught up, and then
// leaves out what is appended up to there. So the place is held against the end before.
void Engine::ServerKnown(CallNumber call, const ServerTraits& traits, Tick tick, Commands* out) {
  if (!OnInput(call) || step_ != CallStep::kConnecting) {
    return;
  }
  traits_ = traits;
  // At the beginning of the log nothing is left out, nor at 0:0, before which nothing can lie.
  if (frontier_.reached() <= Position{}) {
    Resume(tick, out);
    return;
  }
  step_ = CallStep::kReadingEnd;
  Command& command = Add(out, Command::Kind::kReadEnd);
  command.number = call_;
  command.from = frontier_.reached();
}

void Engine::EndKnown(CallNumber call, std::optional<Position> end, Tick tick, Commands* out) {
  if (!OnInput(call) || step_ != CallStep::kReadingEnd) {
    return;
  }
  if (end && !IsPlace(*end)) {
    BreakOff("the server said that its log ends where position " + NoPlace(*end), tick, out);
  } else if (end < frontier_.reached()) {
    WaitForEnd(end, tick, out);
  } else if (short_) {
    Vouch(out);
  } else {
    Resume(tick, out);
  }
}

// One look may have come too early. What lies beyond the end for longer is not of this log.
void Engine::WaitForEnd(std::optional<Position> end, Tick tick, Commands* out) {
  step_ = CallStep::kNone;
  const std::string what =
      "the log " + EndOf("ends", "is", end) + ", before " + DescribeResumePlace();
  if (!short_) {
    short_ = Short{.since = tick.now, .end = end};
    Log(what + "; looking again for " + FormatDuration(kEndPatience), false, out);
  }
  if (tick.now - short_->since >= kEndPatience) {
    End(GroupState::kFailed, what, Force::kDrain, options_.drain_timeout, tick, out);
    return;
  }
  source_trouble_ = what + std::string(kNextTryIn) + FormatDuration(kEndPause);
  SetTimer(TimerKind::kReconnect, kEndPause, tick, out);
  RefreshState(out);
}

// The log ended before the place and reaches it now. Either the end had been told too early, or
// this is another log that has grown meanwhile, and what was appended would be left out. A record
// that was read before and lay beyond that end tells: it lies where it lay.
void Engine::Vouch(Commands* out) {
  const std::optional<Position>& event = frontier_.event();
  Probe(CallStep::kVouching, event > short_->end ? *event : *frontier_.reached(), out);
}

void Engine::Vouched(std::optional<Position> found, Tick tick, Commands* out) {
  if (found == probed_) {
    short_.reset();
    source_trouble_.clear();
    RefreshState(out);
    Resume(tick, out);
    return;
  }
  step_ = CallStep::kNone;
  End(GroupState::kFailed,
      "the log " + EndOf("ended", "was", short_->end) +
          " and has grown since, but no record of what was read before lies at " + Place(probed_) +
          "; it is to be read from " + DescribeResumePlace(),
      Force::kDrain, options_.drain_timeout, tick, out);
}

void Engine::Resume(Tick tick, Commands* out) {
  const std::optional<Position>& reached = frontier_.reached();
  if (!traits_.resumes_anywhere && reached) {
    Probe(CallStep::kProbing, *reached, out);
  } else {
    Subscribe(reached, out);
  }
  if (!std::exchange(placed_, true)) {
    Housekeep(tick, out);
  }
}

void Engine::Probe(CallStep step, Position place, Commands* out) {
  step_ = step;
  probed_ = place;
  Command& command = Add(out, Command::Kind::kProbe);
  command.number = call_;
  command.from = place;
}

// The server will begin behind `found`, so that one must be among those received. What it sends
// that was had before is dropped, from the beginning on if need be.
void Engine::Probed(CallNumber call, std::optional<Position> found, Tick tick, Commands* out) {
  if (!OnInput(call)) {
    return;
  }
  if (step_ == CallStep::kVouching) {
    Vouched(found, tick, out);
    return;
  }
  if (step_ != CallStep::kProbing) {
    return;
  }
  if (found && found >= probed_ && found <= seen_) {
    Subscribe(probed_, out);
    return;
  }
  const std::optional<Position> event = frontier_.event();
  frontier_.StepBack();
  if (event && event < probed_) {
    Probe(CallStep::kProbing, *event, out);
    return;
  }
  Log("no event lies at " + Place(probed_) +
          ", and behind such a place this server would leave out the next one: reading the log "
          "from the beginning, what comes up to " +
          Place(seen_) + " was had before and is dropped",
      true, out);
  Subscribe(std::nullopt, out);
}

void Engine::Subscribe(std::optional<Position> from, Commands* out) {
  step_ = CallStep::kOpen;
  Command& command = Add(out, Command::Kind::kSubscribe);
  command.number = call_;
  command.from = from;
}

// The place to resume from, whose it is, and what can be done about it.
std::string Engine::DescribeResumePlace() const {
  const std::string place = Place(frontier_.reached());
  const bool began = frontier_.reached() == began_;
  if (began && began_at_ == BeganAt::kStart) {
    return place + ", the group's `start`: wanted the position of an event of this log";
  }
  const char* whose = !began                              ? "up to where it was read before"
                      : began_at_ == BeganAt::kCheckpoint ? "where the group's checkpoint stands"
                                                          : "the position that the plugin holds";
  return place + ", " + whose +
         ": this log is not the one that was read before, or has less in it; to begin anew, stop "
         "the host and move the group's folder away" +
         (position_mode_ ? ", and empty the plugin's store where that lies elsewhere" : "");
}

}  // namespace catchup
