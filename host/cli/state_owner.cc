#include "host/cli/state_owner.h"

#include <sys/stat.h>
#include <unistd.h>

namespace catchup {

std::string AskedHere() {
  return "user " + std::to_string(::geteuid()) + ", pid " + std::to_string(::getpid()) +
         ", no host running";
}

Status CheckStateOwner(const std::filesystem::path& directory, const std::string& command) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0 || info.st_uid == ::geteuid()) {
    return {};
  }
  return Status::Denied("no host runs, and state directory " + directory.string() +
                        " belongs to user " + std::to_string(info.st_uid) +
                        ": wanted that user, or a host to ask; as root run: setpriv --reuid " +
                        std::to_string(info.st_uid) + " --regid " + std::to_string(info.st_gid) +
                        " --clear-groups catchup " + command + " ...");
}

}  // namespace catchup
