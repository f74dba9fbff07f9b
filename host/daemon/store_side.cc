#include "host/daemon/store_side.h"

#include <utility>

#include "host/base/log.h"
#include "host/store/witnesses.h"

namespace catchup {
namespace {

// While the disk is full, or whatever else may pass.
constexpr std::chrono::seconds kRetryPause{1};

}  // namespace

StoreSide::StoreSide(const GroupConfig& config, const Services& services,
                     std::shared_ptr<Gate> gate, Waits waits)
    : services_(services),
      gate_(std::move(gate)),
      waits_(std::make_shared<const Waits>(std::move(waits))),
      shared_(std::make_shared<Shared>(config, *services.state, *services.plugin_directories)),
      queue_(SerialQueue::Create(services.pool, services.reactor)) {}

StoreSide::~StoreSide() { queue_->Close(); }

// Does `step` until what stops it is no longer something that may pass, and says all the while what
// that is.
void StoreSide::Do(std::string_view what, Step step, Wanted wanted, Done done) {
  queue_->Post([gate = gate_, waits = waits_, shared = shared_, what, step = std::move(step),
                wanted = std::move(wanted), done = std::move(done),
                waited = false]() mutable -> std::optional<std::chrono::nanoseconds> {
    bool go_on = wanted == nullptr;
    gate->Enter([&] {
      go_on = go_on || wanted();
      if (!go_on) {
        waits->end(false);
        done(Status::Cancelled("not wanted any more"));
      }
    });
    if (!go_on) {
      return std::nullopt;
    }
    const Status status = step(shared.get());
    const bool again = status.may_pass();
    gate->Enter([&] {
      if (again) {
        const std::string_view in = what.empty() ? shared->preparation.what() : what;
        waits->begin(std::string(in) + ": " + status.message());
        return;
      }
      if (waited) {
        waits->end(status.ok());
      }
      done(status);
    });
    waited = again;
    return again ? std::optional<std::chrono::nanoseconds>(kRetryPause) : std::nullopt;
  });
}

void StoreSide::Prepare(Wanted wanted, Done done) {
  Do(
      "",
      [](Shared* shared) {
        CATCHUP_RETURN_IF_ERROR(shared->preparation.Run());
        if (shared->preparation.done()) {
          shared->store = shared->preparation.TakeStore();
        }
        return Status();
      },
      std::move(wanted), std::move(done));
}

const std::optional<Hold>& StoreSide::hold() const { return shared_->preparation.hold(); }

bool StoreSide::needs_head() const { return shared_->preparation.needs_head(); }

void StoreSide::SetHead(std::optional<Position> head) { shared_->preparation.SetHead(head); }

const CheckpointRecord& StoreSide::record() const { return shared_->store->record(); }

bool StoreSide::filter_changed() const { return shared_->store->filter_changed(); }

std::optional<PositionReset> StoreSide::pending_reset() const {
  const auto& reset = shared_->store->reset();
  return reset.has_value() && reset->pending ? std::optional<PositionReset>(*reset) : std::nullopt;
}

const StagedPlugin& StoreSide::plugin() const { return shared_->preparation.plugin(); }

void StoreSide::Save(Checkpoint checkpoint, Wanted wanted, Done done) {
  Do(
      "checkpoint not written",
      [checkpoint = std::move(checkpoint)](Shared* shared) {
        CheckpointRecord record = shared->store->record();
        const bool back = checkpoint.may_go_back && record.checkpoint.has_value() &&
                          checkpoint.position < *record.checkpoint;
        record.checkpoint = checkpoint.position;
        if (back) {
          DropWitnessesBeyond(checkpoint.position, &record.witnesses);
        }
        // One beyond the position was let go unhandled, as the group went back, and proves nothing.
        if (checkpoint.handled.has_value() && checkpoint.handled->position <= checkpoint.position) {
          AddWitness(*checkpoint.handled, &record.witnesses);
        }
        record.last_event = checkpoint.event;
        record.plugin_digest = shared->preparation.plugin().digest;
        return back ? shared->store->Rewind(record) : shared->store->Save(record);
      },
      std::move(wanted), std::move(done));
}

void StoreSide::PrepareSpawn(Wanted wanted, SpawnReady done) {
  const auto token = std::make_shared<std::uint64_t>(0);
  Do(
      "fencing token not written",
      [token](Shared* shared) {
        const auto next = shared->store->RaiseToken();
        *token = next.ok() ? *next : 0;
        return next.status();
      },
      wanted,
      [this, token, wanted, done](const Status& raised) {
        if (raised.ok()) {
          CheckCopy(*token, wanted, done);
        } else {
          done(0, raised);
        }
      });
}

void StoreSide::CheckCopy(std::uint64_t token, Wanted wanted, SpawnReady done) {
  Do(
      "plugin's copy not checked",
      [directories = services_.plugin_directories, state = services_.state](Shared* shared) {
        std::string lost;
        CATCHUP_RETURN_IF_ERROR(
            RestageIfLost(shared->preparation.plugin(), *directories, state->plugins(), &lost));
        if (!lost.empty()) {
          Log(LogLevel::kWarn, "Plugin copied again", "Group.Spawn", shared->group.name,
              {{"reason", lost}});
        }
        return Status();
      },
      std::move(wanted),
      [token, done = std::move(done)](const Status& there) { done(token, there); });
}

void StoreSide::AcceptFilter(Wanted wanted, Done done) {
  Do(
      "filter not written", [](Shared* shared) { return shared->store->AcceptFilter(); },
      std::move(wanted), std::move(done));
}

void StoreSide::FinishReset(Wanted wanted, Done done) {
  Do(
      "reset not written", [](Shared* shared) { return shared->store->FinishReset(); },
      std::move(wanted), std::move(done));
}

void StoreSide::StoreDesired(DesiredState desired, Done done) {
  Do(
      "command not written",
      [desired](Shared* shared) {
        const Status stored = shared->store->SetDesired(desired);
        // Whoever waits for it would rather know than wait.
        return stored.may_pass() ? Status::Cancelled(stored.message()) : stored;
      },
      nullptr, std::move(done));
}

void StoreSide::StoreFence(std::uint64_t seen) {
  Do(
      "fence not written",
      [seen](Shared* shared) {
        const Status stored = shared->store->SetFence(seen);
        if (!stored.ok()) {
          Log(LogLevel::kWarn, "Fence not written", "Group.Fence", shared->group.name,
              {{"reason", stored.message()}});
        }
        return Status();  // The next start finds out again.
      },
      nullptr, [](const Status&) {});
}

void StoreSide::CheckFiles(const StateDirectory::GroupData& data, FilesDone done) {
  const auto has_data = std::make_shared<bool>(true);
  Do(
      "checkpoint not looked at",
      [state = services_.state, data, has_data](Shared* shared) {
        CATCHUP_RETURN_IF_ERROR(shared->store->CheckStillThere());
        *has_data = state->HasGroupData(shared->group.name, data);
        return Status();
      },
      nullptr, [has_data, done = std::move(done)](const Status& there) { done(there, *has_data); });
}

}  // namespace catchup
