#include "host/engine/source_link.h"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "host/base/time_text.h"
#include "host/engine/engine_text.h"

namespace catchup {
namespace {

// A node that has just become the leader may tell an end that it is about to pass: it took appends
// after 1 to 2 seconds. A log that was restored or made anew ends where it ends.
constexpr std::chrono::nanoseconds kEndPatience = std::chrono::seconds(3);
// A follower gets the leader's events a moment later, or, having been away, as fast as it can.
constexpr std::chrono::nanoseconds kFollowerPatience = std::chrono::seconds(60);
constexpr std::chrono::nanoseconds kEndPause = std::chrono::milliseconds(500);

// 0:0 is where a log without any record ends.
std::string EndOf(const char* verb, const char* verb_when_empty,
                  const std::optional<Position>& end) {
  return end > Position{} ? verb + (" at " + FormatPosition(*end))
                          : std::string(verb_when_empty) + " empty";
}

}  // namespace

void SourceLink::Cancel(Turn& turn) {
  connect_at_.reset();
  if (step_ != Step::kNone) {
    step_ = Step::kNone;
    turn.Add(Command::Kind::kCancelSubscription).number = call_;
  }
}

void SourceLink::Forget() {
  short_.reset();
  too_large_behind_.reset();
  trouble_.clear();
}

void SourceLink::Connect(const std::optional<Position>& reached, Turn& turn) {
  connect_at_.reset();
  live_ = false;
  head_.reset();
  lineage_.Begin({}, false);
  regressed_.clear();
  seen_ = reached;
  step_ = Step::kConnecting;
  Command& command = turn.Add(Command::Kind::kConnect);
  command.number = ++call_;
  command.to_leader = short_ && short_->ask_leader;
}

void SourceLink::Ask(Step step, Command::Kind kind, const std::optional<Position>& from,
                     Turn& turn) {
  step_ = step;
  been_open_ = been_open_ || step == Step::kOpen;
  probed_ = from;
  Command& command = turn.Add(kind);
  command.number = call_;
  command.from = from;
}

// A server takes a place beyond the end of its log, says that the call has caught up, and then
// leaves out what is appended up to there. So the place is held against the end before.
SourceLink::Found SourceLink::OnServer(const ServerTraits& traits, const Place& place, Turn& turn) {
  traits_ = traits;
  // At the beginning of the log nothing is left out, nor at 0:0, before which nothing can lie.
  if (place.reached <= Position{}) {
    return Resume(place, turn);
  }
  Ask(Step::kReadingEnd, Command::Kind::kReadEnd, place.reached, turn);
  return {};
}

SourceLink::Found SourceLink::OnEnd(const std::optional<Position>& end, const Place& place,
                                    Turn& turn) {
  if (end && !IsPlace(*end)) {
    BreakOff("the server said that its log ends where position " + NoPlace(*end), place.reached,
             turn);
    return {};
  }
  if (end < place.reached) {
    return WaitForEnd(end, place, turn);
  }
  lineage_.Begin(place.witnesses, false);
  return Prove(place, turn);
}

// Asks for whatever tells whether this is the log that was read.
SourceLink::Found SourceLink::Prove(const Place& place, Turn& turn) {
  switch (lineage_.question()) {
    case Lineage::Question::kNone:
      return Proved(place, turn);
    case Lineage::Question::kPlace:
      Ask(Step::kProving, Command::Kind::kReadWitness, lineage_.witness()->position, turn);
      break;
    case Lineage::Question::kStream:
      Ask(Step::kProving, Command::Kind::kReadWitnessStream, lineage_.witness()->position, turn);
      break;
  }
  turn.out->back().witness = lineage_.witness();
  return {};
}

SourceLink::Found SourceLink::Proved(const Place& place, Turn& turn) {
  if (!regressed_.empty()) {
    return Foreign(LineageFault::kRegressed, std::exchange(regressed_, {}));
  }
  if (!lineage_.refuted().empty()) {
    return Foreign(LineageFault::kDiverged,
                   lineage_.refuted() + "; it is to be read from " + place.words);
  }
  WarnOfSilence(turn);
  if (short_ && LastGood() > short_->end) {
    Forget();
  }
  if (!short_) {
    return Resume(place, turn);
  }
  // The log ended before the place and reaches it now. Either the end had been told too early, or
  // this is another log that has grown meanwhile, and what was appended would be left out. A record
  // that was read before and lay beyond that end tells: it lies where it lay. A place that was only
  // announced does not, for no record may ever have lain there.
  if (place.event > short_->end) {
    Ask(Step::kVouching, Command::Kind::kProbe, place.event, turn);
    return {};
  }
  turn.Tell(Notice::kLogTooShort,
            fmt::format("the log {} and reaches {} now, and no event is known that lay between: "
                        "going on, as after an end that was told too early",
                        EndOf("ended", "was", short_->end), catchup::Place(place.reached)),
            false, place.reached);
  Forget();
  return Resume(place, turn);
}

// Once for each that is the newest.
void SourceLink::WarnOfSilence(Turn& turn) {
  if (lineage_.silent() == 0 || silent_ == lineage_.witnesses().front()->position) {
    return;
  }
  silent_ = lineage_.witnesses().front()->position;
  const auto& proved = lineage_.proved();
  turn.Tell(Notice::kWitnessesGone,
            fmt::format("of {} events by which this log is known {} are not in it any more, "
                        "as after a scavenge or a delete, the newest at {}; {}",
                        lineage_.witnesses().size(), lineage_.silent(), FormatPosition(*silent_),
                        proved ? "the one at " + FormatPosition(proved->position) + " is: going on"
                               : "going on without a proof that it is the one that was read"),
            false, silent_);
}

std::optional<Position> SourceLink::LastGood() const {
  return lineage_.proved() ? std::optional(lineage_.proved()->position) : std::nullopt;
}

// The call has nothing more to do, and the group ends.
SourceLink::Found SourceLink::Foreign(LineageFault fault, std::string text) {
  step_ = Step::kNone;
  return {.failed = std::move(text), .fault = fault, .last_good = LastGood()};
}

SourceLink::Found SourceLink::OnWitness(const std::optional<FirstRecord>& first, const Place& place,
                                        Turn& turn) {
  lineage_.OnRecord(first);
  return Prove(place, turn);
}

SourceLink::Found SourceLink::OnWitnessStream(const StreamRevision& found, const Place& place,
                                              Turn& turn) {
  lineage_.OnRevision(found);
  return Prove(place, turn);
}

SourceLink::Found SourceLink::OnInvalidWitness(const std::string& text, const Place& place,
                                               Turn& turn) {
  lineage_.OnInvalidPlace(text);
  return Prove(place, turn);
}

SourceLink::Found SourceLink::OnInvalidPosition(const std::string& text, const Place& place) {
  return Foreign(LineageFault::kDiverged,
                 fmt::format("the log has no event at {} ({})", place.words, OneLine(text)));
}

// One look may have come too early. What lies beyond the end for longer is not of this log.
SourceLink::Found SourceLink::WaitForEnd(const std::optional<Position>& end, const Place& place,
                                         Turn& turn) {
  const std::string what =
      fmt::format("the log {}, before {}", EndOf("ends", "is", end), place.words);
  const auto patience = traits_.may_lag ? kFollowerPatience : kEndPatience;
  if (!short_) {
    short_ = Short{.since = turn.now, .end = end};
    turn.Tell(Notice::kLogTooShort,
              fmt::format("{}; looking again for {}", what, FormatDuration(patience)), false,
              place.reached);
  }
  short_->since = short_->since.value_or(turn.now);
  short_->end = std::min(short_->end, end);
  if (turn.now - *short_->since < patience) {
    step_ = Step::kNone;
    trouble_ = what + std::string(kNextTryIn) + FormatDuration(kEndPause);
    connect_at_ = turn.now + kEndPause;
    return {};
  }
  if (traits_.may_lag) {
    AskLeader(what, place, turn);
    return {};
  }
  return Regressed(end, what, place, turn);
}

// Who lags for so long may do so for ever, and says nothing of the log.
void SourceLink::AskLeader(const std::string& what, const Place& place, Turn& turn) {
  step_ = Step::kNone;
  short_->ask_leader = true;
  short_->since.reset();
  trouble_ = what + ", at a node that may lag behind; asking the leader";
  connect_at_ = turn.now;
  turn.Tell(Notice::kLogTooShort, trouble_, false, place.reached);
}

// The older events by which the log is known tell what it shares with the one that was read.
SourceLink::Found SourceLink::Regressed(const std::optional<Position>& end, const std::string& what,
                                        const Place& place, Turn& turn) {
  regressed_ = trouble_ = what;
  std::vector<KnownWitness> in_log;
  std::copy_if(place.witnesses.begin(), place.witnesses.end(), std::back_inserter(in_log),
               [&](const KnownWitness& one) { return one->position <= end; });
  lineage_.Begin(std::move(in_log), true);
  return Prove(place, turn);
}

SourceLink::Found SourceLink::OnProbed(const std::optional<Position>& found, const Place& place,
                                       Turn& turn) {
  return step_ == Step::kVouching ? Vouched(found, place, turn)
                                  : ResumeAtRecord(found, place, turn);
}

SourceLink::Found SourceLink::Vouched(const std::optional<Position>& found, const Place& place,
                                      Turn& turn) {
  if (found == probed_) {
    Forget();
    return Resume(place, turn);
  }
  return Foreign(
      LineageFault::kDiverged,
      fmt::format("the log {} and has grown since, but no record of what was read "
                  "before lies at {}; it is to be read from {}",
                  EndOf("ended", "was", short_->end), catchup::Place(probed_), place.words));
}

SourceLink::Found SourceLink::Resume(const Place& place, Turn& turn) {
  if (!traits_.resumes_anywhere && place.reached) {
    Ask(Step::kProbing, Command::Kind::kProbe, place.reached, turn);
  } else {
    Ask(Step::kOpen, Command::Kind::kSubscribe, place.reached, turn);
  }
  return {.placed = true, .failed = {}};
}

// The server will begin behind `found`, so that one must be among those received. What it sends
// that was had before is dropped, from the beginning on if need be.
SourceLink::Found SourceLink::ResumeAtRecord(const std::optional<Position>& found,
                                             const Place& place, Turn& turn) {
  if (found && found >= probed_ && found <= seen_) {
    Ask(Step::kOpen, Command::Kind::kSubscribe, probed_, turn);
    return {};
  }
  if (place.event && place.event < probed_) {
    Ask(Step::kProbing, Command::Kind::kProbe, place.event, turn);
  } else {
    turn.Tell(
        Notice::kReadFromBeginning,
        fmt::format("no event lies at {}, and behind such a place this server would leave out "
                    "the next one: reading the log from the beginning, what comes up to {} was "
                    "had before and is dropped",
                    catchup::Place(probed_), catchup::Place(seen_)),
        true, probed_);
    Ask(Step::kOpen, Command::Kind::kSubscribe, std::nullopt, turn);
  }
  return {.step_back = true, .failed = {}};
}

void SourceLink::OnFirstFrame(Turn& turn) {
  live_ = been_live_ = true;
  heard_ = false;
  trouble_.clear();
  pace_.OnFrame();
  if (std::exchange(misses_, false)) {
    turn.Add(Command::Kind::kSourceFound);
  }
}

void SourceLink::OnSourceAnswers(std::chrono::nanoseconds now) {
  if (connect_at_) {
    heard_ = true;
    connect_at_ = std::min(*connect_at_, std::max(now, earliest_));
  }
}

// Null orders below every position: the head of an empty log is never ahead of us. The frame that
// reaches the head may have overtaken the answer to the question for it.
bool SourceLink::OnHead(const std::optional<Position>& head) {
  if (head <= seen_) {
    return true;
  }
  head_ = head;
  return false;
}

std::string SourceLink::WhatEnded(const EndOfCall& end, bool answered,
                                  const std::optional<Position>& reached) {
  const std::string why = " (" + OneLine(end.text) + ")";
  if (end.kind == EndClass::kTooLarge) {
    // Once it may be another word for a server that is short of something.
    const bool again = too_large_behind_.has_value() && *too_large_behind_ == reached;
    too_large_behind_ = reached;
    if (again) {
      return "blocked: what comes behind " + catchup::Place(reached) + " is too large" + why +
             "; wanted it out of the log (its stream deleted and scavenged) or of the group's "
             "filter, or the group put behind it with catchup reset --to";
    }
  }
  if (IsRefusal(end.kind)) {
    return (awaits_access_ ? "credentials: refused" : "subscription refused") + why;
  }
  // Of a server that does not answer nobody can say when it does.
  return "subscription dropped" + why + (answered ? "" : "; going on when the server answers");
}

void SourceLink::OnEnded(const EndOfCall& end, const std::optional<Position>& reached, Turn& turn) {
  // Who names the leader was there, and what is named may not be.
  const bool heard = std::exchange(heard_, end.kind == EndClass::kNotLeader);
  const bool answered = end.answered || step_ != Step::kConnecting;
  step_ = Step::kNone;
  if (short_) {
    short_->since.reset();  // What an outage takes is not the log's time.
  }
  const ReconnectPace::Next next = pace_.OnEnded(end, answered, heard, turn.random);
  earliest_ = turn.now + next.earliest;
  connect_at_ = turn.now + next.delay;
  const bool dropped = !IsRefusal(end.kind);
  if (dropped) {
    misses_ = true;
    turn.Add(Command::Kind::kMissSource);
  }
  awaits_access_ = IsRefusalOfAccess(end.kind);
  trouble_ =
      WhatEnded(end, answered, reached) + std::string(kNextTryIn) + FormatDuration(next.delay);
  turn.TellTry(dropped ? Notice::kSubscriptionDropped : Notice::kSubscriptionRefused,
               trouble_ + " from " + catchup::Place(reached), dropped, pace_.tries(), next.delay);
}

bool SourceLink::OnAccessChanged(std::chrono::nanoseconds now) {
  if (!awaits_access_ || !connect_at_) {
    return false;
  }
  connect_at_ = earliest_ = now;
  pace_ = {};
  return true;
}

void SourceLink::Replace(const std::string& why, const std::optional<Position>& reached,
                         Turn& turn) {
  Command& cancel = turn.Add(Command::Kind::kCancelSubscription);
  cancel.number = call_;
  cancel.silent = true;
  OnEnded({.answered = true, .text = why}, reached, turn);
}

void SourceLink::BreakOff(const std::string& why, const std::optional<Position>& reached,
                          Turn& turn) {
  turn.Add(Command::Kind::kCancelSubscription).number = call_;
  OnEnded({.kind = EndClass::kBadRequest, .answered = true, .text = why}, reached, turn);
}

}  // namespace catchup
