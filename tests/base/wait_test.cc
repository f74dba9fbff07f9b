#include "host/base/wait.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

TEST(PollOrPauseTest, TellsWhatIsReadyAndWhatIsNot) {
  const UniqueFd ready(::eventfd(1, EFD_CLOEXEC));
  const UniqueFd idle(::eventfd(0, EFD_CLOEXEC));
  std::array<pollfd, 2> fds = {{{ready.get(), POLLIN, 0}, {idle.get(), POLLIN, 0}}};
  EXPECT_EQ(PollOrPause(fds.data(), fds.size(), -1), 1);
  EXPECT_EQ(fds[0].revents, POLLIN);
  EXPECT_EQ(fds[1].revents, 0);
  EXPECT_EQ(PollOrPause(&fds[1], 1, 0), 0);
}

// The kernel refuses to wait for more descriptors than the limit allows, open or not.
TEST(PollOrPauseTest, ReturnsEarlyWhereTheKernelCannotWait) {
  const UniqueFd ready(::eventfd(1, EFD_CLOEXEC));
  std::array<pollfd, 2> fds = {{{ready.get(), POLLIN, POLLIN}, {ready.get(), POLLIN, POLLIN}}};
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit one{1, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &one), 0);
  const int result = PollOrPause(fds.data(), fds.size(), -1);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(result, -1);
  EXPECT_EQ(fds[0].revents, 0);
  EXPECT_EQ(fds[1].revents, 0);
  EXPECT_EQ(PollOrPause(fds.data(), fds.size(), -1), 2);
}

}  // namespace
}  // namespace catchup
