#include "host/daemon/runner/runner_start.h"

#include <string>
#include <utility>

namespace catchup {

namespace {

Result<std::unique_ptr<ControlGroup>> EnterControlGroup(const ControlGroups& groups,
                                                        const GroupConfig& group, SpawnNumber spawn,
                                                        pid_t pid) {
  CATCHUP_ASSIGN_OR_RETURN(auto made, groups.Make(group.name, spawn, group.limits.memory_bytes));
  CATCHUP_RETURN_IF_ERROR(made->Enter(pid));
  return made;
}

}  // namespace

Result<std::unique_ptr<RunnerLink>> StartRunner(const RunnerStart& start, const RunnerLock& lock) {
  const GroupConfig& group = *start.group;
  CATCHUP_ASSIGN_OR_RETURN(std::unique_ptr<HostEnd> rings, HostEnd::Create(group.name));
  RunnerSetup setup;
  setup.group = group.name;
  setup.projection = group.projection;
  const std::string path = start.plugin.string();
  setup.plugin_path = path;
  setup.config_json = group.settings.json;
  setup.settings = &group.settings.values;
  setup.open_files = group.limits.open_files;
  setup.token = start.token;
  setup.lane = start.lane;
  setup.reset = start.reset;
  setup.ignore_position = start.ignore_position;
  setup.create_only = start.create_only;
  if (const Status written = rings->WriteSetup(setup); !written.ok()) {
    // It would fail however often it is tried.
    return Status::Invalid(written.message());
  }
  RunnerProcess::Options options;
  options.group = group.name;
  options.rings = rings->descriptors();
  options.working_directory = start.working_directory;
  options.env = group.env;
  CATCHUP_ASSIGN_OR_RETURN(std::unique_ptr<RunnerProcess> process,
                           RunnerProcess::Spawn(*start.binary, options, lock));
  auto link = std::make_unique<RunnerLink>(start.spawn, std::move(rings), std::move(process));
  if (start.control_groups != nullptr) {
    link->SetControlGroup(
        EnterControlGroup(*start.control_groups, group, start.spawn, link->process().pid()));
  }
  // Only now: its plugin is not to do anything outside the group.
  link->rings().Publish();
  return link;
}

}  // namespace catchup
