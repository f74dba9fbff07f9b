#include "host/daemon/orders/group_orders.h"

#include <fmt/core.h>

#include <memory>
#include <optional>
#include <utility>

#include "host/base/log.h"
#include "host/base/text.h"
#include "host/daemon/text/hold_text.h"
#include "host/store/checkpoint_slot.h"
#include "host/store/checkpoint_store.h"
#include "host/store/letter_reader.h"
#include "host/store/witnesses.h"

namespace catchup {
namespace {

std::string PositionText(const std::optional<Position>& position) {
  return position.has_value() ? FormatPosition(*position) : "none";
}

std::string PositionsOf(const std::vector<Witness>& witnesses) {
  std::string text;
  for (const Witness& witness : witnesses) {
    text += (text.empty() ? "" : ", ") + FormatPosition(witness.position);
  }
  return text;
}

// "STREAM@REVISION", or without a name that was too long to keep.
std::string EventText(const Witness& event) {
  return event.stream.empty()
             ? "the event there"
             : fmt::format("{}@{}", OneLine(event.stream, kMaxShown), event.revision);
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

// What a reset to `to` takes away. Where the file cannot be read the next start says why.
std::string LettersBeyond(const std::filesystem::path& folder, const std::string& group,
                          const PositionReset& to) {
  auto reader = LetterReader::Open(folder, group);
  const auto counted =
      reader.ok() ? reader->CountBehind(to.to) : Result<std::uint64_t>(reader.status());
  const std::uint64_t letters = counted.ok() ? *counted : 0;
  return letters == 0 ? std::string()
                      : fmt::format("; {} dead letter{} behind that {}, since {} again", letters,
                                    letters == 1 ? "" : "s", letters == 1 ? "goes" : "go",
                                    letters == 1 ? "its event comes" : "their events come");
}

// Says from where to where. `kept`: the events that the log has in common with the group's.
Result<std::string> Reset(const std::filesystem::path& groups, CheckpointStore* store,
                          const GroupConfig& group, const PositionReset& to,
                          std::vector<Witness> kept, const std::string& by) {
  const std::string from = PositionText(store->record().checkpoint);
  CATCHUP_RETURN_IF_ERROR(store->Reset(to.to, std::move(kept)));
  Log(LogLevel::kWarn, "Checkpoint reset", "Group.Reset", group.name,
      {{"by", by}, {"from", from}, {"to", ResetText(to)}});
  return "from " + from + " to " + ResetText(to) +
         LettersBeyond(groups / group.name, group.name, to);
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

PositionReset PlaceOf(const ResetTarget& target) {
  PositionReset reset;
  if (target.kind == ResetTarget::Kind::kPosition) {
    reset.to = target.position;
  }
  return reset;
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
                             const PositionReset& to, const std::string& by) {
  OrderNote note;
  CATCHUP_ASSIGN_OR_RETURN(const auto store, OpenForReset(groups, group, &note));
  CATCHUP_ASSIGN_OR_RETURN(const std::string moved, Reset(groups, store.get(), group, to, {}, by));
  return note.empty() ? moved : moved + "; " + note;
}

Result<std::vector<Witness>> WitnessesOf(const std::filesystem::path& groups,
                                         const GroupConfig& group) {
  const auto store = CheckpointStore::OpenForCommand(groups, group.name, group.filter);
  const bool is_new = store.status().code() == Status::Code::kNotFound;
  if (!store.ok() && !is_new) {
    return store.status();
  }
  if (is_new || (*store)->record().witnesses.empty()) {
    return Status::Invalid(
        fmt::format("--to last-good: group {} knows of no event that it has passed, by which to "
                    "recognise its log; wanted beginning or a position",
                    group.name));
  }
  return (*store)->record().witnesses;
}

Result<OrderNote> OrderResetToLastGood(const std::filesystem::path& groups,
                                       const GroupConfig& group,
                                       const std::vector<Witness>& witnesses, const LastGood& found,
                                       const std::string& by) {
  const auto& good = found.event;
  if (!good.has_value()) {
    return Status::Invalid(fmt::format(
        "--to last-good: the log has none of the events by which group {} knows its own, at {}{}; "
        "wanted that log, or --to beginning or a position of this one",
        group.name, PositionsOf(witnesses), found.refuted.empty() ? "" : ": " + found.refuted));
  }
  CATCHUP_ASSIGN_OR_RETURN(const auto store,
                           CheckpointStore::OpenForCommand(groups, group.name, group.filter));
  std::vector<Witness> kept = witnesses;
  DropWitnessesBeyond(good->position, &kept);
  const std::string repeats =
      store->record().checkpoint.has_value() && good->position < *store->record().checkpoint
          ? "what lies between comes again"
          : "nothing comes again";
  CATCHUP_ASSIGN_OR_RETURN(
      const std::string moved,
      Reset(groups, store.get(), group, PositionReset{good->position}, std::move(kept), by));
  return fmt::format("{}, behind {}, which the log has as it was; {}", moved, EventText(*good),
                     repeats);
}

}  // namespace catchup
