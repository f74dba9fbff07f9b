#include "host/admin/admin_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "tests/test_files.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

mode_t ModeOf(const fs::path& file) {
  struct stat info {};
  EXPECT_EQ(::lstat(file.c_str(), &info), 0) << file;
  return info.st_mode;
}

TEST(AdminSocketTest, IsForOwnerAndGroupWhateverTheUmask) {
  const TemporaryFolder folder;
  const mode_t before = ::umask(0077);
  const auto socket = AdminSocket::Listen(folder.path());
  ::umask(before);
  ASSERT_TRUE(socket.ok()) << socket.status().message();
  EXPECT_EQ(ModeOf(folder / "admin.sock") & 07777, 0660u);
  EXPECT_TRUE(S_ISSOCK(ModeOf(folder / "admin.sock")));
}

// The address of a Unix socket holds 107 bytes.
TEST(AdminSocketTest, APathOfAnyLengthIsBoundAndReached) {
  const TemporaryFolder folder;
  fs::path deep = folder.path();
  while (deep.string().size() < 300) {
    deep /= std::string(50, 'd');
  }
  fs::create_directories(deep);
  const auto socket = AdminSocket::Listen(deep);
  ASSERT_TRUE(socket.ok()) << socket.status().message();
  const auto connected = ConnectToAdminSocket(deep);
  ASSERT_TRUE(connected.ok()) << connected.status().message();
}

TEST(AdminSocketTest, ASocketOfADeadHostIsReplaced) {
  const TemporaryFolder folder;
  {
    auto dead = AdminSocket::Listen(folder.path());
    ASSERT_TRUE(dead.ok());
    // As a kill leaves it.
    fs::rename(folder / "admin.sock", folder / "kept");
  }
  fs::rename(folder / "kept", folder / "admin.sock");
  EXPECT_EQ(ConnectToAdminSocket(folder.path()).status().code(), Status::Code::kNotFound);
  const auto socket = AdminSocket::Listen(folder.path());
  ASSERT_TRUE(socket.ok()) << socket.status().message();
  EXPECT_TRUE(ConnectToAdminSocket(folder.path()).ok());
}

TEST(AdminSocketTest, SomethingElseOfThatNameStays) {
  const TemporaryFolder folder;
  WriteFile(folder / "admin.sock", "precious");
  const auto socket = AdminSocket::Listen(folder.path());
  EXPECT_EQ(socket.status().code(), Status::Code::kInvalid);
  EXPECT_NE(socket.status().message().find("is no socket"), std::string::npos);
  EXPECT_EQ(ReadFile(folder / "admin.sock"), "precious");
}

TEST(AdminSocketTest, KnowsWhetherItsNameLeadsToIt) {
  const TemporaryFolder folder;
  auto first = AdminSocket::Listen(folder.path());
  ASSERT_TRUE(first.ok());
  EXPECT_TRUE(first->StillThere());
  auto second = AdminSocket::Listen(folder.path());
  ASSERT_TRUE(second.ok());
  EXPECT_FALSE(first->StillThere());
  EXPECT_TRUE(second->StillThere());
  fs::remove(folder / "admin.sock");
  EXPECT_FALSE(second->StillThere());
}

TEST(AdminSocketTest, GoesWithItsOwnerAndLeavesTheNameToAnother) {
  const TemporaryFolder folder;
  {
    const auto socket = AdminSocket::Listen(folder.path());
    ASSERT_TRUE(socket.ok());
  }
  EXPECT_FALSE(fs::exists(folder / "admin.sock"));
  auto first = AdminSocket::Listen(folder.path());
  const auto second = AdminSocket::Listen(folder.path());
  first = Status::NotFound("gone");
  EXPECT_TRUE(ConnectToAdminSocket(folder.path()).ok());
}

TEST(AdminSocketTest, NobodyThereIsNotFound) {
  const TemporaryFolder folder;
  EXPECT_EQ(ConnectToAdminSocket(folder.path()).status().code(), Status::Code::kNotFound);
  EXPECT_EQ(ConnectToAdminSocket(folder / "none").status().code(), Status::Code::kNotFound);
}

TEST(PeerTest, TheKernelNamesTheOtherEnd) {
  const TemporaryFolder folder;
  const auto socket = AdminSocket::Listen(folder.path());
  ASSERT_TRUE(socket.ok());
  const auto client = ConnectToAdminSocket(folder.path());
  ASSERT_TRUE(client.ok());
  const UniqueFd taken(::accept(socket->fd(), nullptr, nullptr));
  const auto peer = PeerOf(taken.get());
  ASSERT_TRUE(peer.ok()) << peer.status().message();
  EXPECT_EQ(peer->pid, ::getpid());
  EXPECT_EQ(peer->user, ::geteuid());
  EXPECT_EQ(peer->group, ::getegid());
  EXPECT_TRUE(CheckPeer(*peer, 0).ok());
}

TEST(PeerTest, RootTheServiceUserAndTheGroupMayGiveCommands) {
  const uid_t self = ::geteuid();
  constexpr uid_t kOther = 54'321;
  constexpr gid_t kGroup = 4'242;
  EXPECT_TRUE(CheckPeer({1, 0, 7, {}}, kGroup).ok());
  EXPECT_TRUE(CheckPeer({1, self, 7, {}}, kGroup).ok());
  EXPECT_TRUE(CheckPeer({1, kOther, kGroup, {}}, kGroup).ok());
  EXPECT_TRUE(CheckPeer({1, kOther, 7, {8, kGroup}}, kGroup).ok());
  const Status refused = CheckPeer({1, kOther, 7, {8, 9}}, kGroup);
  EXPECT_EQ(refused.code(), Status::Code::kDenied);
  EXPECT_EQ(refused.message(), "user 54321 may give no commands here, wanted root, user " +
                                   std::to_string(self) + " or a member of group 4242");
}

}  // namespace
}  // namespace catchup
