#include <cstdio>
#include <filesystem>
#include <optional>

#include "host/cli/commands.h"
#include "host/config/reader.h"
#include "host/plugins/plugin_file.h"
#include "host/plugins/runner_process.h"
#include "host/store/checkpoint_store.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// Everything `run` would find at the group's start, but without making an instance.
Status CheckPlugin(const HostConfig& config, const GroupConfig& group, const RunnerBinary& runner) {
  auto file = FindPlugin(config.plugins.directories, group.plugin);
  if (!file.ok()) {
    return file.status();
  }
  // Loaded from a copy, as a group would load it.
  std::string scratch = (fs::temp_directory_path() / "catchup-check-XXXXXX").string();
  if (mkdtemp(scratch.data()) == nullptr) {
    return Status::FromErrno("make a scratch directory", errno);
  }
  Status checked;
  auto staged = StagePlugin(*file, scratch, group.sha256);
  if (staged.ok()) {
    checked = ProbePlugin(runner, staged->path, group.projection).status();
  } else {
    checked = staged.status();
  }
  std::error_code ignored_leftover;  // A scratch copy that stays is no reason to fail.
  fs::remove_all(scratch, ignored_leftover);
  return checked;
}

// The stores can only be looked at while no host has them.
Status CheckStore(const StateDirectory& state, const GroupConfig& group) {
  std::error_code failed;
  if (!fs::exists(state.group(group.name), failed)) {
    return {};
  }
  return CheckpointStore::Open(state.groups(), group.name, group.filter).status();
}

std::optional<StateDirectory> OpenState(const HostConfig& config, Status* problem) {
  std::error_code failed;
  if (!fs::exists(config.state.directory, failed)) {
    return std::nullopt;
  }
  auto state = StateDirectory::Open(config.state.directory);
  if (state.ok()) {
    return std::move(*state);
  }
  if (state.status().code() == Status::Code::kInUse) {
    std::fprintf(stderr, "%s: checkpoints were not looked at\n", state.status().message().c_str());
  } else {
    *problem = state.status();
  }
  return std::nullopt;
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
  std::size_t problems = reading.problems.size();
  for (const std::string& problem : reading.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  if (!reading.config.has_value()) {
    return kExitConfiguration;
  }
  const HostConfig& config = *reading.config;
  const auto runner = RunnerBinary::Find();
  if (!runner.ok()) {
    std::fprintf(stderr, "%s\n", runner.status().message().c_str());
    return kExitFailed;
  }
  Status state_problem;
  const std::optional<StateDirectory> state = OpenState(config, &state_problem);
  if (!state_problem.ok()) {
    std::fprintf(stderr, "%s\n", state_problem.message().c_str());
    ++problems;
  }
  for (const GroupConfig& group : config.groups) {
    const Status found[] = {CheckPlugin(config, group, *runner),
                            state.has_value() ? CheckStore(*state, group) : Status()};
    for (const Status& status : found) {
      if (!status.ok()) {
        std::fprintf(stderr, "%s:%u:%u: group %s: %s\n", config.file.c_str(), group.location.line,
                     group.location.column, group.name.c_str(), status.message().c_str());
        ++problems;
      }
    }
  }
  if (problems != 0) {
    return kExitConfiguration;
  }
  std::printf("%s: ok, %zu group%s\n", arguments.file.c_str(), config.groups.size(),
              config.groups.size() == 1 ? "" : "s");
  return kExitDone;
}

}  // namespace catchup
