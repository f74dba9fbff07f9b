#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/unique_fd.h"
#include "tests/test_files.h"

// What end-to-end tests need to drive the real executables: a folder with a configuration, a log
// and a state directory; processes with a deadline; and readers of what those processes leave.
// For one thread.
namespace catchup::e2e {

using Clock = std::chrono::steady_clock;

// How long a condition may take on a busy machine before a test gives up on it.
inline constexpr std::chrono::seconds kPatience{60};

// Looks again and again until `condition` holds. False when `limit` has passed.
bool WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds limit = kPatience);

// Where a test's random choices begin, printed: the same in every run, so that what a commit is
// found to be is no matter of chance; another one at each further call, as of a test that is
// repeated. CATCHUP_TEST_SEED=N begins elsewhere.
std::uint32_t TestSeed();

std::vector<std::string> ReadLines(const std::filesystem::path& file);
// Of a file that is being written, without the line that is not complete yet.
std::vector<std::string> ReadWholeLines(const std::filesystem::path& file);

// The members of one JSON object: texts without quotes and escapes, everything else as it stands.
// A failure of the test if `line` is no JSON object.
using JsonObject = std::map<std::string, std::string>;
JsonObject ParseJsonObject(std::string_view line);

// A host's log: every complete line of a process's standard error that is a JSON object.
class HostLog {
 public:
  explicit HostLog(std::vector<JsonObject> lines) : lines_(std::move(lines)) {}

  // Those with this message and, unless empty, of this group.
  std::vector<JsonObject> With(std::string_view msg, std::string_view group = {}) const;
  bool Has(std::string_view msg, std::string_view group = {}) const {
    return !With(msg, group).empty();
  }
  // A member of the last such line; empty if there is none.
  std::string Last(std::string_view msg, std::string_view group, const std::string& member) const;

 private:
  std::vector<JsonObject> lines_;
};

// One run of an executable, with its output in files. Killed when this goes, and when the test
// dies.
class Process {
 public:
  struct Options {
    std::filesystem::path directory;  // Working directory and output files.
    std::vector<std::pair<std::string, std::string>>
        env;            // Added to the test's own, or in place of it.
    std::string input;  // Standard input.
    int errors = -1;    // Standard error, in place of a file; stays the caller\'s.
  };

  Process(std::vector<std::string> arguments, const Options& options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int number) const;
  // Its exit code, or 128 and the signal that killed it. A process that outlives `limit` is killed
  // and fails the test.
  int Wait(std::chrono::milliseconds limit = kPatience);
  bool Running();
  // Whether it stands still by SIGSTOP, so that SIGCONT is not lost on it.
  bool Stopped() const;

  std::string Output() const { return ReadFile(out_); }
  std::string Errors() const { return ReadFile(err_); }
  const std::filesystem::path& errors_file() const { return err_; }
  HostLog Log() const;
  // Waits for a line of the log; fails the test, with the log, when none comes while it runs.
  bool WaitForLog(std::string_view msg, std::string_view group = {},
                  std::chrono::milliseconds limit = kPatience);

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_;
  std::filesystem::path out_;
  std::filesystem::path err_;
};

// The result of a process that was run to its end.
struct Finished {
  int exit = -1;
  std::string out;
  std::string err;

  HostLog Log() const;
};

// A process that exists apart from us, held by a descriptor, so that its number cannot be mistaken
// for that of a later one.
class ForeignProcess {
 public:
  explicit ForeignProcess(pid_t pid);
  // Has it ended? One that was gone before we looked counts.
  bool Gone() const;
  bool WaitGone(std::chrono::milliseconds limit = kPatience) const {
    return WaitUntil([this] { return Gone(); }, limit);
  }

 private:
  UniqueFd pidfd_;
};

// A fresh folder with host.toml, the embedded log in log/ and the state in state/.
class Site {
 public:
  Site();
  ~Site();
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path file(std::string_view name) const { return path_ / name; }
  std::filesystem::path group(std::string_view name) const { return path_ / "state/groups" / name; }
  // A file of the plugin's working directory.
  std::filesystem::path data(std::string_view name, std::string_view file) const {
    return group(name) / "data" / file;
  }

  // Writes host.toml: our sections and then `groups`.
  void Configure(std::string_view groups, std::string_view uri = "embedded:log",
                 std::string_view state = "state");

  // Runs `catchup` with these arguments, in the folder.
  Finished Catchup(std::vector<std::string> arguments, std::chrono::milliseconds limit = kPatience,
                   const std::string& input = {});
  // Starts it and returns at once.
  std::unique_ptr<Process> Start(std::vector<std::string> arguments);
  // From here on starts the program that tests get hold of (host/base/test_seams.h), whose fixed
  // waits pass `speed` times faster.
  void UseTestProgram(int speed = 1) {
    program_ = CATCHUP_TEST_EXECUTABLE;
    SetEnv("CATCHUP_TEST_SPEED", std::to_string(speed));
  }
  // Adds to the environment of what is started from here on, or replaces what it has of that name.
  void SetEnv(std::string name, std::string value);

  // Puts event lines into the embedded log; fails the test if that does not work.
  void Append(const std::vector<std::string>& lines);
  // `catchup run host.toml --until-caught-up`
  Finished RunUntilCaughtUp(std::chrono::milliseconds limit = kPatience) {
    return Catchup({"run", "host.toml", "--until-caught-up"}, limit);
  }
  Finished Check() { return Catchup({"check", "host.toml"}); }

 private:
  std::filesystem::path path_;
  std::string program_ = CATCHUP_EXECUTABLE;
  std::vector<std::pair<std::string, std::string>> env_;
  int files_ = 0;
};

// {"stream":STREAM,"type":TYPE,"data":DATA}
std::string EventLine(std::string_view stream, std::string_view type, std::string_view data = "{}");

// A group that writes its events to out.jsonl of its working directory.
std::string JsonlGroup(std::string_view name, std::string_view keys = "prefixes = [\"\"]");
// A group of tests/e2e/fixtures/scripted.c.
std::string ScriptedGroup(std::string_view name, std::string_view keys = "prefixes = [\"\"]");

// A group of tests/plugins/trouble, which does what the data of its events says.
std::string TroubleGroup(std::string_view name, std::string_view keys = "prefixes = [\"\"]");

// "STREAM@REVISION TYPE" of each line that the group's jsonl has written.
std::vector<std::string> Written(const Site& site, std::string_view group);
// The same of each call that the group's scripted plugin was given, tries included.
std::vector<std::string> Called(const Site& site, std::string_view group);
// "STREAM@REVISION DO DELIVERY" of each delivery to the group's trouble plugin.
std::vector<std::string> Delivered(const Site& site, std::string_view group);

}  // namespace catchup::e2e
