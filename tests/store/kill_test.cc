#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <thread>

#include "host/base/unique_fd.h"
#include "host/store/checkpoint_store.h"
#include "tests/test_files.h"

namespace catchup {
namespace {

// A process that saves as fast as it can, and what it said was durable.
class Saver {
 public:
  explicit Saver(const std::filesystem::path& folder) {
    int ends[2];
    EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    out_ = UniqueFd(ends[0]);
    const UniqueFd write_end(ends[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    std::string program = STORE_SAVER;
    std::string argument = folder.string();
    char* argv[] = {program.data(), argument.data(), nullptr};
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }

  // Waits for `lines` lines, yields the processor `yields` times, kills it and returns the last
  // number it wrote; 0 when it wrote none.
  std::uint64_t KillAfter(int lines, unsigned yields) {
    std::string text;
    char buffer[4096];
    while (std::count(text.begin(), text.end(), '\n') < lines) {
      const ssize_t size = ::read(out_.get(), buffer, sizeof buffer);
      if (size <= 0) {
        ADD_FAILURE() << "the saver ended by itself";
        break;
      }
      text.append(buffer, static_cast<std::size_t>(size));
    }
    for (unsigned i = 0; i < yields; ++i) {
      std::this_thread::yield();
    }
    ::kill(pid_, SIGKILL);
    int status = 0;
    EXPECT_EQ(::waitpid(pid_, &status, 0), pid_);
    EXPECT_TRUE(WIFSIGNALED(status));
    for (ssize_t size; (size = ::read(out_.get(), buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(size));
    }
    const auto end = text.rfind('\n');
    if (end == std::string::npos) {
      return 0;
    }
    const auto start = text.rfind('\n', end - 1);
    return std::stoull(text.substr(start == std::string::npos ? 0 : start + 1));
  }

 private:
  UniqueFd out_;
  pid_t pid_ = -1;
};

TEST(KillTest, NeverLosesADurableCheckpoint) {
  const TemporaryFolder folder;
  std::mt19937 random(20261124);
  std::uint64_t last = 0;
  for (int i = 0; i < 40; ++i) {
    const std::uint64_t durable =
        Saver(folder.path())
            .KillAfter(static_cast<int>(random() % 20), static_cast<unsigned>(random() % 1000));
    last = std::max(last, durable);
    auto store =
        CheckpointStore::Open(folder.path(), "g", {EventFilter::Match::kEventType, {"order-"}});
    ASSERT_TRUE(store.ok()) << store.status().message();
    EXPECT_EQ((*store)->warning(), "");
    const auto checkpoint = (*store)->record().checkpoint;
    const std::uint64_t found = checkpoint ? checkpoint->commit : 0;
    // The one write in progress may have been committed without having been told.
    EXPECT_GE(found, last);
    EXPECT_LE(found, last + 1);
    last = found;
  }
  EXPECT_GT(last, 40u);
}

}  // namespace
}  // namespace catchup
