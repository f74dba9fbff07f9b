#include "host/source/client/library_log.h"

#include <grpc/support/log.h>

#include <string>
#include <string_view>

#include "host/base/log.h"
#include "host/base/text.h"

namespace catchup {
namespace {

// As much of a message as a log line bears.
constexpr std::size_t kMaxMessageBytes = 1024;

// Whoever traces gRPC in its environment asks for headers too, and one of them is a password.
std::string_view Text(const gpr_log_func_args& message) {
  const std::string_view text = message.message;
  return LowerCase(text).find("authorization") == std::string::npos ? text
                                                                    : "(headers with credentials)";
}

void Write(gpr_log_func_args* message) {
  Log(message->severity == GPR_LOG_SEVERITY_ERROR ? LogLevel::kWarn : LogLevel::kDebug, "gRPC",
      "Client.Library", "", {{"reason", OneLine(Text(*message), kMaxMessageBytes)}});
}

}  // namespace

void TakeOverLibraryLog() {
  static const bool taken = (gpr_set_log_function(Write), true);
  (void)taken;
}

}  // namespace catchup
