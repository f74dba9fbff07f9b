#include <catchup/plugin.h>
#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <catchup/path_text.hpp>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>
#include <sstream>
#include <string>
#include <string_view>

#include "host/base/build.h"
#include "host/base/inherited.h"
#include "host/base/number.h"
#include "host/base/shortage.h"
#include "host/base/signals.h"
#include "host/base/stop_budget.h"
#include "host/base/text.h"
#include "host/cli/commands.h"
#include "host/cli/dlq_options.h"
#include "host/cli/guard.h"
#include "host/ring/layout.h"

namespace catchup {
namespace {

std::string VersionText() {
  return fmt::format("catchup {}, commit {}, plugin ABI {}.{}", BuildVersion(), BuildCommit(),
                     CATCHUP_ABI_MAJOR, CATCHUP_ABI_MINOR);
}

void AddRun(CLI::App* app, RunArguments* arguments) {
  CLI::App* run = app->add_subcommand("run", "Runs the groups of a configuration until SIGTERM");
  run->add_option("FILE", arguments->config, "The configuration, in TOML")
      ->envname("CATCHUP_CONFIG")
      ->default_str("catchup.toml");
  run->add_flag("--until-caught-up", arguments->until_caught_up,
                "End each group once it has caught up; exit 1 when none has moved for 60 s");
  run->add_option("--group", arguments->group, "Run this group only");
}

void AddCheck(CLI::App* app, CheckArguments* arguments) {
  CLI::App* check = app->add_subcommand(
      "check",
      "Says what would keep `catchup run`, as the same user, from running a configuration");
  check->add_option("FILE", arguments->file, "The configuration, in TOML")
      ->envname("CATCHUP_CONFIG")
      ->default_str("catchup.toml");
  check->add_flag("--create", arguments->create,
                  "Have each plugin read its own configuration too, by its `create`, in a scratch "
                  "directory");
  check->footer(
      "Names every problem with its place in the file, and leaves no trace. Exit 78 if there is\n"
      "one. Neither the server nor, without --create, a plugin's own `config` is tried.");
}

// What each command to a group takes.
CLI::App* AddControl(CLI::App* app, const char* name, const char* what,
                     ControlArguments::Command command, ControlArguments* arguments) {
  CLI::App* control = app->add_subcommand(name, what);
  arguments->command = command;
  control->add_option("GROUP", arguments->group, "The group's name")->required();
  control->add_option("--config", arguments->config, "The host's configuration, in TOML")
      ->envname("CATCHUP_CONFIG")
      ->default_str("catchup.toml");
  control->add_flag("--json", arguments->json, "The answer as one JSON object");
  return control;
}

constexpr const char* kWithoutHost =
    "Asks the host that runs on the configuration's state directory, through its socket\n"
    "admin.sock. Where none runs it is stored for the next run.";

void AddStop(CLI::App* app, ControlArguments* arguments) {
  static_assert(kStopPatience + kStopMargin == std::chrono::milliseconds(4500), "it says so below");
  AddControl(app, "stop",
             "Drains a group and ends it. It stays so, over restarts too, until `catchup start`",
             ControlArguments::Command::kStop, arguments)
      ->footer(
          "Asks the host that runs on the configuration's state directory, through its socket\n"
          "admin.sock. Waits until the group has ended: drain_timeout and 4.5 s at most.");
}

void AddStart(CLI::App* app, ControlArguments* arguments) {
  CLI::App* start =
      AddControl(app, "start",
                 "Lets a group run again that was stopped, has failed, was given up or is halted",
                 ControlArguments::Command::kStart, arguments);
  start->add_flag(
      "--accept-filter", arguments->accept_filter,
      "Go on from the checkpoint although prefixes or match have changed: events before "
      "it that only the new filter takes are not read");
  start->add_flag(
      "--take-over", arguments->take_over,
      "Of a fenced group: raise the fencing token above the one that the plugin's store "
      "has seen. Only where whoever wrote that one is gone for good");
  start->footer(kWithoutHost);
}

void AddReset(CLI::App* app, ControlArguments* arguments) {
  CLI::App* reset = AddControl(
      app, "reset", "Puts the place from which a group goes on elsewhere, while it does not run",
      ControlArguments::Command::kReset, arguments);
  reset
      ->add_option("--to", arguments->to,
                   "beginning, last-good (the newest event that the group has passed and the log "
                   "has), or a position as "
                   "commit:prepare; the first event is the one after it")
      ->required();
  reset->footer(
      "Events behind it are handled again: what a plugin keeps in data/ stays as it is, but for a\n"
      "position of its own (catchup.position/1), which goes to the same place at the next start.\n"
      "A checkpoint that is lost or bad is replaced. The group does not run by it: `catchup "
      "start`.\n"
      "Asks the host that runs on the configuration's state directory, through its socket\n"
      "admin.sock. Where none runs it is stored for the next run.");
}

// Lines count from 1, as in editors.
std::string CheckLineNumber(const std::string& text) {
  return ParseNumber<std::uint64_t>(text).value_or(0) != 0 ? "" : "wanted a line number from 1";
}

// Taken to the letter, "~/x" and "file:///x" would make odd folders.
std::string CheckPath(const std::string& text) {
  const std::string fault = PathFault(text);
  return fault.empty() ? "" : fmt::format("found \"{}\", wanted {}", text, fault);
}

// A shell variable that is not set gives an empty text. Taken for an option that was not given, it
// would run every group, or write what is in the log already once more.
void RefuseEmptyTexts(CLI::App* app) {
  const auto check = [](const std::string& text) {
    return std::string(text.empty() ? "found an empty text, wanted a value" : "");
  };
  for (CLI::App* command : app->get_subcommands({})) {
    for (CLI::Option* option : command->get_options()) {
      if (option->get_items_expected_max() > 0) {
        option->check(check);
      }
    }
    RefuseEmptyTexts(command);
  }
}

void AddAppend(CLI::App* app, AppendArguments* arguments) {
  CLI::App* append = app->add_subcommand(
      "append",
      "Writes the events of a file to a log, in order per stream, through the real protocol");
  append
      ->add_option("--to", arguments->to,
                   "kurrentdb://HOST:PORT or embedded:PATH (for development and tests)")
      ->required();
  append->add_option("--credentials-file", arguments->credentials_file,
                     "A file that holds user:password");
  append
      ->add_option("--from-line", arguments->from_line,
                   "Begin at this line, such as the \"next line M\" that an earlier append printed")
      ->check(CheckLineNumber);
  append->add_option(
      "--resume", arguments->resume,
      "Go on with the run that printed \"run TOKEN\": skip what of it is in the log");
  append->add_option("EVENTS", arguments->events, "One event a line, as JSON; - is standard input")
      ->required();
  append->footer(
      "Says \"run TOKEN\" first, on standard error. A line without an id is a new event in each "
      "run.\n"
      "Ends with \"written N, already there K, next line M\", also when it fails or is stopped: M "
      "is\n"
      "the first line not confirmed, and lines behind it may be in the log. --resume TOKEN\n"
      "--from-line M then goes on exactly, also after a crash of the server or of this command.");
}

void AddDevServer(CLI::App* app, DevServerArguments* arguments) {
  CLI::App* server = app->add_subcommand(
      "dev-server",
      "Serves an embedded event log over KurrentDB's protocol. For development and tests, not for "
      "production: one file, no replication, no TLS, no authentication");
  server->add_option("--listen", arguments->listen, "HOST:PORT; port 0 takes a free one")
      ->capture_default_str();
  server->add_option("--data", arguments->data, "Directory of the log")
      ->check(CheckPath)
      ->capture_default_str();
  server
      ->add_option("--max-append-size", arguments->max_append_size,
                   "The most one append may hold: an integer and B, KiB or MiB")
      ->capture_default_str();
}

void AddTry(CLI::App* app, TryArguments* arguments) {
  CLI::App* attempt = app->add_subcommand(
      "try", "Feeds a file of events to a plugin, without a server, and says what it answered");
  attempt->add_option("PLUGIN", arguments->plugin, "The plugin's .so")->required();
  attempt->add_option("EVENTS", arguments->events, "One event a line, as JSON")->required();
  attempt->add_option("--projection", arguments->projection,
                      "Which projection, when the file offers several");
  attempt->add_option("--set", arguments->settings, "KEY=TOMLVALUE of the plugin's configuration")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  attempt
      ->add_option("--work", arguments->work,
                   "The plugin's working directory, made if it is missing; a fresh temporary "
                   "one if not given")
      ->check(CheckPath);
  attempt->add_flag("--with-position", arguments->with_position,
                    "Use the plugin's own position (catchup.position/1), and begin behind the one "
                    "it holds");
  attempt
      ->add_option("--batch", arguments->batch,
                   "Hand over so many events a call, as far as the plugin takes them")
      ->check(CLI::Range(1u, kMostEventsPerCall))
      ->capture_default_str();
  attempt->add_flag("--json", arguments->json, "One JSON object a line");
  attempt
      ->add_option("--start-timeout", arguments->start_timeout,
                   "What load, create, start and load_position may take together, as a group's "
                   "start_timeout: an integer and ms, s, m or h")
      ->capture_default_str();
  attempt->footer(
      "Prints a line for each event, and what the plugin logs or prints to standard error. A\n"
      "failed event does not end it. A plugin that dies or does not answer within 30 s does: its\n"
      "event is DIED, and the events behind it are not fed; so does one that breaks the contract.\n"
      "To stop it has 5 s.\n"
      "HELD is an event that the plugin's position says it has applied. Where a call of several\n"
      "events fails, those that it did not apply come again one by one, as from a host.\n"
      "Environment and limits are a group's defaults. Exit 1 if any event was not OK or HELD.");
}

std::string CommandNames(const CLI::App& app) {
  std::string names;
  const auto commands = app.get_subcommands({});
  for (std::size_t i = 0; i < commands.size(); ++i) {
    names += i == 0 ? "" : i + 1 == commands.size() ? " or " : ", ";
    names += commands[i]->get_name();
  }
  return names;
}

// What is wrong with the command itself, or with that of a command which has some; empty if
// nothing. The library's own text for a misspelt one says that a command is missing.
std::string CommandProblem(const CLI::App& app, int argc, char** argv,
                           const std::string& what = "command") {
  const std::string wanted =
      fmt::format(": wanted {}\nRun with --help for more information.\n", CommandNames(app));
  if (argc < 2) {
    return "no " + what + wanted;
  }
  const std::string_view command = argv[1];
  const auto commands = app.get_subcommands({});
  const auto known = std::find_if(commands.begin(), commands.end(),
                                  [&](const CLI::App* one) { return one->get_name() == command; });
  if (known == commands.end() && command.substr(0, 1) != "-") {
    return fmt::format("unknown {} {}{}", what, Quoted(WithoutUserInfo(command), kMaxShown),
                       wanted);
  }
  return known == commands.end() || (*known)->get_subcommands({}).empty()
             ? std::string()
             : CommandProblem(**known, argc - 1, argv + 1, "command of " + std::string(command));
}

int Main(int argc, char** argv) {
  CLI::App app("Runs other teams' event projections over KurrentDB's $all stream");
  app.set_version_flag("--version", VersionText());
  app.require_subcommand(1);
  RunArguments run;
  run.config = "catchup.toml";
  CheckArguments check;
  check.file = "catchup.toml";
  AppendArguments append;
  DevServerArguments dev_server;
  TryArguments attempt;
  ControlArguments stop;
  ControlArguments start;
  ControlArguments reset;
  DlqArguments dlq;
  AddRun(&app, &run);
  AddStop(&app, &stop);
  AddStart(&app, &start);
  AddReset(&app, &reset);
  AddCheck(&app, &check);
  AddAppend(&app, &append);
  AddDevServer(&app, &dev_server);
  AddTry(&app, &attempt);
  AddDlq(&app, &dlq);
  RefuseEmptyTexts(&app);
  if (const std::string problem = CommandProblem(app, argc, argv); !problem.empty()) {
    std::cerr << problem;
    return kExitUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version. By way of stdout, where a failure to write them keeps its reason; what is
    // written to std::cerr would flush it before, and lose that.
    std::ostringstream out;
    std::ostringstream complaint;  // May repeat a connection string that stands in the wrong place.
    const int code = app.exit(error, out, complaint) == 0 ? kExitDone : kExitUsage;
    std::fputs(out.str().c_str(), stdout);
    std::fputs(WithoutUserInfo(complaint.str()).c_str(), stderr);
    return code;
  }
  if (app.got_subcommand("run")) {
    BlockHostSignals();
    return RunCommand(run);
  }
  if (app.got_subcommand("stop")) {
    return ControlCommand(stop);
  }
  if (app.got_subcommand("start")) {
    return ControlCommand(start);
  }
  if (app.got_subcommand("reset")) {
    return ControlCommand(reset);
  }
  if (app.got_subcommand("check")) {
    return CheckCommand(check);
  }
  if (app.got_subcommand("append")) {
    return AppendCommand(append);
  }
  if (app.got_subcommand("dev-server")) {
    return DevServerCommand(dev_server);
  }
  if (app.got_subcommand("dlq")) {
    return DlqCommand(dlq);
  }
  return TryCommand(attempt);
}

// Nothing that the parent left decides how this process behaves.
Status StartClean() {
  CATCHUP_RETURN_IF_ERROR(OpenStandardDescriptors());
  CATCHUP_RETURN_IF_ERROR(ResetSignals());
  EndWithWordsOnShortage();  // Not before: the line above takes every handler away.
  KeepDescriptorsFromChildren();
  LoosenInheritedLimits();
  BlockIdleSignals();
  return {};
}

}  // namespace
}  // namespace catchup

int main(int argc, char** argv) {
  using namespace catchup;
  const Status clean = StartClean();
  if (!clean.ok()) {
    std::cerr << "catchup: " << clean.message() << "\n";
    return kExitFailed;
  }
  try {
    return EndProcess(KeepResults(Main(argc, argv)));
  } catch (const std::bad_alloc&) {
    EndWithWords("Out of memory", "no memory is left for this process");
  } catch (const std::exception& error) {
    std::cerr << "catchup: " << error.what() << "\n";
    return kExitFailed;
  }
}
