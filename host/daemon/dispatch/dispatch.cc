#include "host/daemon/dispatch/dispatch.h"

#include <cstddef>
#include <utility>

namespace catchup {

void Dispatch::Run() {
  do {
    // By index: carrying out a command may append others.
    for (std::size_t i = 0; i < commands_.size(); ++i) {
      const Command command = std::move(commands_[i]);
      Carry(command);
    }
    commands_.clear();
    handler_.CommandsDone();
  } while (!commands_.empty());
}

void Dispatch::Carry(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kSpawnRunner:
      window_.BeginRunner(command.lane);
      handler_.SpawnRunner(command.lane, command.number);
      break;
    case Command::Kind::kDrainRunner:
      handler_.DrainRunner(command.lane, command.number);
      break;
    case Command::Kind::kAbortRunner:
      handler_.AbortRunner(command.lane, command.number);
      break;
    case Command::Kind::kKillRunner:
      handler_.KillRunner(command.lane, command.number);
      break;
    case Command::Kind::kConnect:
    case Command::Kind::kReadEnd:
    case Command::Kind::kReadWitness:
    case Command::Kind::kReadWitnessStream:
    case Command::Kind::kProbe:
    case Command::Kind::kSubscribe:
    case Command::Kind::kReadNext:
    case Command::Kind::kCancelSubscription:
    case Command::Kind::kMissSource:
    case Command::Kind::kSourceFound:
      CarryToSource(command);
      break;
    case Command::Kind::kDeliver:
      window_.Deliver(command);
      break;
    case Command::Kind::kTakeBack:
      window_.TakeBack(command.lane);
      handler_.TakeBack(command.lane, command.number);
      break;
    case Command::Kind::kCallLetter:
      handler_.CallLetter(command.lane, *command.from);
      break;
    case Command::Kind::kPark:
    case Command::Kind::kUpdateLetter:
    case Command::Kind::kRemoveLetter:
    case Command::Kind::kMakeDue:
    case Command::Kind::kRemoveLetters:
    case Command::Kind::kHold:
    case Command::Kind::kEndHold:
      handler_.ChangeLetters(command);
      break;
    case Command::Kind::kRelease:
      window_.Release(command.last);
      break;
    case Command::Kind::kPersist:
      handler_.Persist(*command.from, command.event, window_.ReleasedAt(command.event));
      break;
    case Command::Kind::kWakeAt:
      handler_.WakeAt(command.at);
      break;
    case Command::Kind::kNotice:
      handler_.Notice(command);
      break;
    case Command::Kind::kStateChanged:
      handler_.StateChanged();
      break;
    case Command::Kind::kFinished:
      handler_.Finished();
      break;
  }
}

void Dispatch::CarryToSource(const Command& command) {
  switch (command.kind) {
    case Command::Kind::kConnect:
      handler_.Connect(command.number, command.to_leader);
      break;
    case Command::Kind::kReadEnd:
      handler_.ReadEnd(command.number, *command.from);
      break;
    case Command::Kind::kReadWitness:
      handler_.ReadWitness(command.number, command.witness);
      break;
    case Command::Kind::kReadWitnessStream:
      handler_.ReadWitnessStream(command.number, command.witness);
      break;
    case Command::Kind::kProbe:
      handler_.Probe(command.number, *command.from);
      break;
    case Command::Kind::kSubscribe:
      handler_.Subscribe(command.number, command.from);
      break;
    case Command::Kind::kReadNext:
      handler_.ReadNext(command.number, command.from);
      break;
    case Command::Kind::kCancelSubscription:
      handler_.CancelSubscription(command.number, command.silent);
      break;
    case Command::Kind::kMissSource:
      handler_.MissSource();
      break;
    case Command::Kind::kSourceFound:
      handler_.SourceFound();
      break;
    default:
      break;
  }
}

}  // namespace catchup
