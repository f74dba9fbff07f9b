#include "tests/bench/host_run.h"

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

namespace catchup::bench {
namespace {

// Of a line's time, "2026-01-31T23:59:59.1234567Z": seconds of its day.
double SecondOfDay(const std::string& time) {
  const std::size_t at = time.find('T') + 1;
  return std::stod(time.substr(at, 2)) * 3600 + std::stod(time.substr(at + 3, 2)) * 60 +
         std::stod(time.substr(at + 6));
}

std::string Configuration(const Places& places, const HostOptions& options) {
  std::ostringstream text;
  text << "[source]\nuri = \"kurrentdb://" << options.address << "?tls=false\"\n"
       << "[state]\ndirectory = \"state\"\n"
       << "[plugins]\ndirectories = [\"" << places.programs << "\", \"" << places.programs
       << "/../plugins\"]\n"
       << "[log]\nformat = \"json\"\n";
  for (std::uint64_t group = 1; group <= options.groups; ++group) {
    text << "[groups.g" << group << "]\nplugin = \"" << options.plugin << "\"\nprojection = \""
         << options.projection << "\"\nprefixes = [\"" << options.prefix << "\"]\n";
    if (!options.start.empty()) {
      text << "start = \"" << options.start << "\"\n";
    }
    if (options.window != 0) {
      text << "window = { events = " << options.window << " }\n";
    }
    if (!options.keys.empty()) {
      text << options.keys << "\n";
    }
    if (!options.config.empty()) {
      text << "[groups.g" << group << ".config]\n" << options.config << "\n";
    }
  }
  return std::move(text).str();
}

}  // namespace

LogServer::LogServer(const Places& places, const std::string& name, std::uint64_t events,
                     std::uint64_t bytes)
    : folder_(places.work + "/" + name) {
  const std::string address_path = folder_ + ".address";
  process_ = std::make_unique<Process>(
      std::vector<std::string>{places.programs + "/serve_log", folder_, std::to_string(events),
                               std::to_string(bytes)},
      address_path, folder_ + ".log");
  process_->AwaitOutput(address_path, "\n");
  address_ = ReadFile(address_path);
  address_.erase(address_.find('\n'));
}

LogServer::~LogServer() {
  process_->CloseInput();
  (void)process_->Wait();
  std::filesystem::remove_all(folder_);
}

HostRun::HostRun(const Places& places, const HostOptions& options, bool until_caught_up)
    : folder_(places.work + "/host"), log_path_(folder_ + "/log") {
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
  WriteFile(file(), Configuration(places, options));
  arguments_ = {places.programs + "/catchup", "run", file()};
  if (until_caught_up) {
    arguments_.push_back("--until-caught-up");
  }
  Restart();
}

HostRun::~HostRun() {
  process_.reset();
  std::filesystem::remove_all(folder_);
}

void HostRun::Stop() {
  process_->Signal(SIGTERM);
  (void)process_->Wait();
}

void HostRun::Restart() { process_ = std::make_unique<Process>(arguments_, "", log_path_); }

std::string HostRun::DataFolder(std::uint64_t group) const {
  return folder_ + "/state/groups/g" + std::to_string(group) + "/data";
}

double HostRun::Seconds(const std::string& from, const std::string& to) const {
  std::istringstream lines(ReadFile(log_path_));
  std::optional<double> begin;
  std::optional<double> end;
  for (std::string line; std::getline(lines, line);) {
    const bool begins = !begin && line.find(from) != std::string::npos;
    if (!begins && line.find(to) == std::string::npos) {
      continue;
    }
    const double time = SecondOfDay(nlohmann::json::parse(line).at("time"));
    (begins ? begin : end) = time;
  }
  if (!begin || !end) {
    Fail(log_path_ + ": found no line with " + (begin ? to : from) + "\n" + ReadFile(log_path_));
  }
  constexpr double kDay = 86400;
  return *end < *begin ? *end - *begin + kDay : *end - *begin;
}

std::uint64_t HostRun::Number(const std::string& member) const {
  const std::string log = ReadFile(log_path_);
  const std::string key = "\"" + member + "\":";
  const std::size_t at = log.find(key);
  if (at == std::string::npos) {
    Fail(log_path_ + ": found no " + key + "\n" + log);
  }
  return std::strtoull(log.c_str() + at + key.size(), nullptr, 10);
}

}  // namespace catchup::bench
