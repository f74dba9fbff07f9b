#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>

#include "host/base/unique_fd.h"
#include "host/source/embedded/data_directory.h"
#include "tests/source/embedded/raw_client.h"

namespace catchup::test {

// A server in a process of its own. It is killed with this object at the latest.
class Child {
 public:
  // What it says goes to the file `errors`, if one is given.
  explicit Child(const std::filesystem::path& directory, const std::string& errors = "") {
    int pipe_ends[2];
    EXPECT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
    const UniqueFd child_end(pipe_ends[0]);
    keep_alive_ = UniqueFd(pipe_ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, child_end.get(), STDIN_FILENO);
    if (!errors.empty()) {
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(),
                                       O_WRONLY | O_CREAT | O_APPEND, 0600);
    }
    std::string program = CATCHUP_SERVER_CHILD;
    std::string argument = directory.string();
    char* arguments[] = {program.data(), argument.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Child() { Kill(); }

  // Waits until the log is served.
  static std::string Endpoint(const std::filesystem::path& directory) {
    const auto give_up = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < give_up) {
      auto endpoint = embedded::DataDirectory::LiveEndpoint(directory);
      if (endpoint.ok() && endpoint->has_value()) {
        return **endpoint;
      }
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the child serves nothing";
    return "";
  }
  void Kill() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
      pid_ = 0;
    }
  }
  pid_t pid() const { return pid_; }

 private:
  UniqueFd keep_alive_;
  pid_t pid_ = 0;
};

}  // namespace catchup::test
