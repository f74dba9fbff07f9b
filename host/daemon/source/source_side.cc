#include "host/daemon/source/source_side.h"

#include <algorithm>
#include <utility>

#include "host/base/log.h"

namespace catchup {
// Lets each frame of one call in. Lives as long as the call, which may be longer than the group.
class SourceSide::Sink : public SubscriptionSink {
 public:
  Sink(SourceSide* side, CallNumber call)
      : gate_(side->gate_), side_(*side), listener_(side->listener_), call_(call) {}

  bool OnEvent(std::unique_ptr<EventFrame> frame) override {
    return Frame([&] { listener_.OnEvent(call_, std::move(frame)); });
  }
  bool OnCheckpoint(Position position) override {
    return Frame([&] { listener_.OnCheckpoint(call_, position); });
  }
  bool OnCaughtUp(std::optional<Position> position) override {
    return Frame([&] { listener_.OnCaughtUp(call_, position); });
  }
  void OnRoundEnd() override {
    gate_->Enter([&] { side_.in_round_ = false; });
  }
  void OnEnded(EndOfCall end) override {
    gate_->Enter([&] {
      side_.in_round_ = false;
      if (side_.left_ != call_) {
        side_.Ended(call_, end);
      }
    });
  }

 private:
  template <typename Tell>
  bool Frame(Tell tell) {
    return gate_->Enter(
        [&] {
          side_.in_round_ = true;
          tell();
        },
        [&] { return !side_.paused_; });
  }

