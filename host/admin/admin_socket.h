#pragma once

#include <filesystem>
#include <string_view>

#include "host/admin/http.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// The Unix socket `admin.sock` of a state directory, by which commands reach the host that runs on
// it: mode 0660, of the group that the system gives to new files there.
//
// An address of a Unix socket holds 107 bytes, a path more. So both ends name the socket by a
// descriptor of the directory, /proc/self/fd/N/admin.sock, and no path is too long; only where
// /proc is missing the path itself must fit.
inline constexpr std::string_view kAdminSocketName = "admin.sock";

// The listening end. One thread at a time.
class AdminSocket {
 public:
  // Listens in `directory`, whose lock the caller must hold (StateDirectory): so a socket that is
  // there already belongs to a host that has ended, and this one takes its place, in one step.
  //
  // kInvalid: something else than a socket bears the name. kExhausted: no room or descriptors.
  static Result<AdminSocket> Listen(const std::filesystem::path& directory);

  // Removes the socket's name, if it is still this one's.
  ~AdminSocket();
  AdminSocket(AdminSocket&&) = default;
  AdminSocket& operator=(AdminSocket&&) = default;

  // Does not block.
  int fd() const { return fd_.get(); }
  gid_t group() const { return group_; }

  // Whether its name still leads to it; where that cannot be told: yes.
  bool StillThere() const;

 private:
  AdminSocket(UniqueFd directory, UniqueFd fd)
      : directory_(std::move(directory)), fd_(std::move(fd)) {}

  UniqueFd directory_;
  UniqueFd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  gid_t group_ = 0;
};

// Connects to the host that runs on `directory`. The descriptor blocks.
//
// kNotFound: nobody listens there. kDenied: this user may not. kUnavailable: whoever listens takes
// no connection within the time a request has.
Result<UniqueFd> ConnectToAdminSocket(const std::filesystem::path& directory);

// Who is at the other end of a connected socket.
Result<Peer> PeerOf(int fd);

// Whether `peer` may give commands: root, the user of this process, or a member of `group`. The
// mode of the socket says the same, but a mode is changed easily.
Status CheckPeer(const Peer& peer, gid_t group);

}  // namespace catchup
