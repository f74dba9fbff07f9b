// Writes what its argument names to the log; for log_test.cc.

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "host/base/log.h"

using catchup::Log;
using catchup::LogLevel;

namespace {

// 2 KB and more each, all of them different, so that no rate holds them back.
void LogLong(int count) {
  const std::string text(2000, 'x');
  for (int i = 0; i < count; ++i) {
    Log(LogLevel::kInfo, "m" + std::to_string(i), "Test.Run", "g", {{"number", i}, {"text", text}});
  }
}

// Of about `size` bytes each.
void LogEachOf(int count, std::size_t size) {
  const std::string text(size, 'x');
  for (int i = 0; i < count; ++i) {
    catchup::LogEach(LogLevel::kInfo, "One", "Test.Run", "g", {{"number", i}, {"text", text}});
  }
}

// Returns once the test allows.
void SayLoggedAndWait() {
  std::cout << "logged" << std::endl;
  std::cin.get();
}

// The signals that the log's thread blocks, in hexadecimal; empty if there is no such thread.
std::string BlockedByTheLogsThread() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    std::ifstream status(task.path() / "status");
    for (std::string line; name == "catchup-log" && std::getline(status, line);) {
      if (line.rfind("SigBlk:", 0) == 0) {
        return line.substr(line.find_first_not_of(" \t", 7));
      }
    }
  }
  return {};
}

struct LogsWhenDestroyed {
  ~LogsWhenDestroyed() { Log(LogLevel::kInfo, "Late", "Test.Run", ""); }
};

// What is drawn below the log; false for another case.
bool DrawProgress(const std::string& what) {
  if (what == "progress") {
    catchup::SetProgressLines({"one", "two"});
    catchup::FlushLog();
    Log(LogLevel::kInfo, "Said", "Test.Run", "g");
    catchup::FlushLog();
    catchup::SetProgressLines({});
  } else if (what == "many") {
    // Only the newest lines count, so each waits to be seen.
    catchup::SetProgressLines({"one", "two", "three", "four", "five"});
    catchup::FlushLog();
    catchup::SetProgressLines({"one", "two", "three"});
    catchup::FlushLog();
    catchup::SetProgressLines(std::vector<std::string>(1000, "x"));
    catchup::FlushLog();
    catchup::SetProgressLines({});
  } else if (what == "newest progress") {
    LogLong(100);
    for (int i = 0; i <= 1000; ++i) {
      catchup::SetProgressLines({"step " + std::to_string(i)});
    }
    SayLoggedAndWait();
  } else {
    return false;
  }
  return true;
}

// Lines that no rate holds back; false for another case.
bool LogWhatCounts(const std::string& what) {
  if (what == "each") {
    catchup::ConfigureLog({LogLevel::kWarn, catchup::LogFormat::kJson});
    for (int i = 0; i < 1000; ++i) {
      catchup::LogEach(LogLevel::kWarn, "One", "Test.Run", "g", {{"number", i}});
      catchup::LogEach(LogLevel::kInfo, "Too low", "Test.Run", "g", {});
    }
  } else if (what == "some of each unread") {
    LogEachOf(5000, 1000);
    Log(LogLevel::kInfo, "Said", "Test.Run", "g");
    SayLoggedAndWait();
  } else if (what == "much of each unread") {
    LogEachOf(4000, 6000);
    Log(LogLevel::kError, "Broken", "Test.Run", "g");
    SayLoggedAndWait();
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (DrawProgress(what) || LogWhatCounts(what)) {
    catchup::FlushLog();
    return 0;
  }
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
  } else if (what == "flood" || what == "flood about no place") {
    for (int i = 0; i < 1000; ++i) {
      const std::string position = what == "flood" ? std::to_string(i) : "none";
      Log(LogLevel::kInfo, "Again", "Test.Run", "g", {{"position", position}});
    }
  } else if (what == "plugin flood") {
    const auto say = [](LogLevel level, int lines) {
      for (int i = 0; i < lines; ++i) {
        catchup::LogFromPlugin(level, "Says", "Test.Run", "g", {{"text", "again"}});
      }
    };
    say(LogLevel::kInfo, 1000);
    catchup::LogLeftOutOfPlugin(LogLevel::kInfo, "Says", "g", 40);
    say(LogLevel::kWarn, 100);
    say(LogLevel::kError, 500);
  } else if (what == "format") {
    Log(LogLevel::kInfo, "{} %s {0}", "Test.Run", "g", {{"x", "{}"}});
  } else if (what == "some unread") {
    LogLong(400);
    SayLoggedAndWait();
  } else if (what == "much unread") {
    LogLong(3000);
    Log(LogLevel::kError, "Broken", "Test.Run", "g");
    SayLoggedAndWait();
  } else if (what == "flush") {
    LogLong(400);
    catchup::FlushLog();
    _exit(0);
  } else if (what == "no flush") {
    LogLong(400);
    return 0;
  } else if (what == "static") {
    static const LogsWhenDestroyed late;
    LogLong(1);
    return 0;
  } else if (what == "thread") {
    LogLong(1);
    catchup::FlushLog();
    std::cout << BlockedByTheLogsThread() << std::endl;
  }
  catchup::FlushLog();
  return 0;
}
