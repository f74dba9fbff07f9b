#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>

#include "host/cli/commands.h"
#include "host/cli/printable.h"
#include "host/cli/scratch_directory.h"
#include "host/config/config_warnings.h"
#include "host/config/reader.h"
#include "host/plugins/plugin_file.h"
#include "host/plugins/plugin_probe.h"
#include "host/plugins/runner_process.h"
#include "host/store/checkpoint_store.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// Everything that is found, sorted by its place in the file.
class Findings {
 public:
  explicit Findings(const fs::path& file) : file_(file.string()) {}

  // A whole line, as the reader of the file makes it.
  void AddLine(SourceLocation place, std::string line) { Insert(place, std::move(line)); }
  void Add(SourceLocation place, const std::string& text) {
    Insert(place, file_ + ":" + std::to_string(place.line) + ":" + std::to_string(place.column) +
                      ": " + text);
  }
  void AddStatus(SourceLocation place, const std::string& group, const Status& status) {
    if (!status.ok()) {
      Add(place, "group " + group + ": " + status.message());
    }
  }

  bool empty() const { return lines_.empty(); }
  void Print() const {
    for (const auto& [place, line] : lines_) {
      std::fprintf(stderr, "%s\n", line.c_str());
    }
  }

 private:
  void Insert(SourceLocation place, std::string line) {
    lines_.emplace(std::pair(place.line, place.column), std::move(line));
  }

  const std::string file_;
  std::multimap<std::pair<std::uint32_t, std::uint32_t>, std::string> lines_;
};

// Everything `run` would find at the group's start, but without making an instance. Of a group that
// was not read whole only whether its plugin is there.
Status CheckPlugin(const std::vector<fs::path>& directories, const GroupReading& reading,
                   const RunnerBinary& runner, const fs::path& scratch) {
  const GroupConfig& group = reading.config;
  const auto file = FindPlugin(directories, group.plugin);
  if (!file.ok() || !reading.whole) {
    return file.status();
  }
  // Loaded from a copy, as a group would load it.
  const auto staged = StagePlugin(*file, scratch, group.sha256);
  if (!staged.ok()) {
    return staged.status();
  }
  const Status probed = ProbePlugin(runner, staged->path, group.projection).status();
  return {probed.code(), ShowPath(probed.message(), staged->path.string(), file->path.string())};
}

void CheckStores(const HostConfig& config, Findings* findings) {
  const auto state = StateDirectory::LookAt(config.state.directory);
  if (!state.ok()) {
    findings->Add(config.state.location, state.status().message());
    return;
  }
  if (!state->note.empty()) {
    std::fprintf(stderr, "%s: checkpoints were not looked at\n", state->note.c_str());
  }
  if (!state->readable) {
    return;
  }
  const fs::path groups = StateDirectory::GroupsOf(config.state.directory);
  for (const GroupConfig& group : config.groups) {
    const auto warning = CheckpointStore::Inspect(groups, group.name, group.filter);
    findings->AddStatus(group.location, group.name, warning.status());
    if (warning.ok() && !warning->empty()) {
      std::fprintf(stderr, "warning: group %s: %s\n", group.name.c_str(), warning->c_str());
    }
  }
}

}  // namespace

int CheckCommand(const CheckArguments& arguments) {
  if (arguments.file.extension() == ".so") {
    std::fprintf(stderr,
                 "%s: this version checks configuration files; the conformance checks of a plugin "
                 "come with a later one (catchup try runs a plugin over a file of events)\n",
                 arguments.file.c_str());
    return kExitUsage;
  }
  const ConfigReading reading = ReadConfigFile(arguments.file);
  Findings findings(arguments.file);
  for (std::size_t i = 0; i < reading.problems.size(); ++i) {
    findings.AddLine(reading.places[i], reading.problems[i]);
  }
  const auto runner = RunnerBinary::Find();
  if (!runner.ok()) {
    std::fprintf(stderr, "%s\n", runner.status().message().c_str());
    return kExitFailed;
  }
  const auto scratch = ScratchDirectory::Make();
  if (!scratch.ok()) {
    findings.Print();
    std::fprintf(stderr, "%s\n", scratch.status().message().c_str());
    return kExitFailed;
  }
  if (!reading.plugin_directories.empty()) {
    for (const GroupReading& group : reading.groups) {
      findings.AddStatus(group.config.plugin_location, group.config.name,
                         CheckPlugin(reading.plugin_directories, group, *runner, scratch->path()));
    }
  }
  if (reading.config.has_value()) {
    for (const ConfigWarning& warning :
         FindConfigWarnings(*reading.config, arguments.file.string())) {
      std::fprintf(stderr, "warning: %s\n", warning.text.c_str());
    }
    CheckStores(*reading.config, &findings);
  }
  findings.Print();
  if (!findings.empty()) {
    return kExitConfiguration;
  }
  const std::size_t groups = reading.config->groups.size();
  std::printf("%s: ok, %zu group%s\n", arguments.file.c_str(), groups, groups == 1 ? "" : "s");
  return kExitDone;
}

}  // namespace catchup
