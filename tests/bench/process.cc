#include "tests/bench/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

namespace catchup::bench {
namespace {

constexpr auto kLookAgain = std::chrono::milliseconds(5);

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

Cost CostOf(const rusage& usage) {
  return {.cpu_seconds = Seconds(usage.ru_utime) + Seconds(usage.ru_stime),
          .context_switches = static_cast<double>(usage.ru_nvcsw + usage.ru_nivcsw)};
}

// What a file holds beyond `from`, behind what *text holds already. Returns how much that is.
std::size_t ReadFrom(const std::string& path, std::size_t from, std::string* text) {
  std::ifstream file(path, std::ios::binary);
  const std::size_t before = text->size();
  if (file.seekg(static_cast<std::streamoff>(from))) {
    text->append(std::istreambuf_iterator<char>(file), {});
  }
  return text->size() - before;
}

// How often *text has `wanted`, of which it keeps only what may be the beginning of one more.
std::size_t TakeOut(const std::string& wanted, std::string* text) {
  std::size_t found = 0;
  std::size_t searched = text->size() < wanted.size() ? 0 : text->size() - wanted.size() + 1;
  for (std::size_t at = text->find(wanted); at != std::string::npos;
       at = text->find(wanted, at + wanted.size())) {
    ++found;
    searched = std::max(searched, at + wanted.size());
  }
  text->erase(0, searched);
  return found;
}

void OpenInChild(posix_spawn_file_actions_t* actions, int number, const std::string& path) {
  if (!path.empty()) {
    posix_spawn_file_actions_addopen(actions, number, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0644);
  }
}

}  // namespace

void Fail(const std::string& text) {
  std::fprintf(stderr, "bench: %s\n", text.c_str());
  std::exit(1);
}

Process::Process(const std::vector<std::string>& arguments, const std::string& out_path,
                 const std::string& error_path)
    : arguments_(arguments), error_path_(error_path) {
  int input[2];
  if (pipe2(input, O_CLOEXEC) != 0) {
    Fail(std::string("pipe: ") + std::strerror(errno));
  }
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
  OpenInChild(&actions, STDOUT_FILENO, out_path);
  OpenInChild(&actions, STDERR_FILENO, error_path);
  std::vector<char*> words;
  for (std::string& word : arguments_) {
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  const int error = posix_spawn(&pid_, words[0], &actions, nullptr, words.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(input[0]);
  input_ = input[1];
  if (error != 0) {
    Fail(arguments_[0] + ": " + std::strerror(error));
  }
}

Process::~Process() {
  CloseInput();
  if (!status_) {
    kill(pid_, SIGKILL);
    while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

void Process::CloseInput() {
  if (input_ >= 0) {
    close(input_);
    input_ = -1;
  }
}

void Process::Signal(int number) const { kill(pid_, number); }

bool Process::HasEnded() {
  rusage usage{};
  int status = 0;
  if (!status_ && wait4(pid_, &status, WNOHANG, &usage) == pid_) {
    status_ = status;
    cost_ = CostOf(usage);
  }
  return status_.has_value();
}

int Process::WaitForExitCode() {
  rusage usage{};
  int status = 0;
  while (!status_) {
    if (wait4(pid_, &status, 0, &usage) == pid_) {
      status_ = status;
      cost_ = CostOf(usage);
    } else if (errno != EINTR) {
      Fail(std::string("wait4: ") + std::strerror(errno));
    }
  }
  return WIFEXITED(*status_) ? WEXITSTATUS(*status_) : 128 + WTERMSIG(*status_);
}

Cost Process::Wait() {
  if (const int code = WaitForExitCode(); code != 0) {
    Fail(Joined(arguments_) + ": found exit code " + std::to_string(code) + ", wanted 0\n" +
         ReadFile(error_path_));
  }
  return cost_;
}

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  if (std::ifstream file(path, std::ios::binary); file) {
    text << file.rdbuf();
  }
  return std::move(text).str();
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  if (!(file << text).flush()) {
    Fail(path + ": cannot be written");
  }
}

void Process::AwaitOutput(const std::string& path, const std::string& text, std::size_t count,
                          std::chrono::seconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  std::string unsearched;
  std::size_t read = 0;
  std::size_t found = 0;
  for (;;) {
    const bool ended = HasEnded();
    read += ReadFrom(path, read, &unsearched);
    found += TakeOut(text, &unsearched);
    if (found >= count) {
      return;
    }
    if (ended || std::chrono::steady_clock::now() > deadline) {
      Fail(Joined(arguments_) + (ended ? ": ended" : ": too slow") + "; in " + path + " found " +
           std::to_string(found) + " times " + text + ", wanted " + std::to_string(count) + "\n" +
           ReadFile(error_path_));
    }
    std::this_thread::sleep_for(kLookAgain);
  }
}

void RemoveFile(const std::string& path) { std::filesystem::remove_all(path); }

double CpuSecondsOf(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    Fail("process " + std::to_string(pid) + ": found no clock of its processor time");
  }
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::vector<std::string> ThreadNamesOf(pid_t pid) {
  std::vector<std::string> names;
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::string name = ReadFile(entry.path() / "comm");
    names.push_back(name.substr(0, name.find('\n')));
  }
  return names;
}

std::vector<pid_t> ChildrenOf(pid_t pid) {
  std::vector<pid_t> children;
  const std::string folder = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::istringstream list(ReadFile(entry.path() / "children"));
    for (pid_t child = 0; list >> child;) {
      children.push_back(child);
    }
  }
  return children;
}

double PssKiBOf(pid_t pid, const std::string& mapping) {
  const std::string folder = "/proc/" + std::to_string(pid);
  std::istringstream lines(ReadFile(folder + (mapping.empty() ? "/smaps_rollup" : "/smaps")));
  double sum = 0;
  bool counts = mapping.empty();
  for (std::string line; std::getline(lines, line);) {
    const std::string key = line.substr(0, line.find(' '));
    if (!key.ends_with(':')) {
      // The head of a mapping, which ends with its name.
      counts = mapping.empty() || line.find(mapping) != std::string::npos;
    } else if (counts && key == "Pss:") {
      sum += std::strtod(line.c_str() + key.size(), nullptr);
    }
  }
  return sum;
}

}  // namespace catchup::bench
