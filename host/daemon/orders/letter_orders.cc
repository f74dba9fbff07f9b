// What operators decide about the letters of a group that does not run.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/base/log.h"
#include "host/base/time_text.h"
#include "host/daemon/letters/letter_jobs.h"
#include "host/daemon/orders/group_orders.h"
#include "host/daemon/text/hold_text.h"
#include "host/engine/engine_text.h"
#include "host/store/checkpoint_store.h"
#include "host/store/letter_store.h"

namespace catchup {
namespace {

Result<OrderNote> Drop(const LetterCommand& order, const std::string& by, const std::string& group,
                       LetterStore* store) {
  CATCHUP_ASSIGN_OR_RETURN(const auto letter, store->reader().Read(order.position));
  CATCHUP_RETURN_IF_ERROR(store->Drop(store->token(), order.position, order.reason, by));
  const LetterHead head = letter ? letter->head : LetterHead();
  const std::string position = FormatPosition(order.position);
  const std::string reason = "dead letter " + position + " dropped by " + by + ": " + order.reason;
  // As that of a group which runs.
  std::vector<LogField> fields = {{"reason", reason}, {"expected", true}};
  if (const std::string_view name = StoredClassName(head.letter_class); !name.empty()) {
    fields.emplace_back("class", name);
  }
  fields.emplace_back("attempt", head.attempts);
  fields.emplace_back("delayMs", 0);
  fields.emplace_back("position", position);
  fields.emplace_back("stream", head.stream);
  fields.emplace_back("eventType", head.type);
  LogEach(LogLevel::kInfo, "Dead letter dropped", "Group.OrderLetters", group, fields);
  return "letter " + position + " of stream " + head.stream + " dropped";
}

Result<OrderNote> ParkEvent(const std::filesystem::path& groups, const GroupConfig& group,
                            const LetterCommand& order, const std::string& by, LetterStore* store) {
  CATCHUP_ASSIGN_OR_RETURN(const auto checkpoint,
                           CheckpointStore::OpenForCommand(groups, group.name, group.filter));
  const std::optional<Position> place = checkpoint->record().checkpoint;
  if (place >= order.position) {
    CATCHUP_ASSIGN_OR_RETURN(const auto letter, store->reader().Read(order.position));
    if (letter) {
      return Status::NotFound(IsLetterText(group.name, order.position));
    }
    return Status::Invalid("what lies at " + FormatPosition(order.position) +
                           " is settled: the group's checkpoint is at " + FormatPosition(*place));
  }
  CATCHUP_RETURN_IF_ERROR(
      store->SetPark(store->token(), {order.position, NowTicks(), by, order.reason}));
  return ToBeParkedText(order.position, "after catchup start " + group.name);
}

Result<OrderNote> HoldType(const LetterCommand& order, const std::string& by, LetterStore* store) {
  LetterHold hold;
  hold.type = order.type;
  hold.by = LetterHold::By::kOperator;
  hold.since_ticks = NowTicks();
  hold.reason = order.reason + " (" + by + ")";
  CATCHUP_RETURN_IF_ERROR(store->SetHold(store->token(), hold));
  return TypeParkedText(order.type);
}

Result<OrderNote> FreeType(const LetterCommand& order, const std::string& group,
                           LetterStore* store) {
  bool held = false;
  CATCHUP_RETURN_IF_ERROR(store->reader().ScanHolds(
      [&](const LetterHold& hold) { held = held || hold.type == order.type; }));
  if (!held) {
    return Status::NotFound(NotHeldText(order.type) + SeeHeldText(group));
  }
  CATCHUP_RETURN_IF_ERROR(store->EndHold(store->token(), order.type));
  return TypeUnparkedText(order.type);
}

}  // namespace

const char* LetterCommandName(LetterCommand::Kind kind) {
  switch (kind) {
    case LetterCommand::Kind::kRetry:
      return "dlq retry";
    case LetterCommand::Kind::kDrop:
      return "dlq drop";
    case LetterCommand::Kind::kParkEvent:
    case LetterCommand::Kind::kParkType:
      return "dlq park";
    case LetterCommand::Kind::kUnparkType:
      break;
  }
  return "dlq unpark";
}

Result<OrderNote> OrderLetters(const std::filesystem::path& groups, const GroupConfig& group,
                               const LetterCommand& order, const std::string& by) {
  CATCHUP_ASSIGN_OR_RETURN(const auto store, LetterStore::Open(groups / group.name, group.name,
                                                               StoreOptionsOf(group.dead_letters)));
  switch (order.kind) {
    case LetterCommand::Kind::kDrop:
      return Drop(order, by, group.name, store.get());
    case LetterCommand::Kind::kParkEvent:
      return ParkEvent(groups, group, order, by, store.get());
    case LetterCommand::Kind::kParkType:
      return HoldType(order, by, store.get());
    case LetterCommand::Kind::kUnparkType:
      return FreeType(order, group.name, store.get());
    case LetterCommand::Kind::kRetry:
      break;
  }
  return Status::Invalid("letters are called while their group runs");
}

}  // namespace catchup
