#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/base/end_of_call.h"
#include "host/base/position.h"
#include "host/base/witness.h"
#include "host/engine/input.h"
#include "host/engine/lineage.h"
#include "host/engine/reconnect_pace.h"
#include "host/engine/turn.h"

namespace catchup {

// One subscription call of a group after the other: when the next one is opened, how it finds the
// place to resume from, how far it has got and why it waits.
//
//   (back-off) ─► connecting ─► reading the end ─► proving ─► vouching ─► probing ─► open
//       ▲         kConnect      kReadEnd           kReadWitness  kProbe     kProbe     kSubscribe
//       │                                          kReadWitnessStream
//       └───────────── whichever of them it was at, when the call ends ────────────────┘
//
// What is not needed is left out: the end of the log where the group begins at its beginning;
// proving where nothing was handled; vouching unless the log ended before the place, has grown
// since, and an event was read behind that end that no witness stands for; probing unless the
// server is older than 24.2. What the group has received is not the link's business, so it is told
// with each step, and which announcements are true is not either.
//
// A node that may lag behind its leader gets a minute to show that its log reaches the place. Then
// calls are opened at the leader until it has said where the log ends, and only that halts a group.
//
// A log that is found to be another one is asked for older witnesses before the group ends, so that
// what both logs share can be named.
class SourceLink {
 public:
  // The place to go on behind.
  struct Place {
    std::optional<Position> reached;  // Null: the beginning of the log.
    std::optional<Position> event;    // The last place up to it where an event is known to lie.
    std::string words;                // For people: the place, whose it is, what can be done.
    std::vector<KnownWitness> witnesses{};  // Up to it, newest first.
  };

  // What a step of the opening tells beyond the call itself.
  struct Found {
    bool placed = false;                  // The place lies in this log.
    bool step_back = false;               // Only what was received as events counts as received.
    std::string failed;                   // Why the group cannot go on; empty when it can.
    LineageFault fault{};                 // Where it cannot: what is wrong with the log,
    std::optional<Position> last_good{};  // and the newest witness that is in it all the same.
  };

  // --- What is asked of it. ---

  // The next call is to be opened at `when`, or as soon after it as the pace allows. Not while
  // there is one.
  void ConnectAt(std::chrono::nanoseconds when) { connect_at_ = std::max(when, earliest_); }

  // Ends the call, whatever it is at, and asks for no other.
  void Cancel(Turn& turn);

  // The group goes on somewhere else: what was wrong about the place before does not count.
  void Forget();

  // Opens a call. Everything up to `reached` was had before it.
  void Connect(const std::optional<Position>& reached, Turn& turn);

  // --- What is heard of it. ---

  // Whether `call` is the one that there is: what any other says is late.
  bool Is(CallNumber call) const { return step_ != Step::kNone && call == call_; }
  bool connecting() const { return step_ == Step::kConnecting; }
  bool reading_end() const { return step_ == Step::kReadingEnd; }
  bool proving() const { return step_ == Step::kProving; }
  // Of these: whether the question is what lies at a witness's place.
  bool reading_witness() const {
    return proving() && lineage_.question() == Lineage::Question::kPlace;
  }
  bool probing() const { return step_ == Step::kProbing || step_ == Step::kVouching; }
  bool open() const { return step_ == Step::kOpen; }

  // Each while the call is at the step that asked for it.
  Found OnServer(const ServerTraits& traits, const Place& place, Turn& turn);
  Found OnEnd(const std::optional<Position>& end, const Place& place, Turn& turn);
  Found OnWitness(const std::optional<FirstRecord>& first, const Place& place, Turn& turn);
  Found OnWitnessStream(const StreamRevision& found, const Place& place, Turn& turn);
  Found OnInvalidWitness(const std::string& text, const Place& place, Turn& turn);
  Found OnProbed(const std::optional<Position>& found, const Place& place, Turn& turn);

  // A frame has come. The first one of a call shows that the source is there.
  void OnFrame(Turn& turn) {
    if (!live_) [[unlikely]] {
      OnFirstFrame(turn);
    }
  }

  // The source answers somebody: the next call is opened as soon as the pace allows.
  void OnSourceAnswers(std::chrono::nanoseconds now);

  // The server has got as far as `position`. True: that is where the head was, so the call is live.
  bool OnPosition(Position position) {
    if (!seen_ || position > *seen_) {
      seen_ = position;
    }
    return head_ && position >= *head_;
  }

  // Where the head is, null for an empty log. True: the call has got there already.
  bool OnHead(const std::optional<Position>& head);

