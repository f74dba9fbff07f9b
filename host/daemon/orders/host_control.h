#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/position.h"
#include "host/base/status.h"
#include "host/engine/group_state.h"
#include "host/store/letter.h"
#include "host/store/letter_reader.h"
#include "host/store/state_directory.h"

namespace catchup {

// What an operator may ask of a group that is not to be undone by a restart.

struct StartOrder {
  bool accept_filter = false;  // Go on from the checkpoint though prefixes or match have changed.
  bool take_over = false;      // Raise the fencing token above the one that refused ours.
};

// Where a reset goes to.
struct ResetTarget {
  enum class Kind : std::uint8_t { kBeginning, kLastGood, kPosition };
  Kind kind = Kind::kBeginning;
  Position position;  // kPosition.
};

// Reads "beginning", "last-good" or "commit:prepare". kInvalid: anything else.
Result<ResetTarget> ParseResetTarget(std::string_view text);
// The place of one that names it, so not of kLastGood.
PositionReset PlaceOf(const ResetTarget& target);

// What an operator may decide about the letters of a group, and about events that are to be some.
struct LetterCommand {
  enum class Kind : std::uint8_t { kRetry, kDrop, kParkEvent, kParkType, kUnparkType };
  Kind kind = Kind::kRetry;
  Position position;        // kRetry, kDrop: of the letter. kParkEvent: of the event.
  std::string type;         // kParkType, kUnparkType.
  std::string reason;       // kDrop, kParkEvent, kParkType.
  std::uint64_t after = 0;  // kRetry: the number of an answer kWaiting, to go on waiting; or 0.
};

// As users type them: "retry", "park".
const char* LetterCommandName(LetterCommand::Kind kind);

// What became of a retry of one letter.
struct LetterOutcome {
  enum class Kind : std::uint8_t {
    kWaiting,  // It is asked for, and not called yet or not done: ask again with `number`.
    kHealed,   // The call succeeded and the letter is gone.
    kFailed,   // The call failed; the letter is now as the rest says.
    kDropped,  // Meanwhile somebody dropped it.
    // With an answer kRefused, which speaks of this letter alone: another may be called.
    kRefused,  // It cannot be called now, as `text` says.
    kGone,     // It is no letter, any more or yet.
  };
  Kind kind = Kind::kWaiting;
  std::uint64_t number = 0;
  Position position;
  StoredState state = StoredState::kHealing;
  StoredClass failed = StoredClass::kNone;  // Why the call failed.
  std::string text;
};

// What became of a command.
struct ControlAnswer {
  enum class Kind : std::uint8_t {
    kDone,
    kNoSuchGroup,
    kRefused,   // Not in this state, or not so.
    kFailed,    // It cannot be done now: a disk, a machine.
    kTimedOut,  // Not done within its limit; it goes on.
    kEnding,    // The host is ending, or only beginning.
  };
  Kind kind = Kind::kDone;
  std::string text;       // Why not; or what else is to be said.
  bool expected = false;  // Trouble that needs nobody's attention.
  std::string group;
  GroupState state = GroupState::kIdle;  // Of the group afterwards, as the next.
  std::string reason;
  std::optional<LetterOutcome> letter;  // Of a retry, unless what is said holds for any letter.
};

// Called once, on any thread; must not block.
using ControlReply = std::function<void(const ControlAnswer&)>;

// Reads the letters of a group, on a thread where that may block; a part of them at a time, since
// what the group writes waits meanwhile.
using LetterRead = std::function<void(LetterReader* reader)>;

// What a front end may ask of a running host. Any thread; nothing blocks. Every command has a limit
// of time, after which it is answered whatever has become of it.
//
// `by` says for the log who asks.
class HostControl {
 public:
  virtual ~HostControl() = default;

  // Drains the group, for this run and those to come. One that has ended stays so.
  virtual void StopGroup(const std::string& group, const std::string& by, ControlReply reply) = 0;
  // Begins it again: one that was stopped, has ended, failed, was given up or halted.
  virtual void StartGroup(const std::string& group, const StartOrder& order, const std::string& by,
                          ControlReply reply) = 0;
  // Puts the place to go on from elsewhere, while the group does not run.
  virtual void ResetGroup(const std::string& group, const ResetTarget& target,
                          const std::string& by, ControlReply reply) = 0;

  // Calls `read`, whether the group runs or not; or `reply` with why that cannot be. One of both,
  // once.
  virtual void ReadLetters(const std::string& group, LetterRead read, ControlReply reply) = 0;
  // A retry needs a group that runs, and is answered within kRetryAnswer, perhaps with kWaiting;
  // all others are answered once they are stored, or with what they wait for.
  virtual void OrderLetter(const std::string& group, const LetterCommand& order,
                           const std::string& by, ControlReply reply) = 0;
};

// Opens the way for commands to a host that runs on this state directory; what is returned closes
// it when it goes. Called on the reactor. A failure is no end of the host: it tries again.
using ServeControl =
    std::function<Result<std::shared_ptr<void>>(HostControl* control, const StateDirectory& state)>;

// Within which a retry is answered.
inline constexpr std::chrono::seconds kRetryAnswer{15};

}  // namespace catchup
