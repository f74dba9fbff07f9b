#include "host/runner/instance.h"

#include <algorithm>

#include "host/base/str_cat.h"

namespace catchup {
namespace {

constexpr const char* kNoReject = "returned REJECT, which has no meaning there";

bool IsStatus(std::int32_t status) { return status >= CATCHUP_OK && status <= CATCHUP_FATAL; }

catchup_position Plain(Position position) { return {position.commit, position.prepare}; }

}  // namespace

template <typename Call>
std::int32_t Instance::Observed(CallKind kind, Ticket ticket, Call call) {
  host_->BeginCall(kind);
  observer_->BeginCall(kind, ticket);
  const std::int32_t status = call();
  observer_->EndCall();
  host_->EndCall();
  return status;
}

CallResult Instance::Finish(CallKind call, std::int32_t status, std::uint64_t count,
                            std::uint64_t applied) {
  CallResult result{call, status, applied, {}};
  if (const std::string_view violation = host_->violation(); !violation.empty()) {
    // Whatever the status says: the state behind it is not to be trusted.
    result.status = kRunnerContract;
    result.text = violation;
    result.applied = 0;
    return result;
  }
  if (status == CATCHUP_OK && (applied == 0 || applied == count)) {
    result.applied = count;
    return result;
  }
  result.text = host_->error();
  if (!IsStatus(status)) {
    result.status = kRunnerContract;
    result.text = StrCat("returned ", status, ": wanted one of CATCHUP_OK … CATCHUP_FATAL");
    result.applied = 0;
  } else if (status == CATCHUP_OK || (count != 0 && applied >= count)) {
    result.status = kRunnerContract;
    result.text = StrCat("returned ", CallStatusName(status), " with ", applied, " of ", count,
                         " events applied: wanted ",
                         status == CATCHUP_OK ? "all of them, or 0" : "fewer than all of them");
    result.applied = 0;
  } else if (status == CATCHUP_REJECT && !HasEvents(call)) {
    result.status = kRunnerContract;
    result.text = result.text.empty() ? kNoReject : StrCat(kNoReject, ": ", result.text);
  }
  return result;
}

CallResult Instance::Create() {
  catchup_instance* made = nullptr;
  const std::int32_t status = Observed(
      CallKind::kCreate, 0, [&] { return library_.projection().create(host_->table(), &made); });
  CallResult result = Finish(CallKind::kCreate, status, 0, 0);
  if (result.ok()) {
    self_ = made;
    created_ = true;
  }
  return result;
}

CallResult Instance::Start() {
  const std::int32_t status =
      Observed(CallKind::kStart, 0, [&] { return library_.projection().start(self_); });
  CallResult result = Finish(CallKind::kStart, status, 0, 0);
  started_ = result.ok();
  return result;
}

CallResult Instance::LoadPosition(std::uint64_t token) {
  token_ = token;
  catchup_loaded_position loaded{};
  const std::int32_t status = Observed(CallKind::kLoadPosition, 0, [&] {
    return library_.position().load_position(self_, token, &loaded);
  });
  CallResult result = Finish(CallKind::kLoadPosition, status, 0, 0);
  if (result.ok() && loaded.present != 0) {
    stored_ = Position{loaded.position.commit, loaded.position.prepare};
  }
  return result;
}

CallResult Instance::SetPosition(std::optional<Position> position) {
  const catchup_position to = Plain(position.value_or(Position{}));
  const std::int32_t status = Observed(CallKind::kSetPosition, 0, [&] {
    return library_.position().set_position(self_, position.has_value() ? &to : nullptr, token_);
  });
  CallResult result = Finish(CallKind::kSetPosition, status, 0, 0);
  if (result.ok()) {
    stored_ = position;
  }
  return result;
}

std::uint32_t Instance::max_events() const {
  if (position_mode()) return std::min(library_.position().max_events, kMostEventsPerCall);
  if (library_.has_batch()) return std::min(library_.batch().max_events, kMostEventsPerCall);
  return 1;
}

CallResult Instance::Handle(std::span<const catchup_event* const> events, Ticket ticket) {
  if (position_mode()) {
    const catchup_position& last = events.back()->position;
    return HandleAt(events, {last.commit, last.prepare}, ticket);
  }
  std::uint64_t applied = 0;
  if (library_.has_batch()) {
    const std::int32_t status = Observed(CallKind::kHandleBatch, ticket, [&] {
      return library_.batch().handle_batch(self_, events.data(), events.size(), &applied);
    });
    return Finish(CallKind::kHandleBatch, status, events.size(), applied);
  }
  return HandleAlone(events.front(), ticket);
}

CallResult Instance::HandleAlone(const catchup_event* event, Ticket ticket) {
  if (position_mode()) {
    return HandleAt({&event, 1}, {event->position.commit, event->position.prepare}, ticket);
  }
  const std::int32_t status = Observed(CallKind::kHandle, ticket,
                                       [&] { return library_.projection().handle(self_, event); });
  return Finish(CallKind::kHandle, status, 1, 0);
}

CallResult Instance::HandleAt(std::span<const catchup_event* const> events, Position position,
                              Ticket ticket) {
  const catchup_position to = Plain(position);
  const catchup_position previous = stored_.has_value() ? Plain(*stored_) : catchup_position{};
  const std::int32_t status = Observed(CallKind::kHandleAt, ticket, [&] {
    return library_.position().handle_at(self_, events.data(), events.size(),
                                         stored_.has_value() ? &previous : nullptr, &to, token_);
  });
  CallResult result = Finish(CallKind::kHandleAt, status, events.size(), 0);
  if (result.ok()) {
    stored_ = position;
  }
  return result;
}

CallResult Instance::Advance(Position position, Ticket ticket) {
  CATCHUP_CHECK(position_mode());
  return HandleAt({}, position, ticket);
}

void Instance::End() {
  if (started_) {
    Observed(CallKind::kStop, 0, [&] {
      library_.projection().stop(self_);
      return CATCHUP_OK;
    });
    started_ = false;
  }
  if (created_) {
    Observed(CallKind::kDestroy, 0, [&] {
      library_.projection().destroy(self_);
      return CATCHUP_OK;
    });
    created_ = false;
  }
}

}  // namespace catchup
