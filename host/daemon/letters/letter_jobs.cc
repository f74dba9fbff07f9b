#include "host/daemon/letters/letter_jobs.h"

#include <utility>
#include <vector>

namespace catchup {

LetterStore::Options StoreOptionsOf(const DeadLettersConfig& letters) {
  LetterStore::Options options;
  options.bounds = {letters.max_letters, letters.max_bytes};
  options.max_step_bytes = letters.max_bytes;
  for (const LetterSinkConfig& sink : letters.sinks) {
    options.sinks.push_back(sink.name);
  }
  return options;
}

Status WriteFailed(LetterStore* store, const FailedLetter& failed, LetterHead* written) {
  CATCHUP_ASSIGN_OR_RETURN(auto letter, store->reader().Read(failed.head.position));
  if (!letter) {
    return {};
  }
  LetterStore::Change change;
  change.head = letter->head;
  change.cause = std::move(letter->cause);
  const bool was_dead = change.head.state == StoredState::kDead;
  change.head.state = failed.head.state;
  change.head.letter_class = failed.head.letter_class;
  change.head.since_ticks = failed.head.since_ticks;
  change.head.due_ticks = failed.head.due_ticks;
  change.head.step = failed.head.step;
  ++change.head.attempts;
  change.head.last_failed_ticks = failed.head.last_failed_ticks;
  if (change.head.first_failed_ticks == 0) {
    change.head.first_failed_ticks = failed.head.last_failed_ticks;
  }
  if (!failed.infrastructure || change.cause.calls.empty()) {
    change.cause.reason = failed.cause.reason;
  }
  change.cause.calls.insert(change.cause.calls.end(), failed.cause.calls.begin(),
                            failed.cause.calls.end());
  change.cause.plugin = failed.cause.plugin;
  change.cause.plugin_digest = failed.cause.plugin_digest;
  change.cause.token = store->token();
  if (failed.retried_by) {
    change.steps.push_back({LetterStepKind::kRetried, *failed.retried_by});
  }
  if (!was_dead && change.head.state == StoredState::kDead) {
    change.steps.push_back({LetterStepKind::kDead, ""});
  }
  CATCHUP_RETURN_IF_ERROR(store->Update(store->token(), change));
  CutLetter(&change.cause);
  letter->head = change.head;
  letter->cause = std::move(change.cause);
  *written = change.head;
  written->bytes = LetterBytes(*letter);
  return {};
}

Status RemoveHealed(LetterStore* store, Position position,
                    const std::optional<std::string>& retried_by) {
  const Status removed = store->RemoveHealed(store->token(), position, retried_by);
  return removed.code() == Status::Code::kNotFound ? Status() : removed;
}

Status EndHolds(LetterStore* store, const std::string& type) {
  std::vector<std::string> types;
  if (type.empty()) {
    CATCHUP_RETURN_IF_ERROR(store->reader().ScanHolds(
        [&types](const LetterHold& hold) { types.push_back(hold.type); }));
  } else {
    types.push_back(type);
  }
  for (const std::string& held : types) {
    CATCHUP_RETURN_IF_ERROR(store->EndHold(store->token(), held));
  }
  return {};
}

}  // namespace catchup
