#include "host/daemon/store/store_side.h"

#include <utility>

#include "host/base/log.h"
#include "host/store/witnesses.h"

namespace catchup {

StoreSide::StoreSide(const GroupConfig& config, const Services& services,
                     std::shared_ptr<Gate> gate)
    : services_(services),
      gate_(std::move(gate)),
      shared_(std::make_shared<Shared>(config, *services.state, *services.plugin_directories)),
      queue_(SerialQueue::Create(services.pool)) {}

StoreSide::~StoreSide() { queue_->Close(); }

void StoreSide::Do(Step step, Wanted wanted, Done done) {
  queue_->Post([gate = gate_, shared = shared_, step = std::move(step), wanted = std::move(wanted),
                done = std::move(done)] {
    bool go_on = wanted == nullptr;
    gate->Enter([&] {
      go_on = go_on || wanted();
      if (!go_on) {
        done(Status::Cancelled("not wanted any more"));
      }
    });
    if (go_on) {
      const Status status = step(shared.get());
      gate->Enter([&] { done(status); });
    }
  });
}

void StoreSide::Prepare(Wanted wanted, Done done) {
  Do(
      [](Shared* shared) {
        if (const Status ran = shared->preparation.Run(); !ran.ok()) {
          return ran.may_pass() ? ran.Within(shared->preparation.what()) : ran;
        }
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
      [checkpoint = std::move(checkpoint)](Shared* shared) {
        CheckpointRecord record = shared->store->record();
        const bool back = checkpoint.may_go_back && record.checkpoint.has_value() &&
                          checkpoint.position < *record.checkpoint;
        record.checkpoint = checkpoint.position;
        if (back) {
          DropWitnessesBeyond(checkpoint.position, &record.witnesses);
        }
        if (checkpoint.witness.has_value()) {
          AddWitness(*checkpoint.witness, &record.witnesses);
        }
        record.last_event = checkpoint.event;
        record.letters = checkpoint.letters;
        if (checkpoint.names_plugin) {
          record.plugin_digest = shared->preparation.plugin().digest;
        }
        return back ? shared->store->Rewind(record) : shared->store->Save(record);
      },
      std::move(wanted), std::move(done));
}

void StoreSide::PrepareSpawn(std::uint64_t seen, Wanted wanted, SpawnReady done) {
  const auto token = std::make_shared<std::uint64_t>(0);
  Do(
      [token, seen, directories = services_.plugin_directories,
       state = services_.state](Shared* shared) {
        if (shared->unused_token == 0) {
          const auto next = shared->store->RaiseTokenAbove(seen);
          if (!next.ok()) {
            return next.status().Within("fencing token not written");
          }
          shared->unused_token = *next;
        }
        *token = shared->unused_token;
        std::string lost;
        const Status there =
            RestageIfLost(shared->preparation.plugin(), *directories, state->plugins(), &lost);
        if (there.may_pass()) {
          return there.Within("plugin's copy not checked");
        }
        shared->unused_token = 0;
        if (there.ok() && !lost.empty()) {
          Log(LogLevel::kWarn, "Plugin copied again", "Group.Spawn", shared->group.name,
              {{"reason", lost}});
        }
        return there;
      },
      std::move(wanted),
      [token, done = std::move(done)](const Status& status) { done(*token, status); });
}

void StoreSide::AcceptFilter(Wanted wanted, Done done) {
  Do([](Shared* shared) { return shared->store->AcceptFilter(); }, std::move(wanted),
     std::move(done));
}

void StoreSide::FinishReset(Wanted wanted, Done done) {
  Do([](Shared* shared) { return shared->store->FinishReset(); }, std::move(wanted),
     std::move(done));
}

void StoreSide::StoreDesired(DesiredState desired, Done done) {
  Do([desired](Shared* shared) { return shared->store->SetDesired(desired); }, nullptr,
     std::move(done));
}

void StoreSide::StoreFence(std::uint64_t seen) {
  Do(
      [seen](Shared* shared) {
        if (const Status stored = shared->store->SetFence(seen); !stored.ok()) {
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
      [state = services_.state, data, has_data](Shared* shared) {
        CATCHUP_RETURN_IF_ERROR(shared->store->CheckStillThere());
        *has_data = state->HasGroupData(shared->group.name, data);
        return Status();
      },
      nullptr, [has_data, done = std::move(done)](const Status& there) { done(there, *has_data); });
}

}  // namespace catchup
