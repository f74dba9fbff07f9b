#include "host/daemon/group/start_path.h"

#include <utility>

namespace catchup {
namespace {

using Next = StartPath::Next;
using Step = StartPath::Step;

Next Do(Step step) {
  return {.what = Next::What::kStep, .step = step, .state = {}, .reason = {}, .refused = false};
}

Next Later(Step step, std::string reason) {
  return {.what = Next::What::kLater,
          .step = step,
          .state = {},
          .reason = std::move(reason),
          .refused = false};
}

Next End(GroupState state, std::string reason) {
  return {.what = Next::What::kEnd,
          .step = {},
          .state = state,
          .reason = std::move(reason),
          .refused = false};
}

// Whatever keeps the host from a connection or an answer is the server's, so it may pass.
bool MayPass(Step step, const Status& status) {
  return step == Step::kOpenSource || step == Step::kReadHead || status.may_pass();
}

std::string WhatFailed(Step step) {
  switch (step) {
    case Step::kReadHead:
      return "head of the log not read, where the group is to start: ";
    case Step::kOpenLetters:
      return "dead letters not opened: ";
    case Step::kOpenSource:
    case Step::kPrepare:
    case Step::kStartEngine:
      break;
  }
  return {};
}

}  // namespace

Next StartPath::Begin() const {
  return stopping_ ? End(GroupState::kStopped, "stopped") : Do(Step::kOpenSource);
}

Next StartPath::After(Step step, const Status& result, const Found& found) const {
  if (stopping_) {
    return End(GroupState::kStopped, "stopped");
  }
  if (!result.ok()) {
    if (!MayPass(step, result)) {
      return End(GroupState::kFailed, result.message());
    }
    Next later = Later(step, WhatFailed(step) + result.message());
    later.refused = found.refused;
    if (found.of_access) {
      later.reason.insert(0, "credentials: ");
    }
    return later;
  }
  switch (step) {
    case Step::kOpenSource:
    case Step::kReadHead:
      return Do(Step::kPrepare);
    case Step::kPrepare:
      if (found.hold.has_value()) {
        Next hold = End(found.hold->state, found.hold->reason);
        hold.what = Next::What::kHold;
        return hold;
      }
      return Do(found.needs_head ? Step::kReadHead : Step::kOpenLetters);
    case Step::kOpenLetters:
    case Step::kStartEngine:
      break;
  }
  return Do(Step::kStartEngine);
}

}  // namespace catchup
