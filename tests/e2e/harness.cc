#include "tests/e2e/harness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catchup/json_text.hpp>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

namespace catchup::e2e {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kLookEvery{2};

HostLog ParseLog(std::string_view text) {
  std::vector<JsonObject> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      break;
    }
    if (text.front() == '{') {
      lines.push_back(ParseJsonObject(text.substr(0, end)));
    }
    text.remove_prefix(end + 1);
  }
  return HostLog(std::move(lines));
}

// In the child: only what is safe after a fork.
[[noreturn]] void Become(char* const* arguments, char* const* environment, const char* directory,
                         int in, int out, int err, pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent || dup2(in, 0) < 0 ||
      dup2(out, 1) < 0 || dup2(err, 2) < 0 || chdir(directory) != 0) {
    _exit(126);
  }
  execve(arguments[0], arguments, environment);
  _exit(127);
}

std::vector<char*> Pointers(std::vector<std::string>* texts) {
  std::vector<char*> pointers;
  for (std::string& text : *texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::uint32_t TestSeed() {
  static std::uint32_t next = [] {
    const char* given = std::getenv("CATCHUP_TEST_SEED");
    return given == nullptr ? 1 : static_cast<std::uint32_t>(std::stoul(given));
  }();
  std::cout << "seed " << next << std::endl;
  return next++;
}

bool WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds limit) {
  const auto deadline = Clock::now() + limit;
  while (!condition()) {
    if (Clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(kLookEvery);
  }
  return true;
}

std::vector<std::string> ReadLines(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file, std::ios::binary);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<std::string> ReadWholeLines(const fs::path& file) {
  std::vector<std::string> lines;
  std::ifstream stream(file, std::ios::binary);
  for (std::string line; std::getline(stream, line) && !stream.eof();) {
    lines.push_back(line);
  }
  return lines;
}

JsonObject ParseJsonObject(std::string_view line) {
  JsonObject object;
  std::string fault;
  const auto keep = [&](const std::string& name, std::string_view value) {
    std::string text;
    if (!value.empty() && value.front() == '"' && JsonCursor(value).ReadString(&text)) {
      object[name] = text;
    } else {
      object[name] = std::string(value);
    }
  };
  EXPECT_TRUE(VisitJsonMembers(line, keep, &fault)) << fault << ": " << line;
  return object;
}

std::vector<JsonObject> HostLog::With(std::string_view msg, std::string_view group) const {
  std::vector<JsonObject> found;
  for (const JsonObject& line : lines_) {
    if (line.at("msg") == msg && (group.empty() || line.at("group") == group)) {
      found.push_back(line);
    }
  }
  return found;
}

std::string HostLog::Last(std::string_view msg, std::string_view group,
                          const std::string& member) const {
  const auto lines = With(msg, group);
  if (lines.empty() || !lines.back().contains(member)) {
    return "";
  }
  return lines.back().at(member);
}

Process::Process(std::vector<std::string> arguments, const Options& options) {
  static std::atomic<int> count{0};
  const std::string number = std::to_string(++count);
  out_ = options.directory / ("process-" + number + ".out");
  err_ = options.directory / ("process-" + number + ".err");
  const fs::path in = options.directory / ("process-" + number + ".in");
  WriteFile(in, options.input);
  std::vector<std::string> environment;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view given(*variable);
    const bool replaced = std::any_of(
        options.env.begin(), options.env.end(),
        [&](const auto& other) { return other.first == given.substr(0, given.find('=')); });
    if (!replaced) {
      environment.emplace_back(given);
    }
  }
  for (const auto& [name, value] : options.env) {
    environment.push_back(name + "=" + value);
  }
  const UniqueFd in_fd(open(in.c_str(), O_RDONLY | O_CLOEXEC));
  const UniqueFd out_fd(open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const UniqueFd err_fd(open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const auto argument_pointers = Pointers(&arguments);
  const auto environment_pointers = Pointers(&environment);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) {
    Become(argument_pointers.data(), environment_pointers.data(), options.directory.c_str(),
           in_fd.get(), out_fd.get(), options.errors >= 0 ? options.errors : err_fd.get(), parent);
  }
  EXPECT_GT(pid_, 0);
}

Process::~Process() {
  if (!exit_.has_value() && pid_ > 0) {
    Signal(SIGKILL);
    (void)waitpid(pid_, nullptr, 0);
  }
}

void Process::Signal(int number) const {
  if (!exit_.has_value()) {
    EXPECT_EQ(kill(pid_, number), 0);
  }
}

bool Process::Running() {
  int status = 0;
  if (exit_.has_value() || waitpid(pid_, &status, WNOHANG) == 0) {
    return !exit_.has_value();
  }
  exit_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return false;
}

bool Process::Stopped() const {
  const std::string stat = ReadFile("/proc/" + std::to_string(pid_) + "/stat");
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat.compare(name_end + 2, 1, "T") == 0;
}

int Process::Wait(std::chrono::milliseconds limit) {
  if (!WaitUntil([this] { return !Running(); }, limit)) {
    ADD_FAILURE() << "still running after " << limit.count() << " ms; it said:\n" << Errors();
    Signal(SIGKILL);
    WaitUntil([this] { return !Running(); });
  }
  return exit_.value_or(-1);
}

HostLog Process::Log() const { return ParseLog(Errors()); }

bool Process::WaitForLog(std::string_view msg, std::string_view group,
                         std::chrono::milliseconds limit) {
  const std::string wanted = "\"msg\":\"" + std::string(msg) + '"';
  bool came = false;
  WaitUntil(
      [&] {
        // Asked first: what it wrote before it ended counts.
        const bool running = Running();
        // Parsed only when there may be something to find: logs can be long.
        came = Errors().find(wanted) != std::string::npos && Log().Has(msg, group);
        return came || !running;
      },
      limit);
  EXPECT_TRUE(came) << (Running() ? "running" : "ended") << ", no \"" << msg << "\" of group \""
                    << group << "\" in:\n"
                    << Errors();
  return came;
}

HostLog Finished::Log() const { return ParseLog(err); }

ForeignProcess::ForeignProcess(pid_t pid)
    : pidfd_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}

bool ForeignProcess::Gone() const {
  pollfd wait{pidfd_.get(), POLLIN, 0};
  return !pidfd_.valid() || poll(&wait, 1, 0) == 1;
}

Site::Site() {
  std::string path = (fs::temp_directory_path() / "catchup-e2e-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) {
    std::perror("mkdtemp");
    std::abort();
  }
  path_ = path;
  // One of the configured plugin directories, for tests that bring a plugin of their own.
  fs::create_directory(path_ / "plugins");
  fs::permissions(path_ / "plugins", fs::perms(0755));
}

Site::~Site() {
  if (testing::Test::HasFailure() && std::getenv("CATCHUP_KEEP_SITES") != nullptr) {
    return;
  }
  std::error_code leftover;  // What stays in a temporary directory is swept by the system.
  fs::remove_all(path_, leftover);
}

void Site::Configure(std::string_view groups, std::string_view uri, std::string_view state) {
  std::string text = "[source]\nuri = \"" + std::string(uri) + "\"\n[state]\ndirectory = \"" +
                     std::string(state) + "\"\n[plugins]\ndirectories = [\"" + PLUGIN_DIRECTORY +
                     "\", \"" + FIXTURE_DIRECTORY + "\", \"" + RUNNER_FIXTURE_DIRECTORY +
                     "\", \"plugins\"]\n[log]\nformat = \"json\"\n";
  text += groups;
  WriteFile(file("host.toml"), text);
}

void Site::SetEnv(std::string name, std::string value) {
  const auto same = std::find_if(env_.begin(), env_.end(),
                                 [&](const auto& variable) { return variable.first == name; });
  if (same != env_.end()) {
    same->second = std::move(value);
  } else {
    env_.emplace_back(std::move(name), std::move(value));
  }
}

std::unique_ptr<Process> Site::Start(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program_);
  return std::make_unique<Process>(std::move(arguments), Process::Options{path_, env_, ""});
}

