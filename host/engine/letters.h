#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// How a letter comes to be, and what its store and the log are told of letters. Their calls are
// heal.h's.
class Letters {
 public:
  explicit Letters(EngineParts& parts) : parts_(parts) {}

  enum class Parked : std::uint8_t { kYes, kFull };

  // The first event that waits becomes a letter, if there is room; with order "halt" the group ends
  // instead, which counts as done.
  Parked Park(Sequence sequence, LetterState state, FailureClass failure, std::uint32_t attempts,
              const std::string& reason, Turn& turn);
  // The event in place, which then is in place no more. Without room it stays; one that needs no
  // further call waits for it.
  Parked ParkInPlace(Seat& seat, LetterState state, FailureClass failure, Turn& turn);
  // It is a letter already.
  void PassLetter(Sequence sequence);
  void RemoveLettersBeyond(std::optional<Position> position, Turn& turn);

  // The letter that this event is, once it is on the disk. Nothing of a follower, nor of one that
  // is gone again.
  void TellWritten(Sequence sequence, const EngineParts::Parking& parking, Turn& turn) const;
  // The notice of what became of a letter, at its call number `attempt`. No other call of it
  // follows.
  static Command LineOf(Notice notice, std::string text, bool expected,
                        const LetterBook::Letter& letter, EventName name, std::uint32_t attempt);
  // They are due now. Nobody waits for that to be stored: a letter that is called before it is
  // written is called all the same, and what came of that is written behind it.
  static void StoreDue(std::vector<Position> letters, Turn& turn);

 private:
  EngineParts& parts_;
};

}  // namespace catchup
