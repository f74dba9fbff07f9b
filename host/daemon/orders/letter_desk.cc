#include "host/daemon/orders/letter_desk.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "host/base/time_text.h"
#include "host/daemon/text/hold_text.h"

namespace catchup {
namespace {

// Who asks again does so within kRetryAnswer; meanwhile so many letters may have been called. One
// that is forgotten is called once more.
constexpr std::size_t kRecent = 4'096;

// More at once is somebody who floods the host with retries.
constexpr std::size_t kMaxWaiters = 256;

ControlAnswer Done(std::string text) {
  ControlAnswer answer;
  answer.text = std::move(text);
  return answer;
}

ControlAnswer Refused(std::string text) {
  ControlAnswer answer;
  answer.kind = ControlAnswer::Kind::kRefused;
  answer.text = std::move(text);
  return answer;
}

// Of this letter alone: why it is not called.
ControlAnswer LetterRefused(Position position, LetterOutcome::Kind kind, const std::string& text) {
  ControlAnswer answer = Refused(text);
  LetterOutcome& outcome = answer.letter.emplace();
  outcome.kind = kind;
  outcome.position = position;
  outcome.text = text;
  return answer;
}

ControlAnswer OutcomeAnswer(LetterOutcome outcome) {
  ControlAnswer answer;
  answer.letter = std::move(outcome);
  return answer;
}

ControlAnswer Waiting(Position position, std::uint64_t number) {
  LetterOutcome outcome;
  outcome.position = position;
  outcome.number = number;
  return OutcomeAnswer(outcome);
}

}  // namespace

void LetterDesk::Take(const LetterCommand& order, const std::string& by, Reply reply) {
  switch (order.kind) {
    case LetterCommand::Kind::kRetry:
      Retry(order, by, std::move(reply));
      return;
    case LetterCommand::Kind::kDrop:
      Drop(order, by, reply);
      return;
    case LetterCommand::Kind::kParkEvent:
      ParkEvent(order, by, reply);
      return;
    case LetterCommand::Kind::kParkType:
      ParkType(order, by, reply);
      return;
    case LetterCommand::Kind::kUnparkType:
      UnparkType(order, reply);
      return;
  }
}

// The last outcome of a letter, with a number behind `behind`.
const LetterOutcome* LetterDesk::Known(Position position, std::uint64_t behind) const {
  const auto found = std::find_if(recent_.rbegin(), recent_.rend(), [&](const LetterOutcome& one) {
    return one.position == position && one.number > behind;
  });
  return found == recent_.rend() ? nullptr : &*found;
}

void LetterDesk::Retry(const LetterCommand& order, const std::string& by, Reply reply) {
  if (const LetterOutcome* known =
          order.after == 0 ? nullptr : Known(order.position, order.after)) {
    reply(OutcomeAnswer(*known));
    return;
  }
  const std::uint64_t number = order.after == 0 ? number_ : order.after;
  at_.letters->Find(order.position, [this, position = order.position, by, number,
                                     reply = std::move(reply)](const Result<LetterHead>& letter) {
    if (letter.ok()) {
      AskForCall(*letter, by, number, reply);
      return;
    }
    // Gone a moment ago, as a follower that was handed on is.
    const LetterOutcome* known = Known(position, 0);
    reply(known != nullptr && known->kind != LetterOutcome::Kind::kFailed
              ? OutcomeAnswer(*known)
              : LetterRefused(position, LetterOutcome::Kind::kGone, letter.status().message()));
  });
}

void LetterDesk::AskForCall(const LetterHead& letter, const std::string& by, std::uint64_t number,
                            const Reply& reply) {
  const LetterBook& book = at_.engine->letters();
  const auto id = book.Find(letter.stream, letter.position);
  if (const LetterOutcome* known = Known(letter.position, number)) {
    reply(OutcomeAnswer(*known));
    return;
  }
  if (id.has_value() && book.in_call() == *id) {
    at_.letters->NoteRetry(letter.position, by);
    Await(letter.position, number, reply);
    return;
  }
  if (id.has_value() && at_.engine->WritesLetter(letter.position)) {
    Await(letter.position, number, reply);  // What its last call came to is the answer.
    return;
  }
  // Its writing, or its removal since it healed, is heard of in a moment.
  if (!id.has_value() || !book.Get(*id)->written) {
    reply(Waiting(letter.position, number));
    return;
  }
  if (std::string cannot = at_.engine->CannotRetry(); !cannot.empty()) {
    reply(Refused(std::move(cannot)));
    return;
  }
  const std::string refused =
      at_.engine->RetryLetter(letter.stream, letter.position, at_.now(), at_.out());
  if (!refused.empty()) {
    reply(LetterRefused(letter.position, LetterOutcome::Kind::kRefused, refused));
    return;
  }
  at_.letters->NoteRetry(letter.position, by);
  Await(letter.position, number, reply);
}

void LetterDesk::Await(Position position, std::uint64_t number, Reply reply) {
  if (waiters_.size() >= kMaxWaiters) {
    reply(Refused(fmt::format("{} retries wait already; the letter is asked for", kMaxWaiters)));
    return;
  }
  waiters_.push_back({position, number, Clock::now() + kRetryAnswer, std::move(reply)});
  at_.reactor->After(kRetryAnswer, Gate::Wrap(at_.gate, [this] { FinishWaiters(false); }));
}

void LetterDesk::OnCalled(LetterOutcome outcome) {
  Note(outcome);
  outcome.number = number_;
  const auto waits = [&](const Waiter& waiter) { return waiter.position == outcome.position; };
  for (const Waiter& waiter : waiters_) {
    if (waits(waiter)) {
      waiter.reply(OutcomeAnswer(outcome));
    }
  }
  std::erase_if(waiters_, waits);
}

void LetterDesk::Note(LetterOutcome outcome) {
  outcome.number = ++number_;
  if (recent_.size() == kRecent) {
    recent_.pop_front();
  }
  recent_.push_back(std::move(outcome));
}

// Those whose time is over, or all since no call comes now.
void LetterDesk::FinishWaiters(bool all) {
  const auto now = Clock::now();
  const auto over = [&](const Waiter& waiter) { return all || waiter.until <= now; };
  for (const Waiter& waiter : waiters_) {
    if (over(waiter)) {
      waiter.reply(
          all ? Refused("the breaker has opened, or the group ends: " + at_.engine->reason() +
                        "; the letter is asked for and called once calls go on")
              : Waiting(waiter.position, waiter.number));
    }
  }
  std::erase_if(waiters_, over);
}

void LetterDesk::Look() {
  if (!waiters_.empty() &&
      (at_.engine->breaker().open() || at_.engine->state() == GroupState::kDraining ||
       at_.engine->state() == GroupState::kStopped || at_.engine->state() == GroupState::kFailed ||
       at_.engine->state() == GroupState::kGivenUp)) {
    FinishWaiters(true);
  }
  while (!parks_.empty() && at_.engine->watermark() >= parks_.front()) {
    at_.letters->EndPark(parks_.front());  // Done, or no event lies there.
    parks_.erase(parks_.begin());
  }
}

void LetterDesk::Load(const LetterPark& park) {
  at_.engine->LoadPark(park.position);
  parks_.push_back(park.position);
}

void LetterDesk::Drop(const LetterCommand& order, const std::string& by, const Reply& reply) {
  const std::string why = " by " + by + ": " + order.reason;
  at_.letters->Drop(order.position, order.reason, by,
                    [this, why, reply](const Result<LetterHead>& dropped) {
                      if (!dropped.ok()) {
                        reply(Refused(dropped.status().message()));
                        return;
                      }
                      LetterOutcome outcome;
                      outcome.kind = LetterOutcome::Kind::kDropped;
                      outcome.position = dropped->position;
                      OnCalled(outcome);
                      at_.engine->LetterDropped({dropped->stream, dropped->type}, dropped->position,
                                                why, at_.now(), at_.out());
                      reply(Done("letter " + FormatPosition(dropped->position) + " of stream " +
                                 dropped->stream + " dropped"));
                    });
}

// Stored first, so that no kill forgets what was answered.
void LetterDesk::ParkEvent(const LetterCommand& order, const std::string& by, const Reply& reply) {
  if (const std::string refused = at_.engine->CannotPark(order.position); !refused.empty()) {
    at_.letters->Find(order.position, [this, refused, reply](const Result<LetterHead>& letter) {
      reply(Refused(letter.ok() ? IsLetterText(at_.group, letter->position) : refused));
    });
    return;
  }
  const Position position = order.position;
  at_.letters->SetPark({position, NowTicks(), by, order.reason}, [this, position, reply] {
    const std::string refused = at_.engine->ParkEvent(position, at_.now(), at_.out());
    if (!refused.empty()) {
      at_.letters->EndPark(position);
      reply(Refused(refused));
      return;
    }
    const auto at = std::lower_bound(parks_.begin(), parks_.end(), position);
    parks_.insert(at, position);
    const std::string waits = at_.engine->ParkWaitsFor(position);
    if (waits.empty()) {
      AnswerOnceStored("the event at " + FormatPosition(position) + " is a dead letter", reply);
    } else {
      reply(Done(ToBeParkedText(position, waits)));
    }
  });
}

// The commands of this turn are carried out at its end.
void LetterDesk::AnswerOnceStored(const std::string& text, const Reply& reply) {
  at_.reactor->Post(Gate::Wrap(
      at_.gate, [this, text, reply] { at_.letters->Sync([text, reply] { reply(Done(text)); }); }));
}

void LetterDesk::ParkType(const LetterCommand& order, const std::string& by, const Reply& reply) {
  at_.letters->ExplainHold(order.type, order.reason + " (" + by + ")");
  const std::string refused = at_.engine->ParkType(order.type, at_.now(), at_.out());
  if (!refused.empty()) {
    reply(Refused(refused));
    return;
  }
  AnswerOnceStored(TypeParkedText(order.type), reply);
}

void LetterDesk::UnparkType(const LetterCommand& order, const Reply& reply) {
  const std::string refused = at_.engine->UnparkType(order.type, at_.now(), at_.out());
  if (!refused.empty()) {
    reply(Refused(refused + SeeHeldText(at_.group)));
    return;
  }
  AnswerOnceStored(TypeUnparkedText(order.type), reply);
}

}  // namespace catchup
