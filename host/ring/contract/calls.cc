#include "host/ring/contract/calls.h"

#include <catchup/plugin.h>

#include "host/base/str_cat.h"

namespace catchup {

std::string CallStatusName(std::int32_t status) {
  switch (status) {
    case CATCHUP_OK:
      return "OK";
    case CATCHUP_RETRY:
      return "RETRY";
    case CATCHUP_REJECT:
      return "REJECT";
    case CATCHUP_FAILED:
      return "FAILED";
    case CATCHUP_FATAL:
      return "FATAL";
    case kRunnerSetupFailed:
      return "set-up failure";
    case kRunnerContract:
      return "contract violation";
    default:
      return StrCat(status);
  }
}

std::string_view CallName(CallKind kind) {
  switch (kind) {
    case CallKind::kNone:
      return "none";
    case CallKind::kLoad:
      return "load";
    case CallKind::kCreate:
      return "create";
    case CallKind::kStart:
      return "start";
    case CallKind::kLoadPosition:
      return "load_position";
    case CallKind::kSetPosition:
      return "set_position";
    case CallKind::kHandle:
      return "handle";
    case CallKind::kHandleBatch:
      return "handle_batch";
    case CallKind::kHandleAt:
      return "handle_at";
    case CallKind::kStop:
      return "stop";
    case CallKind::kDestroy:
      return "destroy";
  }
  return "unknown";
}

}  // namespace catchup
