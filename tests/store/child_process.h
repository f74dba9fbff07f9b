#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "host/base/unique_fd.h"

namespace catchup {

// A program that works until it is killed, and what it said on standard output.
class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> command) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    out_ = UniqueFd(ends[0]);
    const UniqueFd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    std::vector<char*> argv;
    for (std::string& word : command) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~ChildProcess() {
    if (pid_ > 0) {
      Kill();
    }
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // Waits for `lines` lines in all.
  void Await(int lines) {
    while (std::count(text_.begin(), text_.end(), '\n') < lines) {
      if (!Read()) {
        ADD_FAILURE() << "the program ended by itself";
        return;
      }
    }
  }

  // Kills it, and returns the last line that it had written; empty when it wrote none.
  std::string Kill() {
    ::kill(pid_, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_TRUE(WIFSIGNALED(status));
    pid_ = -1;
    while (Read()) {
    }
    const auto end = text_.rfind('\n');
    if (end == std::string::npos) {
      return {};
    }
    const auto start = end == 0 ? std::string::npos : text_.rfind('\n', end - 1);
    const auto begin = start == std::string::npos ? 0 : start + 1;
    return text_.substr(begin, end - begin);
  }

  // The same, once it has written `lines` lines and the processor was yielded `yields` times.
  std::string KillAfter(int lines, unsigned yields) {
    Await(lines);
    for (unsigned i = 0; i < yields; ++i) {
      std::this_thread::yield();
    }
    return Kill();
  }

 private:
  bool Read() {
    char buffer[4096];
    const ssize_t size = ::read(out_.get(), buffer, sizeof buffer);
    text_.append(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
    return size > 0;
  }

  UniqueFd out_;
  std::string text_;
  pid_t pid_ = -1;
};

}  // namespace catchup