Finished Site::Catchup(std::vector<std::string> arguments, std::chrono::milliseconds limit,
                       const std::string& input) {
  arguments.insert(arguments.begin(), program_);
  Process process(std::move(arguments), {path_, env_, input});
  const int exit = process.Wait(limit);
  return {exit, process.Output(), process.Errors()};
}

void Site::Append(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + '\n';
  }
  const std::string name = "events-" + std::to_string(++files_) + ".jsonl";
  WriteFile(file(name), text);
  const Finished appended = Catchup({"append", "--to", "embedded:log", name});
  ASSERT_EQ(appended.exit, 0) << appended.err;
}

std::string EventLine(std::string_view stream, std::string_view type, std::string_view data) {
  std::string line = "{\"stream\":\"";
  line.append(stream).append("\",\"type\":\"").append(type).append("\",\"data\":");
  return line.append(data).append("}");
}

std::string JsonlGroup(std::string_view name, std::string_view keys) {
  std::string text = "[groups." + std::string(name) + "]\nplugin = \"jsonl.so\"\n";
  return text.append(keys) + "\nconfig = { file = \"out.jsonl\", sync = false }\n";
}

std::string ScriptedGroup(std::string_view name, std::string_view keys) {
  std::string text = "[groups." + std::string(name) + "]\nplugin = \"scripted.so\"\n";
  return text.append(keys) + "\n";
}

std::string TroubleGroup(std::string_view name, std::string_view keys) {
  std::string text = "[groups." + std::string(name) +
                     "]\nplugin = \"trouble.so\"\nconfig = { journal = \"journal\" }\n";
  if (keys.find("projection") == std::string_view::npos) {
    text += "projection = \"trouble\"\n";
  }
  return text.append(keys) + "\n";
}

std::vector<std::string> Written(const Site& site, std::string_view group) {
  std::vector<std::string> events;
  for (const std::string& line : ReadWholeLines(site.data(group, "out.jsonl"))) {
    const JsonObject event = ParseJsonObject(line);
    events.push_back(event.at("stream") + "@" + event.at("revision") + " " + event.at("type"));
  }
  return events;
}

std::vector<std::string> Called(const Site& site, std::string_view group) {
  return ReadWholeLines(site.data(group, "called"));
}

std::vector<std::string> Delivered(const Site& site, std::string_view group) {
  std::vector<std::string> deliveries;
  for (const std::string& line : ReadWholeLines(site.data(group, "journal"))) {
    std::istringstream words(line);
    std::string place, stream, revision, type, id, what, delivery;
    words >> place >> stream >> revision >> type >> id >> what >> delivery;
    deliveries.push_back(stream + "@" + revision + " " + what + " " + delivery);
  }
  return deliveries;
}

}  // namespace catchup::e2e
