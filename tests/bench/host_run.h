#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/process.h"

namespace catchup::bench {

// Where the programs and plugins of a build lie, and where measurements may write.
struct Places {
  std::string programs;
  std::string work;
};

// An embedded log in a process of its own, filled and then served while this lives.
class LogServer {
 public:
  // `name` is a folder below the place for work, which must not be there yet.
  LogServer(const Places& places, const std::string& name, std::uint64_t events,
            std::uint64_t bytes);
  ~LogServer();

  const std::string& address() const { return address_; }
  pid_t pid() const { return process_->pid(); }

 private:
  std::string folder_;
  std::unique_ptr<Process> process_;
  std::string address_;
};

struct HostOptions {
  std::string address;
  std::string plugin = "noop_plugin.so";
  std::string projection = "batch";
  std::string prefix;
  std::string start;         // The TOML key; none if empty.
  std::string keys;          // More lines of the group.
  std::string config;        // Lines of the group's `config`.
  std::uint64_t window = 0;  // window.events; the default if 0.
  std::uint64_t groups = 1;  // All alike: g1, g2 …
};

// A host in a fresh folder. Its log is JSON.
class HostRun {
 public:
  HostRun(const Places& places, const HostOptions& options, bool until_caught_up);
  ~HostRun();

  Process* process() { return process_.get(); }
  const std::string& log_path() const { return log_path_; }
  // Its configuration.
  std::string file() const { return folder_ + "/host.toml"; }

  // In good order.
  void Stop();
  // Once it has ended, on what it has stored; its log begins anew.
  void Restart();

  // The working directory of a group's plugin.
  std::string DataFolder(std::uint64_t group) const;

  // Seconds from the first line of its log that holds `from` to the last that holds `to`.
  double Seconds(const std::string& from, const std::string& to) const;
  // The first value of this member in the log.
  std::uint64_t Number(const std::string& member) const;

 private:
  std::string folder_;
  std::string log_path_;
  std::vector<std::string> arguments_;
  std::unique_ptr<Process> process_;
};

}  // namespace catchup::bench
