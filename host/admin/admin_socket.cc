#include "host/admin/admin_socket.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "host/admin/limits.h"

namespace catchup {
namespace {

constexpr mode_t kMode = 0660;

// The name under which a socket is made ready before it takes the place of an old one.
constexpr std::string_view kNewName = "admin.sock.new";

// Connections that wait to be taken; what takes them is quick.
constexpr int kBacklog = 64;

// More groups than that nobody has, and a kernel allows 65,536.
constexpr std::size_t kMaxGroups = 65'536;

std::string PathOf(const std::filesystem::path& directory) {
  return (directory / kAdminSocketName).string();
}

// Opens it for naming what lies in it, for which no right to read it is needed.
Result<UniqueFd> OpenDirectory(const std::filesystem::path& directory) {
  UniqueFd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    return errno == ENOENT || errno == ENOTDIR
               ? Status::NotFound(directory.string() + ": there is no such directory")
               : Status::FromErrno("open " + directory.string(), errno);
  }
  return fd;
}

struct Address {
  sockaddr_un name{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

Result<Address> AddressOf(int directory_fd, const std::filesystem::path& directory,
                          std::string_view file) {
  const std::string handle = fmt::format("/proc/self/fd/{}", directory_fd);
  const std::string path =
      fmt::format("{}/{}", ::access(handle.c_str(), F_OK) == 0 ? handle : directory.string(), file);
  Address address;
  if (path.size() >= sizeof address.name.sun_path) {
    return Status::Unavailable(directory.string() +
                               ": its path is too long for a socket where "
                               "/proc is not mounted: wanted /proc, or a shorter path");
  }
  address.name.sun_family = AF_UNIX;
  std::memcpy(address.name.sun_path, path.data(), path.size());
  address.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
  return address;
}

Status MakeListening(int fd, int directory_fd, const std::filesystem::path& directory) {
  CATCHUP_ASSIGN_OR_RETURN(const auto address, AddressOf(directory_fd, directory, kNewName));
  const std::string fresh(kNewName);
  if (::unlinkat(directory_fd, fresh.c_str(), 0) != 0 && errno != ENOENT) {
    return Status::FromErrno("remove " + (directory / kNewName).string(), errno);
  }
  // Nobody else's before it has its mode: bind() takes that of the descriptor, less the umask.
  if (::fchmod(fd, S_IRUSR | S_IWUSR) != 0 || ::bind(fd, address.get(), address.size) != 0 ||
      ::listen(fd, kBacklog) != 0 || ::fchmodat(directory_fd, fresh.c_str(), kMode, 0) != 0) {
    const int error = errno;
    (void)::unlinkat(directory_fd, fresh.c_str(), 0);
    return Status::FromErrno("listen on " + PathOf(directory), error);
  }
  return {};
}

}  // namespace

Result<AdminSocket> AdminSocket::Listen(const std::filesystem::path& directory) {
  CATCHUP_ASSIGN_OR_RETURN(auto directory_fd, OpenDirectory(directory));
  const std::string name(kAdminSocketName);
  struct stat there {};
  if (::fstatat(directory_fd.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISSOCK(there.st_mode)) {
    return Status::Invalid(PathOf(directory) +
                           ": it is no socket, wanted the host's own; move it away");
  }
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    return Status::FromErrno("make a socket", errno);
  }
  CATCHUP_RETURN_IF_ERROR(MakeListening(fd.get(), directory_fd.get(), directory));
  if (::renameat(directory_fd.get(), std::string(kNewName).c_str(), directory_fd.get(),
                 name.c_str()) != 0 ||
      ::fstatat(directory_fd.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
    return Status::FromErrno("put " + PathOf(directory) + " in its place", errno);
  }
  AdminSocket socket(std::move(directory_fd), std::move(fd));
  socket.device_ = there.st_dev;
  socket.inode_ = there.st_ino;
  socket.group_ = there.st_gid;
  return socket;
}

AdminSocket::~AdminSocket() {
  struct stat there {};
  const std::string name(kAdminSocketName);
  if (fd_.valid() && ::fstatat(directory_.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) == 0 &&
      there.st_dev == device_ && there.st_ino == inode_) {
    (void)::unlinkat(directory_.get(), name.c_str(), 0);
  }
}

bool AdminSocket::StillThere() const {
  struct stat there {};
  const std::string name(kAdminSocketName);
  if (::fstatat(directory_.get(), name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno != ENOENT;
  }
  return there.st_dev == device_ && there.st_ino == inode_;
}

Result<UniqueFd> ConnectToAdminSocket(const std::filesystem::path& directory) {
  CATCHUP_ASSIGN_OR_RETURN(const auto directory_fd, OpenDirectory(directory));
  CATCHUP_ASSIGN_OR_RETURN(const auto address,
                           AddressOf(directory_fd.get(), directory, kAdminSocketName));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Status::FromErrno("make a socket", errno);
  }
  // Sending and connecting both end by it.
  const timeval limit{kRequestLimit.count(), 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(fd.get(), address.get(), address.size) == 0) {
    return fd;
  }
  switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
      return Status::NotFound(PathOf(directory) + ": nobody listens there");
    case EACCES:
      return Status::Denied(
          fmt::format("{}: user {} may not reach it, wanted root, the user of the host or a member "
                      "of the socket's group",
                      PathOf(directory), ::geteuid()));
    case EAGAIN:
    case EINPROGRESS:
      return Status::Unavailable(
          fmt::format("{}: whoever listens there took no connection within {} s", PathOf(directory),
                      kRequestLimit.count()));
    default:
      return Status::FromErrno("connect to " + PathOf(directory), errno);
  }
}

Result<Peer> PeerOf(int fd) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return Status::FromErrno("ask who is at the other end", errno);
  }
  Peer peer;
  peer.pid = credentials.pid;
  peer.user = credentials.uid;
  peer.group = credentials.gid;
#ifdef SO_PEERGROUPS
  // Tells the size that is needed when that given is too small.
  size = 0;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, nullptr, &size) != 0 && errno == ERANGE &&
      size / sizeof(gid_t) <= kMaxGroups) {
    peer.groups.resize(size / sizeof(gid_t));
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &size) != 0) {
      peer.groups.clear();
    }
  }
#endif
  return peer;
}

Status CheckPeer(const Peer& peer, gid_t group) {
  const bool member = peer.group == group ||
                      std::find(peer.groups.begin(), peer.groups.end(), group) != peer.groups.end();
  if (peer.user == 0 || peer.user == ::geteuid() || member) {
    return {};
  }
  return Status::Denied(
      fmt::format("user {} may give no commands here, wanted root, user {} or a member of group {}",
                  peer.user, ::geteuid(), group));
}

}  // namespace catchup
