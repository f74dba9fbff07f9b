#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace catchup::bench {

// What a process and all it waited for have cost.
struct Cost {
  double cpu_seconds = 0;
  double context_switches = 0;  // Voluntary and forced.
};

// A child process whose standard output and error are files. Killed and reaped when it goes. Every
// function ends the program, with what was found, if the child does what a measurement cannot use.
class Process {
 public:
  // `arguments[0]` is the program's path. Either file may be empty for this process's own. The
  // child's input is a pipe that ends with CloseInput or this object.
  Process(const std::vector<std::string>& arguments, const std::string& out_path,
          const std::string& error_path);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process();

  pid_t pid() const { return pid_; }
  void CloseInput();
  void Signal(int number) const;

  // Waits for its end, which must be exit code 0.
  Cost Wait();
  // The same for a child that may fail: its exit code, or 128 and the signal that ended it.
  int WaitForExitCode();

  // Looks again every few milliseconds until the file `path` holds `text` at least `count` times.
  // Its end, or `patience` over, is a failure.
  void AwaitOutput(const std::string& path, const std::string& text, std::size_t count = 1,
                   std::chrono::seconds patience = std::chrono::minutes(10));

 private:
  bool HasEnded();

  std::vector<std::string> arguments_;
  std::string error_path_;
  pid_t pid_ = -1;
  int input_ = -1;
  std::optional<int> status_;
  Cost cost_;
};

// Says `text` on standard error and exits with 1.
[[noreturn]] void Fail(const std::string& text);

// Whole files; a file that is not there is empty.
std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);
// A file, or a folder with all that is in it; no fault if there is none.
void RemoveFile(const std::string& path);

// Of processes that run.
double CpuSecondsOf(pid_t pid);
std::vector<std::string> ThreadNamesOf(pid_t pid);
std::vector<pid_t> ChildrenOf(pid_t pid);
// Proportional resident memory; only of the mappings whose name contains `mapping`, if it is given.
double PssKiBOf(pid_t pid, const std::string& mapping = {});

}  // namespace catchup::bench
