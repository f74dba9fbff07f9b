#include "host/source/client/library_log.h"

#include <grpc/support/log.h>

#include "host/base/log.h"
#include "host/base/text.h"

namespace catchup {
namespace {

// As much of a message as a log line bears.
constexpr std::size_t kMaxMessageBytes = 1024;

void Write(gpr_log_func_args* message) {
  Log(message->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn : LogLevel::kDebug, "gRPC",
      "Client.Library", "", {{"reason", OneLine(message->message, kMaxMessageBytes)}});
}

}  // namespace

void TakeOverLibraryLog() {
  static const bool taken = (gpr_set_log_function(Write), true);
  (void)taken;
}

}  // namespace catchup
