#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/base/position.h"
#include "host/base/witness.h"
#include "host/engine/letter.h"
#include "host/engine/notice.h"

namespace catchup {

// Names of one event or announcement inside a group and process: 1, 2, 3 … in order of arrival,
// never reused. 0 names none.
using Sequence = std::uint64_t;

// In place of the sequence of an event: the letter that kCallLetter handed to the runner.
inline constexpr Sequence kLetterCall = ~Sequence{0};

// What a runner was calling when it died, where its death left nonsense in place of that.
inline constexpr Sequence kUnknownCall = kLetterCall - 1;

// Names one runner process of a group, over all its lanes: 1, 2, 3 … Inputs of a spawn that is not
// its lane's present one are ignored.
using SpawnNumber = std::uint64_t;

// Names a lane of a group: 0 … lanes - 1.
using LaneNumber = std::uint32_t;

// Names one subscription call: 1, 2, 3 … Inputs of an earlier call are ignored.
using CallNumber = std::uint64_t;

// What the engine asks of its adapters. What is asked of a runner says its lane as well.
struct Command {
  enum class Kind : std::uint8_t {
    kSpawnRunner,         // spawn: raise the token durably, then start this runner. Say
                          // SpawnExhausted where something that may come back is missing for it.
    kDrainRunner,         // spawn: deliver nothing more; let the current call end, then stop it.
    kAbortRunner,         // spawn: SIGABRT, so that it writes a report.
    kKillRunner,          // spawn: SIGKILL.
    kConnect,             // call: find out what the server is, then say ServerKnown. With
                          // `to_leader` it is to be the leader, whichever node is preferred.
    kReadEnd,             // call, from: find out where the log ends, as far as it takes to tell
                          // whether that is before `from`, then say EndKnown.
    kReadWitness,         // call, witness: read the first record at or after its place, then say
                          // WitnessRead.
    kReadWitnessStream,   // call, witness: read its stream at its revision, then say
                          // WitnessStreamRead.
    kProbe,               // call, from: read the first record at or after it, then say Probed.
    kSubscribe,           // call, from: null is the beginning of the log; else exclusive.
    kReadNext,            // call, from: while it is open, read by another way than the call the
                          // first event of the group's filter behind `from`, null being the
                          // beginning of the log; then say NextKnown, or NextUnknown.
    kCancelSubscription,  // call: whichever of the six it is at. With `silent` its server keeps
                          // back what the call should bring: another one is better.
    kMissSource,          // Say SourceAnswers as soon as the source answers somebody. Once for
                          // each time that it is asked for.
    kSourceFound,         // It is missed no more, since it answers this group.
    kDeliver,             // first..last, in order, to the lane's runner and behind what it has:
                          // events and advances. number: which call it is, from 1. With `alone`,
                          // in a call of its own; with `advance`, of an event its place alone.
    kTakeBack,            // number (spawn): nothing of what it was given and has not settled may
                          // reach the plugin any more; what is delivered from now on comes after.
    kCallLetter,          // from: to the lane's runner, which has nothing else, the event of the
                          // letter that lies there. Its outcome is that of kLetterCall.
                          // These seven, unless may_persist() says no right before; then say
                          // LettersNotBegun, and while there is no room LettersExhausted.
    kPark,                // first, letter: write the event as a letter; then say LetterDurable. In
                          // the order given; those that wait together may share a commit.
    kUpdateLetter,        // letter: write what became of it; then say LetterStored. expected:
                          // whatever may_persist() says, since its runner did not report it.
    kRemoveLetter,        // from: it is healed; then say LetterStored. No two of these two are
                          // of one letter; they may share a commit with all that waits.
    kMakeDue,  // letters, at: they are due then, and their delays begin anew. expected: since
               // the plugin is another file, and with what ends its holds; until that is
               // written no checkpoint may name that file. Letters that are gone do not matter.
    kRemoveLetters,  // from: every letter behind it, null for all, since its events come again.
    kHold,           // text (type), expected (by hand): store that the type is held.
    kEndHold,        // text (type, or empty for all), expected (by hand): not any more.
    kRelease,        // Everything up to `last` is settled; its buffers may go.
    kPersist,        // from, event: write as checkpoint, unless may_persist() says no right
                     // before; then say CheckpointDurable, or CheckpointNotBegun, or
                     // CheckpointExhausted. Never tried again without being asked to.
    kWakeAt,         // at: say Woke then, whatever was asked for before. One timer in all.
    kNotice,         // notice, text, expected: worth a line in the log. Warn unless expected.
                     // from: the position it is about, if any. Of a try that is to come:
                     // number, from 1, and delay.
    kStateChanged,   // See state() and reason().
    kFinished,       // Final state reached; no timer is wanted any more, and nothing follows but
                     // the notices of letters that are written all the same.
  };

  Kind kind{};
  Notice notice{};  // kNotice.
  bool expected = false;
  bool alone = false;
  bool advance = false;
  bool to_leader = false;
  bool silent = false;
  LaneNumber lane = 0;
  std::uint64_t number = 0;  // Spawn, call or try.
  Sequence first = 0;
  Sequence last = 0;
  // kSubscribe, kReadNext, kRemoveLetters, kNotice; else set where it is named.
  std::optional<Position> from;
  std::optional<Position> event;  // kPersist: the last event at or before it, where it is known.
  std::chrono::nanoseconds at{};  // By the clock of the inputs' `now`; may be over already.
  std::chrono::nanoseconds delay{};
  std::optional<FailureClass> failure;  // kNotice: of the call that it is about.
  std::string text;
  std::shared_ptr<const LetterName> name;                // kNotice: of the letter it is about.
  std::shared_ptr<const LetterChange> letter;            // kPark, kUpdateLetter.
  std::shared_ptr<const std::vector<Position>> letters;  // kMakeDue.
  std::shared_ptr<const Witness> witness;                // Where it is named; never null there.
};

using Commands = std::vector<Command>;

}  // namespace catchup
