#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "host/config/config.h"
#include "host/daemon/threads/reactor.h"
#include "host/daemon/threads/worker_pool.h"
#include "host/plugins/children.h"
#include "host/plugins/runner_process.h"
#include "host/store/state_directory.h"
#include "tests/test_files.h"

namespace catchup {

constexpr std::chrono::seconds kPatience{30};

// The real parts of a host that a group is made of, below one folder: reactor, pool, state
// directory, the runner, and a plugin that does what the type of each event says
// (tests/e2e/fixtures/scripted.c).
class Workshop {
 public:
  Workshop() {
    const std::filesystem::path plugins = folder_.path() / "plugins";
    std::filesystem::create_directory(plugins);
    std::filesystem::copy_file(SCRIPTED_PLUGIN, plugins / "scripted.so");
    EXPECT_EQ(chmod((plugins / "scripted.so").c_str(), 0644), 0);
    EXPECT_EQ(chmod(plugins.c_str(), 0755), 0);
    plugin_directories.push_back(plugins);
    state.emplace(*StateDirectory::Open(folder_.path() / "state"));
    binary.emplace(*RunnerBinary::Open(CATCHUP_RUNNER));
    EXPECT_TRUE(pool->Start(2).ok());
    config.name = "group";
    config.plugin = "scripted.so";
    config.filter.prefixes = {""};
  }

  // In a host's order: what groups posted is run, and nothing calls them any more.
  void CloseShop() {
    reactor->Stop();
    pool.reset();
  }
  std::filesystem::path data() const { return state->group_data(config.name); }

 private:
  const TemporaryFolder folder_;

 public:
  std::vector<std::filesystem::path> plugin_directories;
  std::unique_ptr<Reactor> reactor = *Reactor::Create();
  std::unique_ptr<WorkerPool> pool = std::make_unique<WorkerPool>();
  std::optional<StateDirectory> state;
  std::optional<RunnerBinary> binary;
  GroupConfig config;
};

// Something that one thread tells and another waits for.
template <typename T>
class Told {
 public:
  void Tell(T value) {
    const std::lock_guard<std::mutex> lock(mutex_);
    values_.push_back(std::move(value));
    changed_.notify_all();
  }
  // The n-th that was told, from 0; nothing when it does not come.
  std::optional<T> Await(std::size_t n = 0) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [&] { return values_.size() > n; })) {
      return std::nullopt;
    }
    return values_[n];
  }
  std::size_t size() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return values_.size();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

// Looks until it is so; false when it does not become so.
inline bool Becomes(const std::function<bool()>& so) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!so()) {
    if (std::chrono::steady_clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

}  // namespace catchup
