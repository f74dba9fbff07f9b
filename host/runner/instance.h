#pragma once

#include <catchup/plugin.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "host/base/position.h"
#include "host/ring/contract/calls.h"
#include "host/ring/layout.h"
#include "host/runner/host_table.h"
#include "host/runner/plugin_library.h"

namespace catchup {

// What a call into the plugin came to.
struct CallResult {
  CallKind call = CallKind::kNone;
  std::int32_t status = CATCHUP_OK;  // Or kRunnerContract.
  std::uint64_t applied = 0;         // Leading events, for calls with events.
  std::string text;

  bool ok() const { return status == CATCHUP_OK; }
};

// Told when a call begins and ends, for the host's clock.
class CallObserver {
 public:
  virtual ~CallObserver() = default;
  virtual void BeginCall(CallKind kind, Ticket ticket) = 0;
  virtual void EndCall() = 0;
};

// One instance of a projection through its life: create, start, events, stop, destroy. Checks every
// status and count against the contract. One thread.
class Instance {
 public:
  Instance(const PluginLibrary& library, HostTable* host, CallObserver* observer)
      : library_(library), host_(host), observer_(observer) {}

  // Create and Start; with a position keeper LoadPosition must follow.
  CallResult Create();
  CallResult Start();
  CallResult LoadPosition(std::uint64_t token);
  // Tells the plugin where an operator puts it; after LoadPosition. None takes its position away,
  // so that it begins anew.
  CallResult SetPosition(std::optional<Position> position);

  // The most events one Handle may be given.
  std::uint32_t max_events() const;
  bool position_mode() const { return library_.has_position() && use_position_; }
  // Leaves handle_at alone although the plugin has it, for a trial without a position.
  void IgnorePosition() { use_position_ = false; }
  const std::optional<Position>& stored_position() const { return stored_; }

  // Applies events, in order: by handle_at with the last event's position, handle_batch, or handle
  // for each. `ticket` is the first one's, for the observer.
  CallResult Handle(std::span<const catchup_event* const> events, Ticket ticket);

  // One event in a call of its own, by handle where the projection has it: after a failed call of
  // several.
  CallResult HandleAlone(const catchup_event* event, Ticket ticket);

  // handle_at without events.
  CallResult Advance(Position position, Ticket ticket);

  // stop if started, destroy if created.
  void End();

 private:
  CallResult Finish(CallKind call, std::int32_t status, std::uint64_t count, std::uint64_t applied);
  CallResult HandleAt(std::span<const catchup_event* const> events, Position position,
                      Ticket ticket);
  template <typename Call>
  std::int32_t Observed(CallKind kind, Ticket ticket, Call call);

  const PluginLibrary& library_;
  HostTable* host_;
  CallObserver* observer_;
  catchup_instance* self_ = nullptr;
  bool created_ = false;
  bool started_ = false;
  bool use_position_ = true;
  std::uint64_t token_ = 0;
  std::optional<Position> stored_;
};

}  // namespace catchup
