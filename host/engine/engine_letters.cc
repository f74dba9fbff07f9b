#include "host/engine/engine.h"
#include "host/engine/engine_text.h"
#include "host/engine/heal.h"
#include "host/engine/letters.h"

namespace catchup {

void Engine::LoadLetter(const LetterSummary& letter) {
  if (!parts_.book.Has(letter.stream, letter.position)) {
    parts_.book.Add(letter, 0, true);
  }
}

void Engine::LoadHold(std::string_view type, bool by_hand) {
  parts_.doubt.SetHold(type, by_hand ? Doubt::Hold::kByHand : Doubt::Hold::kByItself, {});
  parts_.book.Hold(type, by_hand ? std::nullopt : std::optional(std::chrono::nanoseconds(0)));
}

void Engine::LetterDurable(Sequence sequence, Tick tick, Commands* out) {
  const auto found = parts_.parking.find(sequence);
  if (found == parts_.parking.end()) {
    return;
  }
  Turn turn(tick, out);
  Letters(parts_).TellWritten(sequence, found->second, turn);
  if (parts_.life.finished()) {
    return;
  }
  parts_.letters_given_up = false;
  parts_.book.Written(found->second.id);
  parts_.parking.erase(found);
  if (parts_.position_mode) {
    parts_.ledger.PassParked(sequence);
  } else {
    parts_.ledger.SettleParked(sequence);
  }
  Plan(turn);
}

void Engine::LetterStored(Position position, Tick tick, Commands* out) {
  auto written = parts_.letter_writes.End(position);
  if (!written) {
    return;
  }
  // One that was dropped meanwhile waits for nobody.
  if (written->line && (written->line->notice != Notice::kLetterDead ||
                        parts_.book.Has(written->stream, position))) {
    out->push_back(*std::move(written->line));
  }
  if (parts_.life.finished()) {
    return;
  }
  Turn turn(tick, out);
  parts_.letters_given_up = false;
  Plan(turn);
}

void Engine::LettersExhausted(Tick tick, Commands* out) {
  if (parts_.life.finished() || !parts_.life.ending()) {
    return;
  }
  Turn turn(tick, out);
  parts_.letters_given_up = true;
  Plan(turn);
}

void Engine::LettersNotBegun(Tick tick, Commands* out) {
  if (parts_.life.finished()) {
    return;
  }
  Turn turn(tick, out);
  parts_.letters_refused = true;
  Plan(turn);
}

void Engine::LetterGone(Tick tick, Commands* out) {
  if (parts_.life.finished() || !parts_.CallsLetter()) {
    return;
  }
  Turn turn(tick, out);
  const LetterBook::Id id = *parts_.letter_calls.called();
  const bool known = !parts_.letter_calls.lost();
  Heal(parts_).CutLetterCall(parts_.seats[parts_.letter_calls.lane()]);
  if (known) {
    parts_.book.Remove(id);
  }
  Plan(turn);
}

void Engine::LetterDropped(EventName name, Position position, std::string_view why, Tick tick,
                           Commands* out) {
  if (parts_.life.finished()) {
    return;
  }
  Turn turn(tick, out);
  std::string text = "dead letter " + FormatPosition(position) + " dropped" + OneLine(why);
  LetterBook::Letter letter;
  const auto id = parts_.book.Find(name.stream, position);
  if (id && parts_.book.Get(*id)->written) {
    parts_.letter_calls.Lose(*id);
    letter = *parts_.book.Get(*id);
    parts_.book.Remove(*id);
  } else {
    // Its call had succeeded, or the group gone back behind it, before the store could be told; the
    // store has the decision all the same.
    letter.position = position;
    letter.state = LetterState::kFollower;
    text += id ? "; its event has come again meanwhile, and becomes another letter"
               : "; it had healed just before";
  }
  out->push_back(Letters::LineOf(Notice::kLetterDropped, std::move(text), true, letter, name,
                                 letter.attempts));
  Plan(turn);
}

}  // namespace catchup
