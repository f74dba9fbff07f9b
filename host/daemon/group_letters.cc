// What a group makes of its letters: the way from a decision of the engine to the disk, and from
// there to the runner again.
#include <memory>
#include <string>
#include <utility>

#include "host/base/check.h"
#include "host/daemon/group.h"

namespace catchup {

// The letter is read while events wait. What ends its call meanwhile, the end of the runner above
// all, makes the number another one.
void Group::CallLetter(LaneNumber lane, Position position) {
  letter_lane_ = lane;
  letters_.Read(position, [this, number = ++letter_call_](std::unique_ptr<LetterFrame> letter) {
    if (number != letter_call_) {
      return;
    }
    if (letter == nullptr) {
      engine().LetterGone(Now(), out());
      return;
    }
    const std::uint32_t attempt = letter->attempt();
    dispatch_.window().CallLetter(letter_lane_, std::move(letter), attempt);
  });
}

void Group::ChangeLetters(const Command& change) {
  if (change.kind != Command::Kind::kPark) {
    if (change.kind == Command::Kind::kUpdateLetter ||
        change.kind == Command::Kind::kRemoveLetter) {
      dispatch_.window().ForgetLetter();  // Its call has ended.
    }
    letters_.Change(change);
    return;
  }
  const EventFrame* frame = dispatch_.window().Find(change.first);
  CATCHUP_CHECK(frame != nullptr);
  letters_.Park(change, frame->event);
}

void Group::OnLetterDurable(Sequence sequence) { engine().LetterDurable(sequence, Now(), out()); }

void Group::OnLetterStored() { engine().LetterStored(Now(), out()); }

void Group::OnLettersWait(const std::string& what) {
  report_.WaitFor(GroupReport::Waiter::kLetters, what);
}

void Group::OnLettersWaitEnds() { report_.EndWait(GroupReport::Waiter::kLetters, true); }

void Group::OnLettersFailed(const std::string& text) { engine().StoreFailed(text, Now(), out()); }

}  // namespace catchup
