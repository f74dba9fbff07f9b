#include "host/daemon/group_orders.h"

#include <fmt/core.h>

#include <memory>
#include <optional>
#include <utility>

#include "host/base/log.h"
#include "host/base/text.h"
#include "host/daemon/hold_text.h"
#include "host/store/checkpoint_slot.h"
#include "host/store/checkpoint_store.h"

namespace catchup {
namespace {

std::string PositionText(const std::optional<Position>& position) {
  return position.has_value() ? FormatPosition(*position) : "none";
}

// Which events that the host has handled it could still name.
Status NoLastGood(const CheckpointStore& store, const std::string& group) {
  std::string witnesses;
  for (const Witness& witness : store.record().witnesses) {
    witnesses += (witnesses.empty() ? "" : ", ") + FormatPosition(witness.position);
  }
  return Status::Invalid(
      "--to last-good: this version does not prove which of the events it knows are in the log; "
      "wanted beginning or a position, and for group " +
      group + " it knows handled events at " + (witnesses.empty() ? "none" : witnesses));
}

Result<std::unique_ptr<CheckpointStore>> OpenForReset(const std::filesystem::path& groups,
                                                      const GroupConfig& group, OrderNote* note) {
  auto store = CheckpointStore::OpenForCommand(groups, group.name, group.filter);
  if (store.status().code() == Status::Code::kNotFound) {
    return CheckpointStore::Open(groups, group.name, group.filter);
  }
  if (store.status().code() == Status::Code::kCorrupt) {
    Log(LogLevel::kWarn, "Checkpoint store replaced", "Group.Reset", group.name,
        {{"reason", store.status().message()}});
    *note = "the checkpoint was lost or bad and is a new one; what there was of it is kept as " +
            (groups / group.name / "checkpoint.bad").string();
    return CheckpointStore::Replace(groups, group.name, group.filter);
  }
  return store;
}

// What `order` decides about.
Status ApplyStart(CheckpointStore* store, const GroupConfig& group, const StartOrder& order,
                  const std::string& by, OrderNote* note) {
  if (order.accept_filter && store->filter_changed()) {
    const std::string was = store->filter_text();
    CATCHUP_RETURN_IF_ERROR(store->AcceptFilter());
    Log(LogLevel::kWarn, "Changed filter accepted", "Group.Start", group.name,
        {{"by", by},
         {"was", was},
         {"is", store->filter_text()},
         {"checkpoint", PositionText(store->record().checkpoint)}});
    *note = fmt::format("goes on from {} with {} in place of {}",
                        PositionText(store->record().checkpoint), store->filter_text(), was);
  } else if (order.accept_filter) {
    *note = "the filter has not changed";
  }
  if (order.take_over) {
    const std::uint64_t seen = store->fence();
    const std::uint64_t ours = store->record().token;
    CATCHUP_RETURN_IF_ERROR(store->TakeOver());
    Log(LogLevel::kWarn, "Took over", "Group.Start", group.name,
        {{"by", by}, {"tokenSeen", seen}, {"tokenWas", ours}});
    *note += fmt::format("{}token raised from {} above {}", note->empty() ? "" : "; ", ours, seen);
  }
  return store->desired() == DesiredState::kRunning ? Status()
                                                    : store->SetDesired(DesiredState::kRunning);
}

}  // namespace

Result<ResetTarget> ParseResetTarget(std::string_view text) {
  if (text == "beginning") {
    return ResetTarget{ResetTarget::Kind::kBeginning, {}};
  }
  if (text == "last-good") {
    return ResetTarget{ResetTarget::Kind::kLastGood, {}};
  }
  const auto position = ParsePosition(text);
  if (!position.ok() || !IsPlace(*position)) {
    return Status::Invalid("found " + Quoted(text, kMaxShown) +
                           ", wanted beginning, last-good or a position as commit:prepare");
  }
  return ResetTarget{ResetTarget::Kind::kPosition, *position};
}

Status OrderStop(const std::filesystem::path& groups, const GroupConfig& group) {
  CATCHUP_ASSIGN_OR_RETURN(const auto store,
                           CheckpointStore::OpenForCommand(groups, group.name, group.filter));
  return store->desired() == DesiredState::kStopped ? Status()
                                                    : store->SetDesired(DesiredState::kStopped);
}

Result<OrderNote> OrderStart(const std::filesystem::path& groups, const GroupConfig& group,
                             const StartOrder& order, const std::string& by) {
  if (!order.accept_filter) {
    CATCHUP_RETURN_IF_ERROR(CheckpointStore::Inspect(groups, group.name, group.filter).status());
  }
  auto store = CheckpointStore::OpenForCommand(groups, group.name, group.filter);
  if (store.status().code() == Status::Code::kNotFound && !order.take_over) {
    return OrderNote("it has never run, so it begins at its start");
  }
  CATCHUP_RETURN_IF_ERROR(store.status());
  const std::uint64_t fence = (*store)->fence();
  if (fence != 0 && !order.take_over) {
    return Status::Denied(FencedText(group.name, fence, (*store)->record().token));
  }
  if (fence == 0 && order.take_over) {
    return Status::Invalid("group " + group.name +
                           " is not fenced, so there is nothing to take over; wanted no "
                           "--take-over");
  }
  OrderNote note;
  CATCHUP_RETURN_IF_ERROR(ApplyStart(store->get(), group, order, by, &note));
  return note;
}

Result<OrderNote> OrderReset(const std::filesystem::path& groups, const GroupConfig& group,
                             const ResetTarget& target, const std::string& by) {
  if (target.kind == ResetTarget::Kind::kLastGood) {
    CATCHUP_ASSIGN_OR_RETURN(const auto known,
                             CheckpointStore::OpenForCommand(groups, group.name, group.filter));
    return NoLastGood(*known, group.name);
  }
  OrderNote note;
  CATCHUP_ASSIGN_OR_RETURN(const auto store, OpenForReset(groups, group, &note));
  PositionReset reset;
  if (target.kind == ResetTarget::Kind::kPosition) {
    reset.to = target.position;
  }
  const std::optional<Position> from = store->record().checkpoint;
  CATCHUP_RETURN_IF_ERROR(store->Reset(reset.to));
  Log(LogLevel::kWarn, "Checkpoint reset", "Group.Reset", group.name,
      {{"by", by}, {"from", PositionText(from)}, {"to", ResetText(reset)}});
  const std::string moved = "from " + PositionText(from) + " to " + ResetText(reset);
  return note.empty() ? moved : moved + "; " + note;
}

}  // namespace catchup
