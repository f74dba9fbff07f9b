#pragma once

#include <chrono>
#include <optional>

#include "host/daemon/dispatch/delivery_window.h"
#include "host/engine/engine.h"

namespace catchup {

// What carries out the engine's commands outside the group: runner, source, store, clock, log. Each
// function is the command of its name (Command::Kind), of the runner of a lane where it has one,
// and must not wait. From inside, the engine may be given further inputs through Dispatch; what
// they ask for follows by itself.
class CommandHandler {
 public:
  virtual void SpawnRunner(LaneNumber lane, SpawnNumber spawn) = 0;
  virtual void DrainRunner(LaneNumber lane, SpawnNumber spawn) = 0;
  virtual void AbortRunner(LaneNumber lane, SpawnNumber spawn) = 0;
  virtual void KillRunner(LaneNumber lane, SpawnNumber spawn) = 0;
  virtual void Connect(CallNumber call, bool to_leader) = 0;
  virtual void ReadEnd(CallNumber call, Position from) = 0;
  virtual void ReadWitness(CallNumber call, const KnownWitness& witness) = 0;
  virtual void ReadWitnessStream(CallNumber call, const KnownWitness& witness) = 0;
  virtual void Probe(CallNumber call, Position from) = 0;
  virtual void Subscribe(CallNumber call, std::optional<Position> from) = 0;
  virtual void ReadNext(CallNumber call, std::optional<Position> behind) = 0;
  virtual void CancelSubscription(CallNumber call, bool silent) = 0;
  virtual void MissSource() = 0;
  virtual void SourceFound() = 0;
  virtual void TakeBack(LaneNumber lane, SpawnNumber spawn) = 0;
  virtual void CallLetter(LaneNumber lane, Position position) = 0;
  // kPark, kUpdateLetter, kRemoveLetter, kMakeDue, kRemoveLetters, kHold and kEndHold, in
  // their order.
  virtual void ChangeLetters(const Command& change) = 0;
  // `handled`: the event that lies at `event`, where it came through the window.
  virtual void Persist(Position position, std::optional<Position> event,
                       const std::optional<Witness>& handled) = 0;
  virtual void WakeAt(std::chrono::nanoseconds at) = 0;
  virtual void Notice(const Command& notice) = 0;  // kNotice.
  virtual void StateChanged() = 0;
  virtual void Finished() = 0;

  // All commands so far are carried out: what the window has for the runners may go into their
  // rings now, and the source may be told whether to go on.
  virtual void CommandsDone() = 0;

 protected:
  ~CommandHandler() = default;
};

// The engine of a group with its delivery window, and the one place where the engine's commands
// are carried out: those for the window here, the others by the handler. The group and the
// simulation run the same one. Pure and not thread safe, like the engine.
class Dispatch {
 public:
  // `handler` must outlive this.
  Dispatch(const EngineOptions& options, CommandHandler* handler)
      : window_(options.lanes), engine_(options, &window_), handler_(*handler) {}
  Dispatch(const Dispatch&) = delete;
  Dispatch& operator=(const Dispatch&) = delete;

  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }
  DeliveryWindow& window() { return window_; }
  const DeliveryWindow& window() const { return window_; }

  // Where an input's commands go.
  Commands* commands() { return &commands_; }

  // Carries out what is in commands(), and what comes of it. After every input from outside; not
  // from the handler.
  void Run();

 private:
  void Carry(const Command& command);
  void CarryToSource(const Command& command);

  DeliveryWindow window_;
  Engine engine_;
  Commands commands_;
  CommandHandler& handler_;
};

}  // namespace catchup
