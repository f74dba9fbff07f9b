#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "host/base/position.h"
#include "host/engine/command.h"

namespace catchup {

// What a group hears of its letters, each inside a turn of its gate.
class LetterListener {
 public:
  // What a letter takes in the store. Comes before what says that it is on the disk.
  virtual void OnLetterSized(std::string_view stream, Position position, std::uint64_t bytes) = 0;
  // The kPark of this event is on the disk.
  virtual void OnLetterDurable(Sequence sequence) = 0;
  // The kUpdateLetter or kRemoveLetter of the letter there is.
  virtual void OnLetterStored(Position position) = 0;
  // The kMakeDue is that came of a new plugin file, and all before it.
  virtual void OnPluginNoted() = 0;
  // Something that may pass keeps the letters from being written or, not `writes`, one from being
  // read; and nothing does any more.
  virtual void OnLettersWait(const std::string& what, bool writes) = 0;
  virtual void OnLettersWaitEnds() = 0;
  // What the engine had decided was not begun, because MayWriteLetters() said no.
  virtual void OnLettersNotBegun() = 0;
  // Nothing is written any more.
  virtual void OnLettersFailed(const std::string& text) = 0;
  // Whether a write of what the engine decides may begin, by Engine::may_persist(). Asked right
  // before each try of one.
  virtual bool MayWriteLetters() const = 0;

 protected:
  ~LetterListener() = default;
};

}  // namespace catchup
