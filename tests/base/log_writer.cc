// Writes what its argument names to the log; for log_test.cc.

#include <string>
#include <thread>
#include <vector>

#include "host/base/log.h"

using catchup::Log;
using catchup::LogLevel;

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "levels") {
    catchup::ConfigureLog({LogLevel::kWarn, catchup::LogFormat::kJson});
    Log(LogLevel::kDebug, "No", "Test.Run", "");
    Log(LogLevel::kInfo, "No", "Test.Run", "");
    Log(LogLevel::kWarn, "Warned", "Test.Run", "", {{"expected", true}});
    Log(LogLevel::kError, "Broken", "Test.Run", "g");
  } else if (what == "threads") {
    std::vector<std::thread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([t] {
        for (int i = 0; i < 50; ++i) {
          Log(LogLevel::kInfo, "m" + std::to_string(t) + "." + std::to_string(i), "Test.Run", "g",
              {{"text", std::string(2000, 'x')}});
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  } else if (what == "flood") {
    for (int i = 0; i < 1000; ++i) {
      Log(LogLevel::kInfo, "Again", "Test.Run", "g");
    }
  } else if (what == "format") {
    Log(LogLevel::kInfo, "{} %s {0}", "Test.Run", "g", {{"x", "{}"}});
  } else if (what == "progress") {
    catchup::SetProgressLines({"one", "two"});
    Log(LogLevel::kInfo, "Said", "Test.Run", "g");
    catchup::SetProgressLines({});
  } else if (what == "many") {
    catchup::SetProgressLines({"one", "two", "three", "four", "five"});
    catchup::SetProgressLines({"one", "two", "three"});
    catchup::SetProgressLines(std::vector<std::string>(1000, "x"));
    catchup::SetProgressLines({});
  }
  catchup::FlushLog();
  return 0;
}