  // The call is over, dropped or refused; the next one comes after a back-off (ReconnectPace). Of
  // one that is dropped the source is missed from here to the next frame.
  void OnEnded(const EndOfCall& end, const std::optional<Position>& reached, Turn& turn);
  // Whoever we are for the server, or may do there, is another now: what was refused for that is
  // worth another try, which is due now. False: nothing was.
  bool OnAccessChanged(std::chrono::nanoseconds now);
  // The call is over, and with it the group: the place is none in this log.
  Found OnInvalidPosition(const std::string& text, const Place& place);
  // The call is not well, though nobody says so: cancels it, which counts as dropped.
  void Replace(const std::string& why, const std::optional<Position>& reached, Turn& turn);
  // The server says what cannot be: cancels the call, which counts as refused.
  void BreakOff(const std::string& why, const std::optional<Position>& reached, Turn& turn);

  // --- Questions. ---

  const ServerTraits& traits() const { return traits_; }  // Of the present call.
  bool live() const { return live_; }                     // A frame has come on the present call.
  bool been_live() const { return been_live_; }           // On some call.
  bool knows_head() const { return head_.has_value(); }   // Of the present call.
  // Whether the log is the one that the group has read, as far as anybody has said: events were
  // asked for once, and neither is a call at its questions nor does the log end too early. While
  // the source is away that holds on.
  bool knows_log() const {
    return been_open_ && !short_ &&
           (step_ == Step::kNone || step_ == Step::kConnecting || step_ == Step::kOpen);
  }
  bool has_call() const { return step_ != Step::kNone; }
  CallNumber call() const { return call_; }  // The last one.
  // How far the server says the present call has got; what was had before counts.
  const std::optional<Position>& told() const { return seen_; }
  // Why the group waits for the source; empty when it does not.
  const std::string& trouble() const { return trouble_; }
  const std::optional<std::chrono::nanoseconds>& connect_at() const { return connect_at_; }

 private:
  enum class Step : std::uint8_t {
    kNone,
    kConnecting,
    kReadingEnd,
    kProving,
    kVouching,
    kProbing,
    kOpen
  };

  // The log ended before the place: when that was seen first since a call was dropped, the least of
  // the ends seen, and whether the leader is to say so before it counts.
  struct Short {
    std::optional<std::chrono::nanoseconds> since;
    std::optional<Position> end;
    bool ask_leader = false;
  };

  void OnFirstFrame(Turn& turn);
  Found WaitForEnd(const std::optional<Position>& end, const Place& place, Turn& turn);
  void AskLeader(const std::string& what, const Place& place, Turn& turn);
  Found Regressed(const std::optional<Position>& end, const std::string& what, const Place& place,
                  Turn& turn);
  Found Prove(const Place& place, Turn& turn);
  Found Proved(const Place& place, Turn& turn);
  void WarnOfSilence(Turn& turn);
  Found Foreign(LineageFault fault, std::string text);
  std::optional<Position> LastGood() const;
  Found Vouched(const std::optional<Position>& found, const Place& place, Turn& turn);
  Found Resume(const Place& place, Turn& turn);
  Found ResumeAtRecord(const std::optional<Position>& found, const Place& place, Turn& turn);
  void Ask(Step step, Command::Kind kind, const std::optional<Position>& from, Turn& turn);
  std::string WhatEnded(const EndOfCall& end, bool answered,
                        const std::optional<Position>& reached);

  CallNumber call_ = 0;
  Step step_ = Step::kNone;
  std::optional<std::chrono::nanoseconds> connect_at_;
  ServerTraits traits_;
  std::optional<Position> probed_;  // While vouching and probing.
  std::optional<Short> short_;      // Until the log has been seen to reach the place.
  Lineage lineage_;                 // Of the present call.
  std::string regressed_;           // While proving: the log ends too early, in these words.
  std::optional<Position> silent_;  // The newest witness of which nothing was known: told of.
  std::optional<Position> seen_;    // See told().
  std::optional<Position> head_;    // Of the present call.
  bool live_ = false;               // A frame has come on the present call.
  bool been_live_ = false;
  bool been_open_ = false;
  std::string trouble_;
  bool awaits_access_ = false;  // The last call was refused for who we are.
  // The last call that a message was too large for had got so far.
  std::optional<std::optional<Position>> too_large_behind_;
  ReconnectPace pace_;
  std::chrono::nanoseconds earliest_{};  // No call before, whatever is heard of the source.
  bool heard_ = false;   // The source has answered, the last call or somebody since it ended.
  bool misses_ = false;  // Has said so, and no frame has come since.
};

}  // namespace catchup
