#include "host/cli/state_owner.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

namespace catchup {

std::string AskedHere() {
  return fmt::format("user {}, pid {}, no host running", ::geteuid(), ::getpid());
}

std::string NoHostOn(const std::filesystem::path& directory) {
  return "no host runs on state directory " + directory.string();
}

std::string StrangeAnswer(int http_status) {
  return fmt::format("the host answered {} and what is no JSON object; is it of another version?",
                     http_status);
}

Status CheckStateOwner(const std::filesystem::path& directory, const std::string& command) {
  struct stat info {};
  if (::stat(directory.c_str(), &info) != 0 || info.st_uid == ::geteuid()) {
    return {};
  }
  return Status::Denied(
      fmt::format("no host runs, and state directory {} belongs to user {}: wanted that user, or a "
                  "host to ask; "
                  "as root run: setpriv --reuid {} --regid {} --clear-groups catchup {} ...",
                  directory.string(), info.st_uid, info.st_uid, info.st_gid, command));
}

}  // namespace catchup
