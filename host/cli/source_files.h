#pragma once

#include <filesystem>
#include <memory>

#include "host/base/status.h"
#include "host/config/config.h"
#include "host/config/credentials.h"

namespace catchup {

// The files that a server is reached with: what this process shows it (FindCredentials, which comes
// once), and its certificates. What is wrong with them, with its place in `file`, the
// configuration.
Result<std::shared_ptr<Credentials>> OpenSourceFiles(const SourceConfig& source,
                                                     const std::filesystem::path& file);

}  // namespace catchup
