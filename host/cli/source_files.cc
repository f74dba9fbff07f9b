#include "host/cli/source_files.h"

#include <fmt/core.h>

#include "host/config/tls_files.h"

namespace catchup {

Result<std::shared_ptr<Credentials>> OpenSourceFiles(const SourceConfig& source,
                                                     const std::filesystem::path& file) {
  const auto at = [&](SourceLocation place) {
    return fmt::format("{}:{}:{}", file.string(), place.line, place.column);
  };
  auto credentials = FindCredentials(source.uri, source.credentials_file);
  if (!credentials.ok()) {
    return credentials.status().Within(
        at(source.credentials_file.path.empty() ? source.location : source.credentials_location));
  }
  CATCHUP_RETURN_IF_ERROR(
      CheckTlsFiles(source.uri.settings).Within("source.uri").Within(at(source.location)));
  return credentials;
}

}  // namespace catchup
