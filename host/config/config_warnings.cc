#include "host/config/config_warnings.h"

#include <fmt/core.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace catchup {
namespace {

std::string At(const std::string& file, SourceLocation place) {
  return fmt::format("{}:{}:{}: ", file, place.line, place.column);
}

// No group gets the events of a sink's stream, so one that asks for them by name waits in vain. All
// events, or all of a type, are another matter.
void WarnOfSinkStream(const GroupConfig& group, const LetterSinkConfig& sink,
                      const HostConfig& config, const std::string& file,
                      std::vector<ConfigWarning>* warnings) {
  for (const GroupConfig& reader : config.groups) {
    for (const std::string& prefix : reader.filter.prefixes) {
      if (reader.filter.match == EventFilter::Match::kStreamName && !prefix.empty() &&
          sink.target.rfind(prefix, 0) == 0) {
        warnings->push_back(
            {group.name,
             fmt::format("{}dead_letters.sinks: stream \"{}\" begins with prefix \"{}\" of group "
                         "{}; no group gets the events of a sink's stream, they are skipped",
                         At(file, sink.location), sink.target, prefix, reader.name)});
      }
    }
  }
}

void WarnOfSinks(const GroupConfig& group, const HostConfig& config, const std::string& file,
                 std::vector<ConfigWarning>* warnings) {
  for (const LetterSinkConfig& sink : group.dead_letters.sinks) {
    if (sink.kind == LetterSinkConfig::Kind::kStream) {
      WarnOfSinkStream(group, sink, config, file, warnings);
      continue;
    }
    const std::filesystem::path target = sink.target;
    std::error_code failed;
    if (std::filesystem::status(target.parent_path(), failed).type() ==
        std::filesystem::file_type::not_found) {
      warnings->push_back(
          {group.name, fmt::format("{}dead_letters.sinks: {} does not exist, wanted a directory "
                                   "for {}",
                                   At(file, sink.location), target.parent_path().string(),
                                   target.filename().string())});
    }
  }
}

}  // namespace

std::vector<ConfigWarning> FindConfigWarnings(const HostConfig& config, const std::string& file) {
  std::vector<ConfigWarning> warnings;
  for (const std::string& warning : config.source.uri.warnings) {
    warnings.push_back(
        {"", fmt::format("{}source.uri: {}", At(file, config.source.location), warning)});
  }
  if (config.source.uri.kind == SourceUri::Kind::kEmbedded &&
      !config.source.credentials_file.path.empty()) {
    warnings.push_back({"", At(file, config.source.credentials_location) +
                                "source.credentials_file: without effect: an embedded log has no "
                                "users"});
  }
  for (std::size_t i = 0; i < config.plugins.directories.size(); ++i) {
    const std::filesystem::path& directory = config.plugins.directories[i];
    std::error_code failed;
    const auto status = std::filesystem::status(directory, failed);
    // What cannot be looked at is told by the groups that need it.
    if (status.type() == std::filesystem::file_type::not_found) {
      warnings.push_back(
          {"", fmt::format("{}plugins.directories: {} does not exist, wanted a directory",
                           At(file, config.plugins.locations[i]), directory.string())});
    }
  }
  for (const GroupConfig& group : config.groups) {
    for (std::size_t i = 0; i < group.env.size(); ++i) {
      if (std::getenv(group.env[i].c_str()) == nullptr) {
        warnings.push_back(
            {group.name,
             fmt::format("{}env: {} is not set here, so the plugin of group {} does not get it",
                         At(file, group.env_locations[i]), group.env[i], group.name)});
      }
    }
    WarnOfSinks(group, config, file, &warnings);
  }
  return warnings;
}

}  // namespace catchup
