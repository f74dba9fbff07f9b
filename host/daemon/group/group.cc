#include "host/daemon/group/group.h"

#include <algorithm>
#include <utility>

#include "host/base/log.h"
#include "host/base/random.h"
#include "host/base/test_seams.h"
#include "host/daemon/group/engine_options.h"

namespace catchup {
namespace {

// The runner's progress is looked at once for so many events: each look costs a cache miss.
constexpr Sequence kLookEvery = 16;

}  // namespace

Group::Group(const GroupConfig& config, const GroupServices& services, bool stop_on_caught_up,
             bool on_probation)
    : config_(config),
      services_(services),
      gate_(std::make_shared<Gate>([this] { AfterTurn(); })),
      random_(RandomNumber()),
      classifier_(ClassifierOf(config.classify)),
      dispatch_(OptionsOf(config, stop_on_caught_up, on_probation), this),
      report_(config_, dispatch_.engine()),
      source_(config_, services.source, gate_, this),
      store_(config_, {services.pool, services.state, services.plugin_directories}, gate_),
      letters_(
          config_, {services.pool, services.reactor, services.state, &services_.sinks}, gate_,
          [this] { return (Clock::now() - report_.started()) * WaitSpeed(); }, this),
      desk_({&dispatch_.engine(), &letters_, services.reactor, gate_, [this] { return Now(); },
             [this] { return out(); }, config.name}) {
  RunnerSide::Services of_runner;
  of_runner.reactor = services.reactor;
  of_runner.binary = services.runner;
  of_runner.state = services.state;
  of_runner.on_gone = services.on_runner_gone;
  of_runner.control_groups = services.control_groups;
  for (LaneNumber lane = 0; lane < config_.lanes; ++lane) {
    runners_.push_back(std::make_unique<RunnerSide>(config_, of_runner, gate_,
                                                    static_cast<RunnerListener*>(this), lane));
  }
}

Group::~Group() { Close(); }

Tick Group::Now() {
  now_ = Clock::now();
  return {(now_ - report_.started()) * WaitSpeed(), random_()};
}

void Group::AfterTurn() {
  dispatch_.Run();
  desk_.Look();
  report_.Progress(head_, now_);
}

// The end of what an input brought about: feeds the runner, decides whether the source is to go on,
// and asks to be told about the runner's progress where something waits for it.
void Group::CommandsDone() {
  DeliveryWindow& window = dispatch_.window();
  for (const auto& runner : runners_) {
    runner->Fill(&window, [this](Sequence advance) { return *engine().AdvanceAt(advance); });
    // Until the end of a round an only runner loses nothing by seeing its events together; one of
    // several gets few at a time.
    if (!source_.in_round() || runners_.size() > 1) {
      runner->Publish();
    }
  }
  if (!engine().wants_frames() && !source_.paused()) {
    // Perhaps the runners are further than was last looked at.
    PollRunners();
  }
  source_.Flow(engine().wants_frames());
  for (const auto& runner : runners_) {
    if (!runner->takes_events()) {
      continue;
    }
    // Where the source waits for the disk alone, what the runner settles does not help it.
    const bool waits = (source_.paused() && engine().progress_helps()) || engine().wants_outcomes();
    if (const auto wake_at = window.WakeAt(waits, runner->lane())) {
      runner->WakeAt(*wake_at);
    }
  }
}

void Group::PollRunners() {
  for (const auto& runner : runners_) {
    runner->Poll();
  }
}

void Group::AccessChanged() {
  gate_->Enter([this] {
    if (started_engine_) {
      engine().AccessChanged(Now(), out());
    } else if (waits_to_start_ && refused_head_) {
      services_.reactor->Cancel(wake_timer_);
      waits_to_start_ = false;
      DoStep(StartPath::Step::kReadHead);
    }
  });
}

void Group::LeaveNode(const std::string& from, const std::string& to) {
  gate_->Enter([&] { source_.Leave(from, to); });
}

void Group::Stop() {
  gate_->Enter([this] {
    path_.Stop();
    if (started_engine_) {
      engine().Stop(Now(), out());
    } else if (std::exchange(waits_to_start_, false)) {
      services_.reactor->Cancel(wake_timer_);
      Take(path_.Begin());
    } else {
      // Cuts short what the start may be waiting for; that ends the group.
      source_.Shutdown();
    }
  });
}

void Group::StoreDesired(DesiredState desired, std::function<void(const Status&)> done) {
  const bool entered = gate_->Enter([&] {
    if (started_engine_) {
      store_.StoreDesired(desired, done);
    } else {
      done(Status::Unavailable("the group has not opened its checkpoint"));
    }
  });
  if (!entered) {
    done(Status::Cancelled("the group is gone"));
  }
}

bool Group::started() {
  return gate_->Inspect([this] { return started_engine_; });
}

void Group::Close() {
  SourceSide::Rest rest;
  gate_->Close([&] {
    services_.reactor->Cancel(wake_timer_);
    for (const auto& runner : runners_) {
      runner->Close();
    }
    rest = source_.Close();
  });
}

// The engine waits for what is written of single letters; this also for what is written of many,
// their due times, and of types, or the next start would not know of it.
void Group::Finished() {
  if (!std::exchange(ends_, true)) {
    services_.reactor->Cancel(wake_timer_);
    letters_.Drain([this] { TellFinished(); });
  }
}

void Group::TellFinished() {
  if (const std::uint64_t left = letters_.GiveUp(); left > 0) {
    Log(LogLevel::kWarn, "Dead letters not written", "Group.Finish", config_.name,
        {{"letters", left}, {"reason", "their events come again at the next start"}});
  }
  report_.Finished(letters_.invalid_traces());
  services_.on_finished();
}

GroupStatus Group::Glance() {
  return gate_->Inspect([this] {
    std::optional<Clock::time_point> retry_at;
    if (const auto retry = engine().retry_at(); retry.has_value()) {
      retry_at = report_.started() + FixedWait(*retry);
    }
    GroupStatus status = report_.Glance(head_, retry_at);
    if (const auto heals = engine().heals_at(); heals.has_value()) {
      status.heals_at = report_.started() + FixedWait(*heals);
    }
    status.sinks = letters_.GlanceAtSinks();
    status.invalid_traces = letters_.invalid_traces();
    return status;
  });
}

bool Group::CheckpointSafe() {
  return gate_->Inspect(
      [this] { return report_.finished() && (!started_engine_ || engine().settled_is_durable()); });
}

void Group::SetHead(const std::optional<Witness>& head) {
  gate_->Enter([&] {
    if (report_.finished()) {
      return;
    }
    TakeHead(head);
    // The call's own question may have found no answer.
    if (engine().needs_head()) {
      engine().Head(source_.call(), head_, Now(), out());
    }
    engine().HeadSeen(head_, Now(), out());
  });
}

// ---- From the source.

void Group::OnServerKnown(CallNumber call, const ServerTraits& traits) {
  engine().ServerKnown(call, traits, Now(), out());
}

void Group::OnEndKnown(CallNumber call, std::optional<Position> end) {
  engine().EndKnown(call, end, Now(), out());
}

void Group::OnWitness(CallNumber call, const std::optional<FirstRecord>& first) {
  engine().WitnessRead(call, first, Now(), out());
}

void Group::OnWitnessStream(CallNumber call, const StreamRevision& found) {
  engine().WitnessStreamRead(call, found, Now(), out());
}

void Group::OnProbed(CallNumber call, std::optional<Position> found) {
  engine().Probed(call, found, Now(), out());
}

void Group::TakeHead(const std::optional<Witness>& head) {
  head_ = PlaceOf(head);
  head_witness_.Saw(head);
}

void Group::OnHead(CallNumber call, const std::optional<Witness>& head) {
  TakeHead(head);
  engine().Head(call, head_, Now(), out());
}

void Group::OnNext(CallNumber call, const Answer<std::optional<Position>>& next) {
  if (next.ok()) {
    engine().NextKnown(call, *next, Now(), out());
  } else {
    engine().NextUnknown(call, next.end().text, Now(), out());
  }
}

// Whether a rule skips it. Letters that a group got as events might become letters again, without
// end.
bool Group::Skips(const EventFrame& frame) const {
  const EventView& event = frame.event;
  if (frame.target_missing) {
    Log(LogLevel::kInfo, "Link skipped", "Group.Events", config_.name,
        {{"reason", "unresolved-link: the event that it names is gone"},
         {"position", FormatPosition(event.position)},
         {"stream", event.stream},
         {"revision", event.revision},
         {"expected", true}});
    return true;
  }
  const SinkStreams* const sinks = services_.sinks.skipped;
  return (event.is_system() && !config_.filter.system_events) ||
         (sinks != nullptr && !sinks->empty() && sinks->find(event.stream) != sinks->end());
}

void Group::OnEvent(CallNumber call, std::unique_ptr<EventFrame> frame) {
  const EventView& event = frame->event;
  const Sequence sequence = engine().Event(call, event.position, event.size(), Skips(*frame),
                                           {event.stream, event.type}, Now(), out());
  if (sequence == 0) {
    return;
  }
  dispatch_.window().Add(sequence, std::move(frame));
  if (sequence % kLookEvery == 0) {
    PollRunners();
  }
}

void Group::OnCheckpoint(CallNumber call, Position position) {
  engine().CheckpointFrame(call, position, Now(), out());
}

void Group::OnCaughtUp(CallNumber call, std::optional<Position> position) {
  engine().CaughtUp(call, position, Now(), out());
  PollRunners();
}

void Group::OnEnded(CallNumber call, const EndOfCall& end) {
  engine().SubscriptionEnded(call, end, Now(), out());
}

void Group::OnSourceAnswers() { engine().SourceAnswers(Now(), out()); }

// ---- The store.

void Group::Persist(Position position, std::optional<Position> event,
                    const std::optional<Witness>& handled) {
  const std::optional<Witness> witness = head_witness_.PassedAt(position, handled);
  StoreSide::Checkpoint checkpoint;
  checkpoint.position = position;
  checkpoint.event = event;
  checkpoint.witness = witness;
  checkpoint.letters = letters_.mark();
  checkpoint.names_plugin = letters_know_plugin_;
  // Only a plugin that keeps its own position can set the group back; the engine said so.
  checkpoint.may_go_back = engine().position_mode();
  store_.Save(
      std::move(checkpoint), [this] { return engine().may_persist(); },
      [this, position, witness](const Status& saved) { OnSaved(position, witness, saved); });
}

void Group::OnSaved(Position position, const std::optional<Witness>& witness, const Status& saved) {
  if (saved.ok()) {
    // So that the next write covers what was settled while this one lasted.
    PollRunners();
    engine().CheckpointDurable(position, witness, Now(), out());
  } else if (saved.code() == Status::Code::kCancelled) {
    engine().CheckpointNotBegun(Now(), out());
  } else if (saved.may_pass()) {
    engine().CheckpointExhausted("checkpoint not written: " + saved.message(), Now(), out());
  } else {
    OnStoreStatus(saved);
  }
}

// What the store says beyond OK is final, unless nothing was tried or it may pass.
void Group::OnStoreStatus(const Status& status) {
  if (!status.ok() && !status.may_pass() && status.code() != Status::Code::kCancelled) {
    engine().StoreFailed(status.message(), Now(), out());
  }
}

// ---- The clock.

void Group::WakeAt(std::chrono::nanoseconds at) {
  services_.reactor->Cancel(wake_timer_);
  const std::chrono::nanoseconds delay = report_.started() + FixedWait(at) - Clock::now();
  wake_timer_ = services_.reactor->After(std::max(delay, std::chrono::nanoseconds(0)),
                                         Gate::Wrap(gate_, [this] {
                                           PollRunners();
                                           engine().Woke(Now(), out());
                                         }));
}

}  // namespace catchup
