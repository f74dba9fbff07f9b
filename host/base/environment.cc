#include "host/base/environment.h"

#include <algorithm>
#include <string>

namespace catchup {

bool IsForbiddenVariable(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  return upper.starts_with("LD_") || upper.starts_with("GRPC_") || upper.ends_with("_PROXY") ||
         upper == "GLIBC_TUNABLES" || upper == "SSLKEYLOGFILE" || upper == "CATCHUP_CREDENTIALS";
}

}  // namespace catchup
