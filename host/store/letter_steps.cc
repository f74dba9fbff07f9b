#include "host/store/letter_steps.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/store/letter_json.h"
#include "host/store/letter_rows.h"

namespace catchup {
namespace {

std::string StepSum(const LetterStep& step) {
  std::string bytes = fmt::format("{} {} {} {} ", step.number, static_cast<int>(step.kind),
                                  FormatPosition(step.position), step.head.size());
  bytes += step.head;
  bytes += step.event;
  return RowSum(bytes);
}

}  // namespace

std::string_view LetterStepName(LetterStepKind kind) {
  switch (kind) {
    case LetterStepKind::kWritten:
      return "written";
    case LetterStepKind::kHealed:
      return "healed";
    case LetterStepKind::kDead:
      return "dead";
    case LetterStepKind::kRetried:
      return "retried";
    case LetterStepKind::kDropped:
      return "dropped";
  }
  return {};
}

Uuid LetterStep::Id(std::string_view group) const {
  std::string name = "catchup-dead-letter\n";
  name.append(group).append("\n").append(FormatPosition(position)).append("\n");
  return NameUuid(name.append(std::to_string(number)));
}

std::string LetterStep::Object(std::size_t most) const {
  std::string object = "{" + head + ",\"event\":";
  if (object.size() + event.size() + 1 <= most) {
    return object.append(event).append("}");
  }
  return object.append("null,\"eventBytes\":").append(std::to_string(event.size())).append("}");
}

Result<LetterSteps> LetterSteps::Over(Connection* connection, const std::vector<std::string>& sinks,
                                      std::uint64_t max_bytes) {
  LetterSteps steps(connection, !sinks.empty(), max_bytes);
  CATCHUP_RETURN_IF_ERROR(steps.CountAll());
  CATCHUP_ASSIGN_OR_RETURN(Statement known, connection->Prepare("SELECT name FROM sinks"));
  std::vector<std::string> gone;
  for (;;) {
    CATCHUP_ASSIGN_OR_RETURN(const bool row, known.Step());
    if (!row) {
      break;
    }
    std::string name(known.Bytes(0));
    if (std::find(sinks.begin(), sinks.end(), name) == sinks.end()) {
      gone.push_back(std::move(name));
    }
  }
  known.Reset();
  CATCHUP_ASSIGN_OR_RETURN(Statement forget,
                           connection->Prepare("DELETE FROM sinks WHERE name = ?1"));
  for (const std::string& name : gone) {
    forget.BindText(1, name);
    CATCHUP_RETURN_IF_ERROR(forget.Run());
  }
  CATCHUP_ASSIGN_OR_RETURN(
      Statement add,
      connection->Prepare("INSERT INTO sinks VALUES (?1, ?2) ON CONFLICT DO NOTHING"));
  for (const std::string& name : sinks) {
    add.BindText(1, name);
    add.Bind(2, Signed(steps.last_ - steps.count_));
    CATCHUP_RETURN_IF_ERROR(add.Run());
  }
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t least,
                           connection->QueryInt("SELECT coalesce(min(place), -1) FROM sinks"));
  CATCHUP_RETURN_IF_ERROR(
      steps.RemoveUpTo(least < 0 ? steps.last_ : static_cast<std::uint64_t>(least)));
  steps.Keep();
  return steps;
}

Status LetterSteps::CountAll() {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement all,
      connection_->Prepare("SELECT count(*), coalesce(sum(length(head) + length(event)), 0), "
                           "(SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = "
                           "'steps') FROM steps"));
  CATCHUP_RETURN_IF_ERROR(all.Step().status());
  count_ = static_cast<std::uint64_t>(all.Int(0));
  bytes_ = static_cast<std::uint64_t>(all.Int(1));
  last_ = static_cast<std::uint64_t>(all.Int(2));
  return {};
}

