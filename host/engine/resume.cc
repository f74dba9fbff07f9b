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
  Turn turn(tick, out);
  traits_ = traits;
  // At the beginning of the log nothing is left out, nor at 0:0, before which nothing can lie.
  if (frontier_.reached() <= Position{}) {
    Resume(turn);
  } else {
    step_ = CallStep::kReadingEnd;
    Command& command = turn.Add(Command::Kind::kReadEnd);
    command.number = call_;
    command.from = frontier_.reached();
  }
  Plan(turn);
}

void Engine::EndKnown(CallNumber call, std::optional<Position> end, Tick tick, Commands* out) {
  if (!OnInput(call) || step_ != CallStep::kReadingEnd) {
    return;
  }
  Turn turn(tick, out);
  if (end && !IsPlace(*end)) {
    BreakOff("the server said that its log ends where position " + NoPlace(*end), turn);
  } else if (end < frontier_.reached()) {
    WaitForEnd(end, turn);
  } else if (short_) {
    Vouch(turn);
  } else {
    Resume(turn);
  }
  Plan(turn);
}

// One look may have come too early. What lies beyond the end for longer is not of this log.
void Engine::WaitForEnd(std::optional<Position> end, Turn& turn) {
  step_ = CallStep::kNone;
  const std::string what =
      "the log " + EndOf("ends", "is", end) + ", before " + DescribeResumePlace();
  if (!short_) {
    short_ = Short{.since = turn.now, .end = end};
    turn.Log(what + "; looking again for " + FormatDuration(kEndPatience), false);
  }
  if (turn.now - short_->since >= kEndPatience) {
    End(GroupState::kFailed, what, Lane::Force::kDrain, options_.drain_timeout);
    return;
  }
  source_trouble_ = what + std::string(kNextTryIn) + FormatDuration(kEndPause);
  connect_at_ = turn.now + kEndPause;
}

// The log ended before the place and reaches it now. Either the end had been told too early, or
// this is another log that has grown meanwhile, and what was appended would be left out. A record
// that was read before and lay beyond that end tells: it lies where it lay.
void Engine::Vouch(Turn& turn) {
  const std::optional<Position>& event = frontier_.event();
  Probe(CallStep::kVouching, event > short_->end ? *event : *frontier_.reached(), turn);
}

void Engine::Vouched(std::optional<Position> found, Turn& turn) {
  if (found == probed_) {
    short_.reset();
    source_trouble_.clear();
    Resume(turn);
    return;
  }
  step_ = CallStep::kNone;
  End(GroupState::kFailed,
      "the log " + EndOf("ended", "was", short_->end) +
          " and has grown since, but no record of what was read before lies at " + Place(probed_) +
          "; it is to be read from " + DescribeResumePlace(),
      Lane::Force::kDrain, options_.drain_timeout);
}

void Engine::Resume(Turn& turn) {
  placed_ = true;
  const std::optional<Position>& reached = frontier_.reached();
  if (!traits_.resumes_anywhere && reached) {
    Probe(CallStep::kProbing, *reached, turn);
  } else {
    Subscribe(reached, turn);
  }
}

void Engine::Probe(CallStep step, Position place, Turn& turn) {
  step_ = step;
  probed_ = place;
  Command& command = turn.Add(Command::Kind::kProbe);
  command.number = call_;
  command.from = place;
}

void Engine::Probed(CallNumber call, std::optional<Position> found, Tick tick, Commands* out) {
  if (!OnInput(call) || (step_ != CallStep::kVouching && step_ != CallStep::kProbing)) {
    return;
  }
  Turn turn(tick, out);
  if (step_ == CallStep::kVouching) {
    Vouched(found, turn);
  } else {
    ResumeAtRecord(found, turn);
  }
  Plan(turn);
}

// The server will begin behind `found`, so that one must be among those received. What it sends
// that was had before is dropped, from the beginning on if need be.
void Engine::ResumeAtRecord(std::optional<Position> found, Turn& turn) {
  if (found && found >= probed_ && found <= seen_) {
    Subscribe(probed_, turn);
    return;
  }
  const std::optional<Position> event = frontier_.event();
  frontier_.StepBack();
  if (event && event < probed_) {
    Probe(CallStep::kProbing, *event, turn);
    return;
  }
  turn.Log("no event lies at " + Place(probed_) +
               ", and behind such a place this server would leave out the next one: reading the "
               "log from the beginning, what comes up to " +
               Place(seen_) + " was had before and is dropped",
           true);
  Subscribe(std::nullopt, turn);
}

void Engine::Subscribe(std::optional<Position> from, Turn& turn) {
  step_ = CallStep::kOpen;
  Command& command = turn.Add(Command::Kind::kSubscribe);
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
