#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/daemon/letters/letter_side.h"
#include "host/daemon/orders/host_control.h"
#include "host/daemon/threads/gate.h"
#include "host/engine/engine.h"

namespace catchup {

// Where a group that runs takes what operators decide about its letters (LetterCommand): has it
// stored, tells the engine, and answers. A retry waits here for what its call comes to.
//
// All functions: inside a turn.
class LetterDesk {
 public:
  struct Services {
    Engine* engine = nullptr;
    LetterSide* letters = nullptr;
    Reactor* reactor = nullptr;
    std::shared_ptr<Gate> gate;
    std::function<Tick()> now;
    std::function<Commands*()> out;
    std::string group;  // Its name.
  };
  // Kind, text and letter of a ControlAnswer; the rest is for the one who knows the group.
  using Reply = std::function<void(ControlAnswer)>;

  explicit LetterDesk(Services services) : at_(std::move(services)) {}

  // Answered once, unless the group goes first.
  void Take(const LetterCommand& order, const std::string& by, Reply reply);

  // A letter's call has come to this, and it is stored; `number` is given here.
  void OnCalled(LetterOutcome outcome);

  // Ends what has come to nothing: a retry while the breaker opens or the group ends, an event that
  // was to be parked and did not come. After every turn; cheap where nothing waits.
  void Look();

  // From the store, at the start.
  void Load(const LetterPark& park);

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiter {
    Position position;
    std::uint64_t number = 0;  // An outcome behind it is its.
    Clock::time_point until;
    Reply reply;
  };

  void Retry(const LetterCommand& order, const std::string& by, Reply reply);
  void AskForCall(const LetterHead& letter, const std::string& by, std::uint64_t number,
                  const Reply& reply);
  void Await(Position position, std::uint64_t number, Reply reply);
  void Drop(const LetterCommand& order, const std::string& by, const Reply& reply);
  void ParkEvent(const LetterCommand& order, const std::string& by, const Reply& reply);
  void AnswerOnceStored(const std::string& text, const Reply& reply);
  void ParkType(const LetterCommand& order, const std::string& by, const Reply& reply);
  void UnparkType(const LetterCommand& order, const Reply& reply);
  const LetterOutcome* Known(Position position, std::uint64_t behind) const;
  void Note(LetterOutcome outcome);
  void FinishWaiters(bool all);

  const Services at_;
  std::uint64_t number_ = 1;          // Of the last outcome.
  std::deque<LetterOutcome> recent_;  // The last of them, for who asks again.
  std::vector<Waiter> waiters_;
  std::vector<Position> parks_;  // Asked for, in order; some may be done.
};

}  // namespace catchup