Status LetterSteps::Add(LetterStepKind kind, std::string_view group, const Letter& letter,
                        std::string_view note, std::int64_t time_ticks) {
  if (!wanted_) {
    return {};
  }
  LetterStep step;
  step.number = last_ + 1;
  step.kind = kind;
  step.position = letter.head.position;
  step.head.append("\"step\":\"").append(LetterStepName(kind)).append("\",\"number\":");
  step.head.append(std::to_string(step.number)).append(",\"time\":\"");
  step.head.append(FormatTicks(time_ticks)).append("\",\"note\":");
  AppendJsonString(note, &step.head);
  step.head.push_back(',');
  AppendLetterMembers(group, letter.head, letter.cause, &step.head);
  AppendLetterEvent(letter, &step.event);
  const std::string sum = StepSum(step);
  CATCHUP_ASSIGN_OR_RETURN(
      Statement insert,
      connection_->Prepare("INSERT INTO steps VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  insert.Bind(1, Signed(step.number));
  insert.Bind(2, static_cast<std::int64_t>(kind));
  insert.Bind(3, Signed(step.position.commit));
  insert.Bind(4, Signed(step.position.prepare));
  insert.BindBlob(5, step.head);
  insert.BindBlob(6, step.event);
  insert.BindBlob(7, sum);
  CATCHUP_RETURN_IF_ERROR(insert.Run());
  last_ = step.number;
  ++count_;
  bytes_ += step.head.size() + step.event.size();
  return MakeRoom();
}

// The newest step always stays.
Status LetterSteps::MakeRoom() {
  while (count_ > 1 && (count_ > kMaxSteps || bytes_ > max_bytes_)) {
    CATCHUP_RETURN_IF_ERROR(RemoveUpTo(last_ - count_ + 1));
  }
  return {};
}

Result<LetterSteps::Part> LetterSteps::Read(const std::string& sink) {
  Part part;
  CATCHUP_ASSIGN_OR_RETURN(Statement place,
                           connection_->Prepare("SELECT place FROM sinks WHERE name = ?1"));
  place.BindText(1, sink);
  CATCHUP_ASSIGN_OR_RETURN(const bool known, place.Step());
  if (!known) {
    return part;
  }
  part.place = static_cast<std::uint64_t>(place.Int(0));
  part.last = last_;
  CATCHUP_ASSIGN_OR_RETURN(
      Statement select,
      connection_->Prepare("SELECT number, kind, commit_position, prepare_position, head, event, "
                           "sum FROM steps WHERE number > ?1 ORDER BY number"));
  select.Bind(1, Signed(part.place));
  std::vector<LetterStep>& steps = part.steps;
  std::size_t bytes = 0;
  while (steps.size() < kMaxRead && bytes < kMaxReadBytes) {
    CATCHUP_ASSIGN_OR_RETURN(const bool row, select.Step());
    if (!row) {
      break;
    }
    LetterStep step;
    step.number = static_cast<std::uint64_t>(select.Int(0));
    step.kind = static_cast<LetterStepKind>(select.Int(1));
    step.position.commit = static_cast<std::uint64_t>(select.Int(2));
    step.position.prepare = static_cast<std::uint64_t>(select.Int(3));
    step.head = select.Bytes(4);
    step.event = select.Bytes(5);
    if (select.Bytes(6) != StepSum(step)) {
      return Status::Corrupt(
          fmt::format("step {} in table steps is not what was written there", step.number));
    }
    bytes += step.head.size() + step.event.size();
    steps.push_back(std::move(step));
  }
  return part;
}

Status LetterSteps::SetPlace(const std::string& sink, std::uint64_t number) {
  CATCHUP_ASSIGN_OR_RETURN(
      Statement update,
      connection_->Prepare("UPDATE sinks SET place = max(place, ?2) WHERE name = ?1"));
  update.BindText(1, sink);
  update.Bind(2, Signed(number));
  CATCHUP_RETURN_IF_ERROR(update.Run());
  CATCHUP_ASSIGN_OR_RETURN(const std::int64_t least,
                           connection_->QueryInt("SELECT coalesce(min(place), 0) FROM sinks"));
  return RemoveUpTo(static_cast<std::uint64_t>(least));
}

Status LetterSteps::RemoveUpTo(std::uint64_t number) {
  if (count_ == 0 || number < last_ - count_ + 1) {
    return {};
  }
  CATCHUP_ASSIGN_OR_RETURN(
      Statement size,
      connection_->Prepare("SELECT count(*), coalesce(sum(length(head) + length(event)), 0) FROM "
                           "steps WHERE number <= ?1"));
  size.Bind(1, Signed(number));
  CATCHUP_RETURN_IF_ERROR(size.Step().status());
  const auto count = static_cast<std::uint64_t>(size.Int(0));
  const auto bytes = static_cast<std::uint64_t>(size.Int(1));
  size.Reset();
  CATCHUP_ASSIGN_OR_RETURN(Statement remove,
                           connection_->Prepare("DELETE FROM steps WHERE number <= ?1"));
  remove.Bind(1, Signed(number));
  CATCHUP_RETURN_IF_ERROR(remove.Run());
  count_ -= std::min(count, count_);
  bytes_ -= std::min(bytes, bytes_);
  return {};
}

Status LetterSteps::Recount() {
  CATCHUP_RETURN_IF_ERROR(CountAll());
  Keep();
  return {};
}

void LetterSteps::Keep() { kept_ = {count_, bytes_, last_}; }

void LetterSteps::Forget() {
  count_ = kept_.count;
  bytes_ = kept_.bytes;
  last_ = kept_.last;
}

}  // namespace catchup
