#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "host/engine/engine_parts.h"
#include "host/engine/turn.h"

namespace catchup {

// Calls of letters, one at a time, and what comes of them.
class Heal {
 public:
  explicit Heal(EngineParts& parts) : parts_(parts) {}

  // By whose word a letter changes.
  enum class Word : std::uint8_t { kRunners, kOurs };

  // The letter that may be called now; with the breaker half-open, the one to try it with.
  std::optional<LetterBook::Id> NextLetter(std::chrono::nanoseconds now) const;
  std::optional<LetterBook::Id> LetterToProbeWith() const;

  void CallLetter(const Seat& seat, const LetterBook::Id& id, Turn& turn);

  // How its call ended.
  void LetterSucceeded(Seat& seat, Turn& turn);
  void LetterFailed(FailureClass failure, const std::string& text, Word whose, Turn& turn);
  // It ends the group, by what no call may do. The letter's next call is stored first, or each
  // start of the group would end with it before an event had its turn. Nothing where the lane calls
  // none.
  void LetterBroke(const Seat& seat, const std::string& text, Turn& turn);
  // It was cut short, which changes no letter. Nothing where the lane calls none.
  void CutLetterCall(const Seat& seat);

 private:
  bool MayCallLetter(const LetterBook::Id& id) const;
  bool StandsBehindAnEvent(const LetterBook::Id& id) const;
  bool LacksRoom() const;
  LetterBook::Id EndLetterCall();
  void StoreLetter(const LetterBook::Id& id, const std::string& reason, Word whose,
                   std::optional<Command> line, Turn& turn);

  EngineParts& parts_;
};

}  // namespace catchup
