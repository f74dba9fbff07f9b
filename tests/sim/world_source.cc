#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "tests/sim/world.h"

// The subscription of the simulated host, and what can go wrong with it.

namespace catchup::sim {
namespace {

// Far more than any announcement is too high by.
constexpr std::uint64_t kBeyond = 1'000'000;

// A call that owes an event and stays silent is replaced by then: it is looked into after 30 s, and
// again after as much where the look has failed, each time once the head is told, which takes up to
// 10 s; then it has 10 s.
constexpr std::chrono::nanoseconds kSilenceAtMost = std::chrono::seconds(100);

}  // namespace

void World::Connect(CallNumber call, bool to_leader) {
  if (call_open_) {
    Wrong("connected twice");
  }
  if (scheduler_.now() < no_call_before_) {
    Wrong("connects before the server may be asked again");
  }
  call_ = call;
  call_open_ = true;
  subscribed_ = false;
  frame_asked_ = false;
  end_told_ = reads_witness_ = false;
  silent_ = look_failed_ = false;
  owes_since_.reset();
  // A cluster in the middle of an upgrade, or taken back to what it was before.
  server_.old = old_servers_ && random_.Chance(50);
  if (to_leader) {
    faults_.Fired(Fault::kLeaderAsked);
  }
  follower_ = followers_ && !to_leader;
  AnswerCall(call, [this, call] {
    const ServerTraits traits{.resumes_anywhere = !server_.old,
                              .says_caught_up = server_.sends_caught_up,
                              .may_lag = follower_};
    Input(Cause::kSource, [&](Commands* out) { engine_->ServerKnown(call, traits, Now(), out); });
  });
}

// The server answers after a while, with `what` where nothing goes wrong and the call is open
// still.
void World::AnswerCall(CallNumber call, std::function<void()> what) {
  After(Between(0, 300), [this, call, what = std::move(what)] {
    if (!call_open_ || call != call_) {
      return;
    }
    if (Trouble(15)) {
      SubscriptionFault();
      return;
    }
    what();
  });
}

void World::ReadEnd(CallNumber call, Position from) {
  if (!call_open_ || call != call_ || subscribed_ || end_told_) {
    Wrong("asked for the end of the log at the wrong time");
  }
  AnswerCall(call, [this, call, from] {
    end_ = EndOfLog(from);
    end_told_ = true;
    asked_about_ = from;
    if (end_ < from) {
      call_open_ = false;  // Nothing may come of it but questions for what both logs share.
    }
    Input(Cause::kSource, [&](Commands* out) { engine_->EndKnown(call, end_, Now(), out); });
  });
}

// Whether the node of the call has not got as far as the leader. One that has begun to lag does so
// for up to minutes.
bool World::Lags() {
  if (!follower_) {
    return false;
  }
  if (lags_until_ <= scheduler_.now() && Trouble(300)) {
    lags_until_ = scheduler_.now() + Between(0, 200'000'000);
  }
  return lags_until_ > scheduler_.now();
}

// What the node says about the end of the log to a group that would resume from `from`.
std::optional<Position> World::EndOfLog(Position from) {
  if (!IsForeign(from) && !restored_log_ && random_.Chance(2)) {
    faults_.Fired(Fault::kLogRestored);
    restored_log_ = true;
    server_.RestoreBefore(from);
  }
  if (!restored_log_ && !log_grew_ && random_.Chance(2) && RegrowLog(from)) {
    faults_.Fired(Fault::kLogRegrown);
    restored_log_ = log_grew_ = true;
  }
  const bool other_log = IsForeign(from) || restored_log_;
  // Nobody could tell before the first look, nor where no event was read behind the end, nor where
  // the plugin says that it stands somewhere else meanwhile.
  const bool known = known_event_ <= from && known_event_ > server_.head();
  if (restored_log_ && known && told_short_ && !log_grew_ && !misplaced_ && runner_ &&
      runner_->ready && random_.Chance(40)) {
    faults_.Fired(Fault::kForeignLogGrows);
    log_grew_ = vouches_ = true;
    server_.GrowForeign(from);
  }
  const std::optional<Position> head = server_.head();
  if (other_log) {
    told_short_ = told_short_ || head < from;
    return head;
  }
  if (head >= from && Lags()) {
    faults_.Fired(Fault::kFollowerLags);
    vouches_ = true;
    return server_.Before(from);
  }
  if (head >= from && Trouble(40)) {
    faults_.Fired(Fault::kEndToldTooEarly);
    vouches_ = true;
    return server_.Before(from);
  }
  if (head < from) {
    faults_.Fired(Fault::kHiddenEnd);
  }
  return std::max(head, std::optional(from));
}

// An older copy of the log has taken its place, with other events behind it than those that were
// read. Nobody could tell where no event that is known was one of these, nor where the plugin says
// that it stands before it.
bool World::RegrowLog(Position from) {
  const auto newest =
      std::find_if(known_witnesses_.begin(), known_witnesses_.end(),
                   [&](const Witness& witness) { return witness.position <= from; });
  if (newest == known_witnesses_.end() || told_short_ || misplaced_ || IsForeign(from) ||
      (history_.position_mode && plugin_.position() < newest->position)) {
    return false;
  }
  server_.RestoreBefore(newest->position);
  server_.Regrow(from);
  return true;
}

// What may be asked about a witness: it is an event of the log, and lies where the group has been.
void World::ExpectWitness(CallNumber call, const Witness& witness) {
  if (call == call_ && end_told_ && end_ < asked_about_) {
    call_open_ = true;
  }
  if (!call_open_ || call != call_ || subscribed_ || !end_told_) {
    Wrong("asked for a witness at the wrong time");
  }
  const std::size_t event = EventAt(witness.position);
  const bool known = event < history_.log.size() && witness.event_id == SimServer::IdOf(event) &&
                     witness.position == history_.log[event].position &&
                     witness.stream == NameOf(event).stream &&
                     witness.revision == history_.log[event].revision;
  if (!known || witness.position > asked_about_) {
    Wrong("asked for a witness that is no event up to where the group has been");
  }
}

void World::ReadWitness(CallNumber call, const KnownWitness& witness) {
  ExpectWitness(call, *witness);
  if (random_.Chance(5)) {
    server_.Scavenge(witness->position);
  }
  reads_witness_ = true;
  AnswerCall(call, [this, call, witness] {
    reads_witness_ = false;
    const std::optional<FirstRecord> first = server_.FirstShown(witness->position);
    Input(Cause::kSource, [&](Commands* out) { engine_->WitnessRead(call, first, Now(), out); });
  });
}

void World::ReadWitnessStream(CallNumber call, const KnownWitness& witness) {
  ExpectWitness(call, *witness);
  AnswerCall(call, [this, call, witness] {
    const LogEvent& event = history_.log[EventAt(witness->position)];
    const bool moved = random_.Chance(30);  // Shown by its stream alone.
    StreamRevision found = server_.Revision(event.stream, event.revision);
    if (found.kind == StreamRevision::Kind::kGone && moved) {
      faults_.Fired(Fault::kWitnessElsewhere);
      found = {StreamRevision::Kind::kEvent, witness->event_id};
    } else if (found.kind == StreamRevision::Kind::kGone) {
      faults_.Fired(Fault::kWitnessScavenged);
    }
    Input(Cause::kSource,
          [&](Commands* out) { engine_->WitnessStreamRead(call, found, Now(), out); });
  });
}

// A group that does not go on because of its log: the log is another one, or is said to be. What it
// names as good is in both.
void World::CheckHalt() {
  const auto& halt = engine_->foreign_log();
  if (!halt) {
    return;
  }
  if (!foreign_ && !restored_log_ && !invalid_told_ && !misplaced_) {
    Wrong("halted on the log that it had read");
  }
  if (halt->fault == LineageFault::kRegressed && follower_) {
    Wrong("halted for the end that a node told that may lag");
  }
  if (halt->last_good && server_.head() < *halt->last_good) {
    Wrong("names an event as good that the log does not have");
  }
  if (halt->last_good && EventAt(*halt->last_good) >= server_.visible()) {
    Wrong("names an event as good that is of another log");
  }
}

// A server takes a place beyond the end of its log, and leaves out what is appended up to there.
// What the engine resumes from, or drops up to, is the place that it asked about.
void World::NoteResume(std::optional<Position> from) {
  if (from > Position{} && !end_told_) {
    Wrong("resumes from " + FormatPosition(*from) + " without a look at the end of the log");
  } else if (end_told_ && (end_ < asked_about_ || from > asked_about_)) {
    Wrong("resumes from beyond the end of the log, or from beyond what it asked about, " +
          FormatPosition(asked_about_));
  }
}

void World::Probe(CallNumber call, Position from) {
  if (!call_open_ || call != call_ || subscribed_ || (!server_.old && !vouches_)) {
    Wrong("asked what lies at a place at the wrong time");
  }
  NoteResume(from);
  faults_.Fired(Fault::kOldServer);
  AnswerCall(call, [this, call, from] {
    const std::optional<Position> found = server_.First(from);
    if (found != from) {
      faults_.Fired(Fault::kNoRecordAtPlace);
    }
    Input(Cause::kSource, [&](Commands* out) { engine_->Probed(call, found, Now(), out); });
  });
}

void World::Subscribe(CallNumber call, std::optional<Position> from) {
  if (!call_open_ || call != call_ || subscribed_) {
    Wrong("subscribed twice, or without a connection");
  }
  NoteResume(from);
  if (log_grew_) {
    Wrong("resumes in another log, which has grown past the place");
  }
  const auto is_here = [this](const std::optional<Position>& place) {
    return place <= server_.head();
  };
  put_back_ = put_back_ ||
              (restored_log_ && plugin_moved_ && is_here(from) && is_here(engine_->watermark()));
  subscribed_ = place_opened_ = true;
  server_.Open(from);
  Note({.kind = Record::Kind::kCall});
  if (server_.old && !from && engine_->watermark()) {
    faults_.Fired(Fault::kReadFromBeginning);
  }
  if (!server_.sends_caught_up || random_.Chance(30)) {
    const Duration delay = random_.Chance(20) ? Between(0, 20'000) : Between(0, 300);
    After(delay, [this, call] {
      if (call_open_ && call == call_ && !server_.sends_caught_up) {
        Note({.kind = Record::Kind::kLive, .event = server_.visible()});
      }
      Input(Cause::kSource,
            [&](Commands* out) { engine_->Head(call, server_.head(), Now(), out); });
    });
  }
  // The first frame is asked for together with the call, whether there is room by then or not. It
  // may take longer than a checkpoint without room is waited for.
  frame_asked_ = true;
  After(random_.Chance(2) ? Between(0, 3'000'000) : Between(0, 800),
        [this, call] { PumpFrame(call); });
}

// Asks for one more frame when the engine wants it and none is on its way.
void World::Pump() {
  if (!alive_ || !subscribed_ || frame_asked_) {
    return;
  }
  if (!engine_->wants_frames()) {
    if (!EventsInFlight() && !persist_open_ && !no_room_at_) {
      Wrong("wants no frames, though nothing is in flight and nothing is being written");
    }
    if (Trouble(3)) {
      After(Between(0, 500), [this, call = call_] {
        if (subscribed_ && call == call_ && !frame_asked_) {
          faults_.Fired(Fault::kDropWhilePaused);
          SubscriptionFault();
        }
      });
    }
    return;
  }
  frame_asked_ = true;
  const Duration delay = random_.Chance(5) ? Between(0, 20'000) : Between(0, 800);
  After(delay, [this, call = call_] { PumpFrame(call); });
}

void World::PumpFrame(CallNumber call) {
  if (!subscribed_ || call != call_) {
    return;
  }
  if (Trouble(server_.lie_is_open() ? 150 : 15)) {
    SubscriptionFault();
    return;
  }
  if (!engine_->wants_frames()) {
    Wrong("a frame without room: the first one of a call is asked for together with it");
  }
  if (Trouble(4)) {
    SendNonsense();
    if (!subscribed_ || call != call_) {
      return;
    }
  }
  if (mutes_ && !server_.old && random_.Chance(20)) {
    FallSilent();
    return;
  }
  const std::optional<Frame> frame = server_.Next();
  if (const auto hidden = server_.TakeHidden()) {
    truthful_ = false;
    Note({.kind = Record::Kind::kLie, .event = hidden->event, .position = hidden->position});
  }
  frame_asked_ = false;
  if (frame) {
    quiet_polls_ = 0;
    Receive(*frame);
  } else if (Trouble(20)) {
    SubscriptionFault();  // So that a quiet call can end too.
  } else if (!last_) {
    frame_asked_ = true;
    if (server_.visible() == history_.log.size()) {
      quiet_polls_ = std::min(quiet_polls_ + 1, 9u);  // Nothing more will come.
    }
    After(Between(1'000, 5'000) * (1u << quiet_polls_), [this, call] { PumpFrame(call); });
  }
}

// Whoever asks for a frame on this call waits for ever.
void World::FallSilent() {
  faults_.Fired(Fault::kSilentCall);
  mutes_ = false;
  silent_ = true;
  TellHead(call_);
}

// Somebody reads the head of the log now and then.
void World::TellHead(CallNumber call) {
  After(Between(5'000'000, 10'000'000), [this, call] {
    if (!subscribed_ || call != call_) {
      return;
    }
    if (!server_.Owes() || !engine_->wants_frames()) {
      owes_since_.reset();
    } else if (!owes_since_) {
      owes_since_ = scheduler_.now();
    } else if (scheduler_.now() - *owes_since_ > kSilenceAtMost) {
      Wrong("goes on with a silent call that owes an event");
    }
    Input(Cause::kSource, [&](Commands* out) { engine_->HeadSeen(server_.head(), Now(), out); });
    TellHead(call);
  });
}

void World::ReadNext(CallNumber call, std::optional<Position> behind) {
  if (!subscribed_ || call != call_) {
    Wrong("looked into a call that is not open");
  }
  After(Between(0, 300'000), [this, call, behind] {
    if (!look_failed_ && Trouble(300)) {
      faults_.Fired(Fault::kLookFailed);
      look_failed_ = true;
      Input(Cause::kSource,
            [&](Commands* out) { engine_->NextUnknown(call, "read\nfailed", Now(), out); });
      return;
    }
    Input(Cause::kSource,
          [&](Commands* out) { engine_->NextKnown(call, server_.NextMatch(behind), Now(), out); });
  });
}

void World::CancelSubscription(CallNumber call, bool /*silent*/) {
  if (!call_open_ || call != call_) {
    Wrong("cancelled a call that is not open");
  }
  call_open_ = subscribed_ = false;
}

void World::NoteReplaced() {
  faults_.Fired(Fault::kSilentCallReplaced);
  if (!silent_ || !server_.Owes()) {
    Wrong("replaced a call that is not silent, or owes nothing");
  }
}

// A position that no log can hold, announced or of an event.
void World::SendNonsense() {
  faults_.Fired(Fault::kImpossiblePlace);
  const Position nowhere = Nowhere();
  const bool event = random_.Chance(30);
  Input(Cause::kSource, [&](Commands* out) {
    if (!event) {
      engine_->CheckpointFrame(call_, nowhere, Now(), out);
    } else if (engine_->Event(call_, nowhere, 1, false, {}, Now(), out) != 0) {
      Wrong("took an event that lies nowhere");
    }
  });
}

Position World::Nowhere() {
  switch (random_.Between(0, 2)) {
    case 0:
      return {random_.Between(0, 1000), 1001};
    case 1:
      return {(1ull << 63) + random_.Between(0, 5), 0};
    default:
      return {kEndOfLog.commit, random_.Between(0, 5)};
  }
}

// A place that another log may have, beyond all that this one ever holds or is said to hold.
Position World::Foreign() {
  const std::uint64_t commit =
      history_.log.back().position.commit + kBeyond + random_.Between(0, 9);
  return {commit, random_.Chance(30) ? 0 : commit};
}

bool World::IsForeign(Position position) const {
  return position.commit >= history_.log.back().position.commit + kBeyond;
}

void World::SubscriptionFault() {
  const EndOfCall end = SomeEnd();
  const CallNumber call = call_;
  // Of a witness's place that is an answer, and further questions may come.
  const bool goes_on = end.kind == EndClass::kInvalidPosition && reads_witness_;
  if (goes_on) {
    faults_.Fired(Fault::kWitnessCalledInvalid);
  }
  reads_witness_ = false;
  call_open_ = goes_on;
  subscribed_ = false;
  if (!goes_on && random_.Chance(30)) {
    // What was on its way when the call ended comes after its end.
    After(Between(0, 400'000), [this, call] {
      faults_.Fired(Fault::kStaleFrame);
      const Frame frame = server_.Stale();
      Input(Cause::kSource, [&](Commands* out) {
        if (frame.kind == Frame::Kind::kEvent) {
          const LogEvent& event = history_.log[frame.event];
          if (engine_->Event(call, event.position, event.bytes, history_.Skips(event), {}, Now(),
                             out) != 0) {
            Wrong("took an event of an earlier call");
          }
        } else {
          engine_->CheckpointFrame(call, *frame.position, Now(), out);
        }
      });
    });
  }
  Input(Cause::kSource, [&](Commands* out) { engine_->SubscriptionEnded(call, end, Now(), out); });
}

// What a call can end with, and how long the server is to be left alone then.
EndOfCall World::SomeEnd() {
  constexpr std::array kRefusals = {EndClass::kCredentials, EndClass::kRights,
                                    EndClass::kUnsupported, EndClass::kBadRequest,
                                    EndClass::kTooLarge};
  constexpr std::array kDrops = {EndClass::kDropped, EndClass::kNotReady, EndClass::kNotLeader};
  EndOfCall end{.answered = true, .text = "connection\nreset"};
  if (random_.Chance(10)) {
    faults_.Fired(Fault::kRefuse);
    end.kind = kRefusals[random_.Between(0, kRefusals.size() - 1)];
    no_call_before_ = scheduler_.now() + std::chrono::seconds(10);
  } else if (random_.Chance(2)) {
    faults_.Fired(Fault::kInvalidPosition);
    invalid_told_ = true;
    end.kind = EndClass::kInvalidPosition;
  } else {
    faults_.Fired(Fault::kDrop);
    end.kind = kDrops[random_.Between(0, kDrops.size() - 1)];
    end.answered = end.kind != EndClass::kDropped || random_.Chance(50);
    no_call_before_ = {};
  }
  if (end.answered && random_.Chance(5)) {
    faults_.Fired(Fault::kQuietAsked);
    end.retry_after = Between(0, 20'000'000);
    no_call_before_ = std::max(no_call_before_, scheduler_.now() + *end.retry_after);
  }
  return end;
}

// Whoever looks for the source finds it sooner or later, unless the group does first.
void World::MissSource() {
  if (call_open_) {
    Wrong("misses the source while it has a call");
  }
  misses_source_ = true;
  After(Between(0, 3'000'000), [this] {
    if (std::exchange(misses_source_, false)) {
      faults_.Fired(Fault::kSourceBack);
      Input(Cause::kSource, [&](Commands* out) { engine_->SourceAnswers(Now(), out); });
    }
  });
}

void World::SourceFound() {
  if (!subscribed_) {
    Wrong("found the source without a subscription");
  }
  misses_source_ = false;
}

void World::NoteAnnouncement(Position position) {
  if (truthful_ && !server_.lying && !server_.old && IsPlace(position)) {
    Note({.kind = Record::Kind::kAnnounce, .position = position});
  }
}

void World::Receive(const Frame& frame) {
  switch (frame.kind) {
    case Frame::Kind::kEvent: {
      const LogEvent& event = history_.log[frame.event];
      const std::uint64_t skipped = engine_->counts().skipped;
      Input(Cause::kSource, [&](Commands* out) {
        const Sequence sequence =
            engine_->Event(call_, event.position, event.bytes, history_.Skips(event),
                           NameOf(frame.event), Now(), out);
        if (sequence != 0) {
          dispatch_->window().Add(
              sequence, std::make_unique<SimFrame>(frame.event, event, NameOf(frame.event)));
          known_event_ = std::max(known_event_, std::optional(event.position));
        } else if (engine_->counts().skipped > skipped) {
          known_event_ = std::max(known_event_, std::optional(event.position));
          Note({.kind = Record::Kind::kSkip, .event = frame.event});
        }
      });
      break;
    }
    case Frame::Kind::kCheckpoint:
      NoteAnnouncement(*frame.position);
      Input(Cause::kSource,
            [&](Commands* out) { engine_->CheckpointFrame(call_, *frame.position, Now(), out); });
      break;
    case Frame::Kind::kCaughtUp:
      if (frame.position) {
        NoteAnnouncement(*frame.position);
      }
      Note({.kind = Record::Kind::kLive, .event = server_.visible()});
      if (Trouble(200)) {
        AskForAnotherRunner();
      }
      Input(Cause::kSource,
            [&](Commands* out) { engine_->CaughtUp(call_, frame.position, Now(), out); });
      break;
  }
}

}  // namespace catchup::sim
