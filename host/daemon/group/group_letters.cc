// What a group makes of its letters: the way from a decision of the engine to the disk, and from
// there to the runner again.
#include <memory>
#include <string>
#include <utility>

#include "host/base/check.h"
#include "host/base/log.h"
#include "host/daemon/group/group.h"
#include "host/daemon/letters/letter_classes.h"

namespace catchup {
namespace {

// Letters that are read at a time: as many as may be written at one, and few beside the window.
constexpr std::size_t kReadAhead = LetterWrites::kMost;
constexpr std::uint64_t kReadAheadBytes = 1u << 20;

}  // namespace

// The letter is read while events wait. What ends its call meanwhile, the end of the runner above
// all, makes the number another one.
void Group::CallLetter(LaneNumber lane, Position position) {
  letter_lane_ = lane;
  const auto next = [this] {
    return engine().letters().Upcoming(Now().now, kReadAhead, kReadAheadBytes);
  };
  letters_.Read(position, next,
                [this, number = ++letter_call_](std::unique_ptr<LetterFrame> letter) {
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
      NoteOutcome(change);
    }
    letters_.Change(change);
    return;
  }
  const EventFrame* frame = dispatch_.window().Find(change.first);
  CATCHUP_CHECK(frame != nullptr);
  letters_.Park(change, frame->event);
}

// What is stored now is told to who waits for it.
void Group::NoteOutcome(const Command& change) {
  const bool healed = change.kind == Command::Kind::kRemoveLetter;
  const Position position = healed ? *change.from : change.letter->position;
  LetterOutcome& outcome = letter_outcomes_[position];
  outcome.position = position;
  if (healed) {
    outcome.kind = LetterOutcome::Kind::kHealed;
    return;
  }
  outcome.kind = LetterOutcome::Kind::kFailed;
  outcome.state = StoredOf(change.letter->state);
  if (!change.letter->called) {
    outcome.text = change.letter->reason;  // Its runner has not said it.
    return;
  }
  outcome.failed = letters_.failed_class();
  outcome.text = letters_.failed_text();
}

bool Group::ReadLetters(LetterRead read) {
  bool open = false;
  return gate_->Enter([&] { open = letters_.Visit(std::move(read)); }, [&] { return open; });
}

void Group::OrderLetter(const LetterCommand& order, const std::string& by,
                        LetterDesk::Reply reply) {
  gate_->Enter([&] {
    if (started_engine_ && !report_.finished()) {
      desk_.Take(order, by, std::move(reply));
      return;
    }
    ControlAnswer answer;
    answer.kind = ControlAnswer::Kind::kFailed;
    answer.text = report_.finished() ? "the group has just ended" : "the group is only beginning";
    reply(std::move(answer));
  });
}

void Group::SettleSinks(std::chrono::steady_clock::time_point deadline) {
  letters_.SettleSinks(deadline);
  for (const SinkStatus& sink : letters_.GlanceAtSinks()) {
    if (sink.behind > 0) {
      Log(LogLevel::kWarn, "Dead-letter sink is behind", "Group.SettleSinks", config_.name,
          {{"sink", sink.name},
           {"behindCount", sink.behind},
           {"reason", sink.trouble.empty() ? "the host ends" : sink.trouble}});
    }
  }
}

void Group::OnLetterSized(std::string_view stream, Position position, std::uint64_t bytes) {
  engine().LetterSized(stream, position, bytes);
}

void Group::OnLetterDurable(Sequence sequence) { engine().LetterDurable(sequence, Now(), out()); }

void Group::OnLetterStored(Position position) {
  if (auto outcome = letter_outcomes_.extract(position)) {
    desk_.OnCalled(std::move(outcome.mapped()));
  }
  engine().LetterStored(position, Now(), out());
}

void Group::OnLettersWait(const std::string& what, bool writes) {
  report_.WaitFor(GroupReport::Waiter::kLetters, what);
  if (writes) {
    engine().LettersExhausted(Now(), out());
  }
}

void Group::OnLettersWaitEnds() { report_.EndWait(GroupReport::Waiter::kLetters, true); }

void Group::OnLettersNotBegun() {
  report_.EndWait(GroupReport::Waiter::kLetters, false);
  engine().LettersNotBegun(Now(), out());
}

bool Group::MayWriteLetters() const { return dispatch_.engine().may_persist(); }

void Group::OnLettersFailed(const std::string& text) { engine().StoreFailed(text, Now(), out()); }

}  // namespace catchup
