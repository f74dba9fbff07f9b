#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "tests/e2e/harness.h"

namespace catchup::e2e {

// Runs `catchup`, or a copy of it, to its end as launcher.cc starts it with these options.
inline Finished Launched(const Site& site, std::vector<std::string> options,
                         const std::vector<std::string>& arguments,
                         std::chrono::milliseconds limit = kPatience,
                         const std::string& program = CATCHUP_EXECUTABLE) {
  options.insert(options.begin(), LAUNCHER);
  options.insert(options.end(), {"--", program});
  options.insert(options.end(), arguments.begin(), arguments.end());
  Process process(std::move(options), {site.path(), {}, {}});
  const int exit = process.Wait(limit);
  return {exit, process.Output(), process.Errors()};
}

// The same, returning at once.
inline std::unique_ptr<Process> StartLaunched(const Site& site, std::vector<std::string> options,
                                              const std::vector<std::string>& arguments,
                                              const std::string& program = CATCHUP_EXECUTABLE) {
  options.insert(options.begin(), LAUNCHER);
  options.insert(options.end(), {"--", program});
  options.insert(options.end(), arguments.begin(), arguments.end());
  return std::make_unique<Process>(std::move(options), Process::Options{site.path(), {}, {}});
}

}  // namespace catchup::e2e