  const std::shared_ptr<Gate> gate_;
  SourceSide& side_;  // There while the gate is open, as the next.
  SourceListener& listener_;
  const CallNumber call_;
};

SourceSide::SourceSide(const GroupConfig& config, Services services, std::shared_ptr<Gate> gate,
                       SourceListener* listener)
    : config_(config),
      services_(std::move(services)),
      gate_(std::move(gate)),
      listener_(*listener) {}

Status SourceSide::Open() {
  if (services_.discovery == nullptr) {
    CATCHUP_ASSIGN_OR_RETURN(source_, services_.open(services_.address(), config_.name));
  }
  if (services_.watch != nullptr) {
    watch_ = services_.watch(Gate::Wrap(gate_, [this] { listener_.OnSourceAnswers(); }));
  }
  return {};
}

void SourceSide::Reach(Reached then) {
  if (leader_.has_value() || search() == nullptr) {
    then(FollowServer(leader_.has_value() ? *leader_ : services_.address()));
    return;
  }
  searched_by_ = search();
  search_number_ = searched_by_->Find(
      Gate::Wrap(gate_, [this, then = std::move(then)](const Answer<std::string>& node) {
        if (shut_down_) {
          then(EndOfCall{.text = "this host is shutting down"});
        } else if (!node.ok()) {
          then(node.end());
        } else {
          then(FollowServer(*node));
        }
      }));
}

// The process that serves an embedded log may have ended and come back on another port. Without
// what a new connection needs, the old one stays and the next try follows.
std::optional<EndOfCall> SourceSide::FollowServer(const std::string& address) {
  const bool moved = source_ == nullptr || address != source_->address();
  const bool another = moved || to_leader_ != from_leader_;
  if (!another && !worn_) {
    return std::nullopt;
  }
  auto fresh = (to_leader_ ? services_.open_leader : services_.open)(address, config_.name);
  if (!fresh.ok()) {
    return another ? std::optional(EndOfCall{.text = fresh.status().message()}) : std::nullopt;
  }
  worn_ = false;
  from_leader_ = to_leader_;
  if (source_ == nullptr) {
    source_ = *std::move(fresh);
    return std::nullopt;
  }
  if (moved) {
    Log(LogLevel::kInfo, "Server moved", "Group.Subscribe", config_.name,
        {{"from", source_->address()}, {"source", address}});
  }
  source_->Shutdown();
  // It ends elsewhere, since its end waits for its thread, which may be this one or wait for the
  // gate.
  services_.retire(std::exchange(source_, *std::move(fresh)));
  return std::nullopt;
}

// Where the leader is counts for the next call alone: it may be another one by then, or be reached
// from everywhere but here.
void SourceSide::Learn(CallNumber call, const EndOfCall& end) {
  worn_ = worn_ || !IsRefusal(end.kind);
  leader_ = end.leader;
  const bool serves = IsRefusal(end.kind) || end.kind == EndClass::kInvalidPosition;
  if (!serves && call != cancelled_ && search() != nullptr && source_ != nullptr) {
    search()->Lost(std::string(source_->address()));
  }
}

void SourceSide::Ended(CallNumber call, const EndOfCall& end) {
  Learn(call, end);
  listener_.OnEnded(call, end);
}

void SourceSide::Connect(CallNumber call, bool to_leader) {
  call_ = call;
  to_leader_ = to_leader && services_.open_leader != nullptr;
  paused_ = false;
  head_told_ = false;
  Reach([this, call](const std::optional<EndOfCall>& failed) {
    if (call != call_) {
      return;
    }
    if (failed.has_value()) {
      Ended(call, *failed);
      return;
    }
    source_->ReadVersion(Gate::Wrap(
        gate_, [this, call](const Answer<std::string>& version) { OnVersion(call, version); }));
  });
}

// The server of this call has said what it is. It may be another one than that of the call before.
void SourceSide::OnVersion(CallNumber call, const Answer<std::string>& version) {
  if (!version.ok()) {
    Ended(call, version.end());
    return;
  }
  const ServerTraits traits{.resumes_anywhere = ResumesAnywhere(*version),
                            .says_caught_up = SaysCaughtUp(*version),
                            .may_lag = services_.open_leader != nullptr && !from_leader_};
  if (!traits.resumes_anywhere) {
    Log(LogLevel::kWarn, "Old server", "Group.Subscribe", config_.name,
        {{"version", version->empty() ? "unknown" : *version},
         {"reason", version->empty()
                        ? "it does not tell its version, so it may be one before 24.2: the "
                          "checkpoint follows events only"
                        : "before 24.2: the checkpoint follows events only"}});
  }
  says_caught_up_ = traits.says_caught_up;
  listener_.OnServerKnown(call, traits);
}

// The newest event that a read shows settles it nearly always, and on servers that say no more.
// Else the last record of the log counts: none may be shown of those behind that event.
void SourceSide::ReadEnd(CallNumber call, Position from) {
  using Place = Answer<std::optional<Position>>;
  source_->ReadHead(
      Gate::Wrap(gate_, [this, call, from](const Answer<std::optional<Witness>>& head) {
        if (call != call_) {
          return;
        }
        TellHead(call, head);
        const Place newest = PlaceOf(head);
        if (!newest.ok() || *newest >= from || !says_caught_up_) {
          OnEndOfLog(call, newest);
          return;
        }
        source_->ReadEnd(Gate::Wrap(gate_, [this, call, head = *newest](const Place& end) {
          OnEndOfLog(call, end.ok() ? Place(std::max(head, *end)) : end);
        }));
      }));
}

void SourceSide::OnEndOfLog(CallNumber call, const Answer<std::optional<Position>>& end) {
  if (end.ok()) {
    listener_.OnEndKnown(call, *end);
  } else {
    Ended(call, end.end());
  }
}

void SourceSide::ReadWitness(CallNumber call, const KnownWitness& witness) {
  source_->ReadFirst(
      witness->position,
      Gate::Wrap(gate_, [this, call](const Answer<std::optional<FirstRecord>>& first) {
        if (first.ok()) {
          listener_.OnWitness(call, *first);
        } else {
          Ended(call, first.end());
        }
      }));
}

void SourceSide::ReadWitnessStream(CallNumber call, const KnownWitness& witness) {
  source_->ReadRevision(witness->stream, witness->revision,
                        Gate::Wrap(gate_, [this, call](const Answer<StreamRevision>& found) {
                          if (found.ok()) {
                            listener_.OnWitnessStream(call, *found);
                          } else {
                            Ended(call, found.end());
                          }
                        }));
}

void SourceSide::Probe(CallNumber call, Position from) {
  source_->ReadFirst(
      from, Gate::Wrap(gate_, [this, call](const Answer<std::optional<FirstRecord>>& found) {
        if (found.ok()) {
          listener_.OnProbed(call, found->has_value() ? std::optional((*found)->position)
                                                      : std::optional<Position>());
        } else {
          Ended(call, found.end());
        }
      }));
}

void SourceSide::Subscribe(CallNumber call, std::optional<Position> from) {
  Log(LogLevel::kInfo, "Subscribing", "Group.Subscribe", config_.name,
      {{"position", from.has_value() ? FormatPosition(*from) : "none"}});
  SubscribeOptions options;
  options.from = from;
  options.filter = config_.filter;
  subscribed_ = call;
  subscription_ = source_->Subscribe(options, std::make_shared<Sink>(this, call));
  // One that says when it has caught up need not be asked again for what was told just now.
  if (!head_told_ || !says_caught_up_) {
    source_->ReadHead(Gate::Wrap(gate_, [this, call](const Answer<std::optional<Witness>>& head) {
      // The subscription itself reports an unreachable server.
      TellHead(call, head);
    }));
  }
}

void SourceSide::TellHead(CallNumber call, const Answer<std::optional<Witness>>& head) {
  if (head.ok()) {
    head_told_ = true;
    listener_.OnHead(call, *head);
  }
}

void SourceSide::ReadNext(CallNumber call, std::optional<Position> behind) {
  if (services_.read_next == nullptr) {
    return;
  }
  services_.read_next(behind, config_.filter,
                      Gate::Wrap(gate_, [this, call](const Answer<std::optional<Position>>& next) {
                        listener_.OnNext(call, next);
                      }));
}

void SourceSide::Cancel(bool silent) {
  if (silent && search() != nullptr && source_ != nullptr) {
    search()->Silent(std::string(source_->address()));
  }
  cancelled_ = call_;
  worn_ = true;
  if (subscription_ != nullptr) {
    subscription_->Cancel();
  }
}

void SourceSide::Leave(const std::string& from, const std::string& to) {
  const bool open = subscription_ != nullptr && subscribed_ == call_ && left_ != call_ &&
                    cancelled_ != call_ && source_->address() == from;
  if (open) {
    left_ = call_;
    subscription_->Cancel();
    Ended(call_, {.kind = EndClass::kNotLeader,
                  .answered = true,
                  .leader = to,
                  .text = from + ": does not serve the head of the log any more, which " + to +
                          " does: the call may be silent for ever"});
  }
}

void SourceSide::Miss() {
  if (watch_ != nullptr) {
    watch_->Miss();
  }
}

void SourceSide::Found() {
  if (watch_ != nullptr) {
    watch_->Found();
  }
}

void SourceSide::Flow(bool wants) {
  if (paused_ && wants && subscription_ != nullptr) {
    paused_ = false;
    subscription_->Resume();
  } else if (!wants) {
    paused_ = true;
  }
}

void SourceSide::ReadHead(std::function<void(const Answer<std::optional<Position>>&)> done) {
  Reach([this, done = std::move(done)](const std::optional<EndOfCall>& failed) {
    if (failed.has_value()) {
      done(*failed);
      return;
    }
    source_->ReadHead(Gate::Wrap(gate_, [this, done](const Answer<std::optional<Witness>>& head) {
      if (!head.ok()) {
        Learn(call_, head.end());
      }
      done(PlaceOf(head));
    }));
  });
}

void SourceSide::Shutdown() {
  shut_down_ = true;
  watch_.reset();
  if (searched_by_ != nullptr) {
    searched_by_->Forget(search_number_);
  }
  if (source_ != nullptr) {
    source_->Shutdown();
  }
}

SourceSide::Rest SourceSide::Close() {
  Shutdown();
  return {std::move(source_), std::move(subscription_)};
}

}  // namespace catchup
