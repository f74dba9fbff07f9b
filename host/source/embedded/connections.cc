#include "host/source/embedded/connections.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/base/check.h"
#include "host/base/unique_fd.h"

namespace catchup::embedded {

void Connections::Add(int socket) {
  struct stat file {};
  CATCHUP_CHECK(::fstat(socket, &file) == 0);
  files_[socket] = {file.st_dev, file.st_ino};
}

void Connections::Reset() const {
  for (const auto& [descriptor, known] : files_) {
    // What a duplicate leads to stays what it is, whatever becomes of the number meanwhile.
    const UniqueFd socket(::fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
    struct stat file {};
    if (!socket.valid() || ::fstat(socket.get(), &file) != 0 || file.st_dev != known.device ||
        file.st_ino != known.number) {
      continue;
    }
    // This is how a connection is broken off by somebody who does not close the socket: connect(2).
    const sockaddr nobody{.sa_family = AF_UNSPEC, .sa_data = {}};
    (void)::connect(socket.get(), &nobody, sizeof nobody);  // It may have ended by itself.
  }
}

}  // namespace catchup::embedded
