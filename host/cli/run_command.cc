#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "host/admin/host_service.h"
#include "host/base/log.h"
#include "host/cli/commands.h"
#include "host/cli/source_files.h"
#include "host/config/config_warnings.h"
#include "host/config/credentials.h"
#include "host/config/reader.h"
#include "host/daemon/host.h"

namespace catchup {

int RunCommand(const RunArguments& arguments) {
  const ConfigReading reading = ReadConfigFile(arguments.config);
  for (const std::string& problem : reading.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  if (!reading.config.has_value()) {
    return kExitConfiguration;
  }
  const HostConfig& config = *reading.config;
  if (!arguments.group.empty() &&
      std::none_of(config.groups.begin(), config.groups.end(),
                   [&](const GroupConfig& group) { return group.name == arguments.group; })) {
    std::string names;
    for (const GroupConfig& group : config.groups) {
      names += (names.empty() ? "" : ", ") + group.name;
    }
    std::fprintf(stderr, "--group %s: %s has no such group, it has %s\n", arguments.group.c_str(),
                 config.file.c_str(), names.c_str());
    return kExitUsage;
  }
  const auto credentials = OpenSourceFiles(config.source, arguments.config);
  if (!credentials.ok()) {
    std::fprintf(stderr, "%s\n", credentials.status().message().c_str());
    return kExitConfiguration;
  }
  ConfigureLog({config.log.level, config.log.format});
  for (const ConfigWarning& warning : FindConfigWarnings(config, arguments.config.string())) {
    if (arguments.group.empty() || warning.group.empty() || warning.group == arguments.group) {
      Log(LogLevel::kWarn, "Configuration", "RunCommand", warning.group,
          {{"reason", warning.text}});
    }
  }
  if (const std::string warning = WarnOfReadablePassword(config.source.uri);
      *credentials != nullptr && !warning.empty()) {
    Log(LogLevel::kWarn, "Configuration", "RunCommand", "", {{"reason", warning}});
  }
  return RunHost(config, {arguments.until_caught_up, arguments.group, ServeHost, *credentials});
}

}  // namespace catchup
