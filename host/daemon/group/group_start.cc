// A group's way to its engine's start: carries out the steps of StartPath.
#include <optional>
#include <string>

#include "host/base/test_seams.h"
#include "host/daemon/group/group.h"

namespace catchup {
namespace {

using Step = StartPath::Step;
using Waiter = GroupReport::Waiter;

}  // namespace

void Group::Start() {
  gate_->Enter([this] { Take(path_.Begin()); });
}

void Group::Take(const StartPath::Next& next) {
  switch (next.what) {
    case StartPath::Next::What::kStep:
      DoStep(next.step);
      break;
    case StartPath::Next::What::kLater:
      report_.WaitFor(Waiter::kStore, next.reason);
      waits_to_start_ = true;
      refused_head_ = next.refused;
      wake_timer_ = services_.reactor->After(FixedWait(next.refused ? kRefusedPause : kRetryPause),
                                             Gate::Wrap(gate_, [this, step = next.step] {
                                               waits_to_start_ = false;
                                               DoStep(step);
                                             }));
      break;
    case StartPath::Next::What::kEnd:
      report_.EndedBeforeStart(next.state, next.reason);
      Finished();
      break;
    case StartPath::Next::What::kHold:
      report_.HeldBeforeStart(next.state, next.reason);
      Finished();
      break;
  }
}

void Group::DoStep(Step step) {
  refused_head_ = false;
  switch (step) {
    case Step::kOpenSource:
      AfterStep(step, source_.Open(), {});
      break;
    case Step::kPrepare:
      store_.Prepare([this] { return !path_.stopping(); },
                     [this, step](const Status& prepared) {
                       StartPath::Found found;
                       if (prepared.ok()) {
                         found.hold = store_.hold();
                         found.needs_head = store_.needs_head();
                       }
                       AfterStep(step, prepared, found);
                     });
      break;
    case Step::kReadHead:
      source_.ReadHead([this, step](const Answer<std::optional<Position>>& head) {
        StartPath::Found found;
        if (head.ok()) {
          store_.SetHead(*head);
        } else {
          found.refused = IsRefusal(head.end().kind);
          found.of_access = IsRefusalOfAccess(head.end().kind);
        }
        AfterStep(step, head.ok() ? Status() : Status::Unavailable(head.end().text), found);
      });
      break;
    case Step::kOpenLetters:
      letters_.Open(store_.record(),
                    [this, step](const Status& opened, const LetterSide::Contents& contents) {
                      if (opened.ok()) {
                        LoadLetters(contents);
                      }
                      AfterStep(step, opened, {});
                    });
      break;
    case Step::kStartEngine:
      StartEngine();
      break;
  }
}

void Group::AfterStep(Step step, const Status& result, const StartPath::Found& found) {
  const StartPath::Next next = path_.After(step, result, found);
  if (next.what != StartPath::Next::What::kLater) {
    report_.EndWait(Waiter::kStore, result.ok() && !path_.stopping());
  }
  Take(next);
}

void Group::LoadLetters(const LetterSide::Contents& contents) {
  const auto reset = store_.pending_reset();
  if (reset.has_value()) {
    Command beyond;
    beyond.kind = Command::Kind::kRemoveLetters;
    beyond.from = reset->to;
    letters_.Change(beyond);
  }
  for (const LetterHead& letter : contents.letters) {
    if (!reset.has_value() || letter.position <= reset->to) {
      engine().LoadLetter(letters_.SummaryOf(letter));
    }
  }
  for (const LetterPark& park : contents.parks) {
    desk_.Load(park);
  }
  for (const LetterHold& hold : contents.holds) {
    engine().LoadHold(hold.type, hold.by == LetterHold::By::kOperator);
  }
}

void Group::StartEngine() {
  const CheckpointRecord& record = store_.record();
  StartPoint start;
  start.checkpoint = record.checkpoint;
  start.last_event = record.last_event;
  start.witnesses = record.witnesses;
  if (record.start.kind == RecordedStart::Kind::kPosition) {
    start.recorded_start = record.start.position;
  }
  start.filter_changed = store_.filter_changed();
  first_writes_.Set(start.filter_changed, store_.pending_reset());
  report_.Starting(store_.plugin().sha256, start.checkpoint, source_.address());
  letters_.SetPlugin(store_.plugin().digest);
  started_engine_ = true;
  engine().Start(start, Now(), out());
  const Digest32& before = record.plugin_digest;
  if (before != Digest32{} && before != store_.plugin().digest) {
    letters_know_plugin_ = false;
    engine().PluginChanged(Now(), out());
  }
}

}  // namespace catchup
