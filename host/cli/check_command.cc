#include <catchup/plugin.h>
#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "host/base/path_access.h"
#include "host/cli/commands.h"
#include "host/cli/guard.h"
#include "host/cli/printable.h"
#include "host/cli/scratch_directory.h"
#include "host/cli/trial.h"
#include "host/config/config_warnings.h"
#include "host/config/credentials.h"
#include "host/config/reader.h"
#include "host/config/tls_files.h"
#include "host/engine/engine_text.h"
#include "host/plugins/children.h"
#include "host/plugins/plugin_file.h"
#include "host/plugins/plugin_probe.h"
#include "host/plugins/runner_process.h"
#include "host/ring/contract/calls.h"
#include "host/source/embedded/log_server.h"
#include "host/store/checkpoint_store.h"
#include "host/store/letter_reader.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// The most lines that are shown of what one group's plugin says: enough to see what it does.
constexpr std::uint64_t kMostPluginLines = 100;

// Everything that is found, sorted by its place in the file.
class Findings {
 public:
  explicit Findings(const fs::path& file) : file_(file.string()) {}

  // A whole line, as the reader of the file makes it.
  void AddLine(SourceLocation place, std::string line) { Insert(place, std::move(line)); }
  void Add(SourceLocation place, const std::string& text) {
    Insert(place, fmt::format("{}:{}:{}: {}", file_, place.line, place.column, text));
  }
  void AddStatus(SourceLocation place, const std::string& group, const Status& status) {
    if (!status.ok()) {
      Add(place, fmt::format("group {}: {}", group, status.message()));
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

// The groups of one plugin file, by its copy.
struct Shared {
  fs::path file;  // What was copied.
  std::vector<const GroupReading*> groups;
};

// What `run` would find out about the groups' plugins when it starts them, and with `create` about
// their configurations.
class PluginCheck {
 public:
  PluginCheck(const ConfigReading& reading, const RunnerBinary& runner, const fs::path& scratch,
              Findings* findings)
      : reading_(reading), runner_(runner), scratch_(scratch), findings_(*findings) {}

  // kUnavailable and the like when this machine cannot even try.
  Status Run(bool create);

 private:
  void Stage(const GroupReading& group);
  Status Probe(const fs::path& copy, const Shared& shared, bool create);
  Status Create(const GroupReading& group, const fs::path& copy, const fs::path& file);
  void Add(const GroupReading& group, const Status& status) {
    findings_.AddStatus(group.config.plugin_location, group.config.name, status);
  }

  const ConfigReading& reading_;
  const RunnerBinary& runner_;
  const fs::path& scratch_;
  Findings& findings_;
  std::map<fs::path, Shared> copies_;
  Status short_of_;  // What this machine lacked for a copy: no fault of the file.
};

Status PluginCheck::Run(bool create) {
  std::error_code failed;
  // Where the runners work: nothing of the host's, and nothing of each other's.
  fs::create_directory(scratch_ / "empty", failed);
  if (failed) {
    return Status::FromErrno("make a directory in " + scratch_.string(), failed.value());
  }
  for (const GroupReading& group : reading_.groups) {
    Stage(group);
  }
  for (const auto& [copy, shared] : copies_) {
    CATCHUP_RETURN_IF_ERROR(Probe(copy, shared, create));
  }
  return short_of_;
}

// Loaded from a copy, as a group would load it. Another digest than the pinned one does not hide
// what else is wrong with the file.
void PluginCheck::Stage(const GroupReading& group) {
  const auto file = FindPlugin(reading_.found.plugins.directories, group.config.plugin);
  if (!file.ok()) {
    Add(group, file.status());
    return;
  }
  const auto staged = StagePlugin(*file, scratch_, "");
  if (!staged.ok()) {
    if (staged.status().may_pass()) {
      short_of_ = staged.status().Within("group " + group.config.name + " was not looked at");
    } else {
      Add(group, staged.status());
    }
    return;
  }
  Add(group, CheckPin(*file, *staged, group.config.sha256));
  Shared& shared = copies_[staged->path];
  shared.file = file->path;
  shared.groups.push_back(&group);
}

// Loaded once for all groups that use it, for as long as the most patient of them waits.
Status PluginCheck::Probe(const fs::path& copy, const Shared& shared, bool create) {
  PluginProbe probe;
  probe.plugin = copy;
  probe.working_directory = scratch_ / "empty";
  for (const GroupReading* group : shared.groups) {
    probe.limit = std::max(probe.limit, group->config.start_timeout);
    probe.env.insert(probe.env.end(), group->config.env.begin(), group->config.env.end());
    if (group->projection_read) {
      probe.projections.push_back(group->config.projection);
    }
  }
  const auto unique = [](std::vector<std::string>* texts) {
    std::sort(texts->begin(), texts->end());
    texts->erase(std::unique(texts->begin(), texts->end()), texts->end());
  };
  unique(&probe.projections);
  unique(&probe.env);
  CATCHUP_ASSIGN_OR_RETURN(const auto probed, ProbePlugin(runner_, probe));
  for (const GroupReading* group : shared.groups) {
    const Probed* answer = &probed.loaded;
    if (group->projection_read) {
      const auto at = std::lower_bound(probe.projections.begin(), probe.projections.end(),
                                       group->config.projection);
      answer = &probed.projections[static_cast<std::size_t>(at - probe.projections.begin())];
    }
    const Status found = answer->Within(group->config.start_timeout, shared.file);
    Add(*group, {found.code(), ShowPath(found.message(), copy.string(), shared.file.string())});
    if (create && found.ok() && group->projection_read && group->settings_read) {
      CATCHUP_RETURN_IF_ERROR(Create(*group, copy, shared.file));
    }
  }
  return {};
}

// Has the plugin read the group's own configuration.
Status PluginCheck::Create(const GroupReading& group, const fs::path& copy, const fs::path& file) {
  const fs::path own = scratch_ / ("group-" + group.config.name);
  std::error_code failed;
  fs::create_directories(own / "data", failed);
  if (failed) {
    return Status::FromErrno("make " + own.string(), failed.value());
  }
  Trial::Options options{copy, file, own, own / "data"};
  options.create_only = true;
  options.most_lines = kMostPluginLines;
  Trial::Answer made;
  {
    Trial trial(group.config, options);
    if (Status started = trial.Start(); !started.ok()) {
      // More configuration than a runner can be given is the file's fault, all else the machine's.
      if (started.code() != Status::Code::kInvalid) {
        return started;
      }
      made = {CATCHUP_FAILED, started.message(), true};
    } else if (made = trial.AwaitReady(); made.status == CATCHUP_OK) {
      if (trial.position_mode() && group.config.lanes > 1) {
        findings_.Add(group.settings_location, fmt::format("group {}: {}", group.config.name,
                                                           NeedsOneLane(group.config.lanes)));
      }
      made = trial.Stop();
    }
  }
  Children::OfThisProcess().EndOrphans(Children::kOrphansEnd);
  if (made.status != CATCHUP_OK) {
    findings_.Add(group.settings_location,
                  fmt::format("group {}: create: {}: {}", group.config.name,
                              CallStatusName(made.status), Printable(made.text)));
  }
  return {};
}

// That a start would find the letters that it must, and whole. A host that runs has looked itself,
// and for room it waits.
Status CheckLetters(const fs::path& folder, const std::string& group,
                    const CheckpointRecord& record) {
  auto letters = LetterReader::Open(folder, group);
  if (letters.status().code() == Status::Code::kInUse ||
      letters.status().code() == Status::Code::kExhausted) {
    return {};
  }
  CATCHUP_RETURN_IF_ERROR(letters.status());
  CATCHUP_RETURN_IF_ERROR(letters->Scan([](const LetterHead&) {}));
  CATCHUP_ASSIGN_OR_RETURN(const FoundLetters found, letters->Mark());
  return CheckKnown(found, {record.letters, record.checkpoint}, group)
      .Within((folder / "letters.db").string());
}

// Checkpoints and letters of groups whose filter could be read, and what a group's files need.
void CheckStores(const ConfigReading& reading, Findings* findings) {
  const fs::path groups = StateDirectory::GroupsOf(reading.found.state.directory);
  for (const GroupReading& group : reading.groups) {
    const std::string& name = group.config.name;
    Status usable = CheckUsableDirectory(groups / name);
    findings->AddStatus(group.config.location, name, usable);
    if (usable.ok()) {
      findings->AddStatus(group.config.location, name,
                          CheckUsableDirectory(groups / name / "data"));
      for (std::uint32_t lane = 0; lane < group.config.lanes; ++lane) {
        const fs::path lock = StateDirectory::RunnerLockOf(groups / name, static_cast<int>(lane));
        findings->AddStatus(group.config.location, name, CheckUsableFile(lock));
      }
    }
    if (!group.filter_read) {
      continue;
    }
    const auto found = CheckpointStore::Inspect(groups, name, group.config.filter);
    findings->AddStatus(group.config.location, name, found.status());
    if (found.ok() && !found->warning.empty()) {
      std::fprintf(stderr, "warning: group %s: %s\n", name.c_str(), found->warning.c_str());
    }
    if (found.ok() && found->record) {
      findings->AddStatus(group.config.location, name,
                          CheckLetters(groups / name, name, *found->record));
    }
  }
}

// No finding: `run` starts and waits for room.
void WarnOfShortRoom(std::string_view what, const fs::path& path) {
  if (const std::string room = DescribeShortRoom(path); !room.empty()) {
    std::fprintf(stderr, "warning: %.*s: %s; a host waits for more\n",
                 static_cast<int>(what.size()), what.data(), room.c_str());
  }
}

// What `run` would meet before its first group.
void CheckState(const ConfigReading& reading, Findings* findings) {
  const StateConfig& config = reading.found.state;
  if (config.directory.empty()) {
    return;
  }
  const auto state = StateDirectory::LookAt(config.directory);
  if (!state.ok()) {
    findings->Add(config.location, state.status().message());
    return;
  }
  WarnOfShortRoom("state directory", config.directory);
  if (!state->note.empty()) {
    std::fprintf(stderr, "%s: checkpoints were not looked at\n", state->note.c_str());
  }
  if (state->readable) {
    CheckStores(reading, findings);
  }
}

void CheckSource(const SourceConfig& source, Findings* findings) {
  if (source.uri_text.empty()) {
    return;
  }
  const bool is_named = !source.credentials_file.path.empty();
  const auto credentials = FindCredentials(source.uri, source.credentials_file);
  if (!credentials.ok()) {
    findings->Add(is_named ? source.credentials_location : source.location,
                  credentials.status().message());
  } else if (const std::string warning = WarnOfReadablePassword(source.uri);
             *credentials != nullptr && !warning.empty()) {
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  }
  if (source.uri.kind != SourceUri::Kind::kEmbedded) {
    if (const Status files = CheckTlsFiles(source.uri.settings); !files.ok()) {
      findings->Add(source.location, "source.uri: " + files.message());
    }
    return;
  }
  embedded::ServerOptions options;
  options.directory = source.uri.path;
  options.listen = source.embedded_listen;
  const embedded::EmbeddedLook look = embedded::LookAtEmbedded(options);
  WarnOfShortRoom("embedded log", options.directory);
  if (!look.note.empty()) {
    std::fprintf(stderr, "%s: not looked at\n", look.note.c_str());
  }
  if (!look.log.ok()) {
    findings->Add(source.location, look.log.message());
  }
  if (!look.listen.ok()) {
    findings->Add(source.listen_location, look.listen.message());
  }
}

int Check(const CheckArguments& arguments, const ConfigReading& reading,
          const Result<ScratchDirectory>& scratch) {
  Findings findings(arguments.file);
  for (std::size_t i = 0; i < reading.problems.size(); ++i) {
    findings.AddLine(reading.places[i], reading.problems[i]);
  }
  HostConfig found = reading.found;
  for (const GroupReading& group : reading.groups) {
    found.groups.push_back(group.config);
  }
  for (const ConfigWarning& warning : FindConfigWarnings(found, arguments.file.string())) {
    std::fprintf(stderr, "warning: %s\n", warning.text.c_str());
  }
  CheckSource(reading.found.source, &findings);
  CheckState(reading, &findings);
  Status tried = scratch.ok() ? Status() : scratch.status();
  if (tried.ok()) {
    const auto runner = RunnerBinary::Find();
    tried = runner.status();
    if (tried.ok() && !reading.found.plugins.directories.empty()) {
      tried = PluginCheck(reading, *runner, scratch->path(), &findings).Run(arguments.create);
    }
  }
  findings.Print();
  if (!tried.ok()) {
    std::fprintf(stderr, "%s\n", tried.message().c_str());
    return kExitFailed;
  }
  if (!findings.empty()) {
    return kExitConfiguration;
  }
  const std::size_t groups = reading.groups.size();
  std::printf("%s: ok, %zu group%s\n", arguments.file.c_str(), groups, groups == 1 ? "" : "s");
  return kExitDone;
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
  const auto scratch = ScratchDirectory::Make();
  return RunGuarded([&] { return Check(arguments, reading, scratch); });
}

}  // namespace catchup
