#include "host/plugins/plugin_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/openat2.h>
#include <sodium/crypto_hash_sha256.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <iterator>
#include <set>

#include "host/base/durable_file.h"
#include "host/base/mutex.h"
#include "host/base/shell_word.h"
#include "host/base/shortage.h"
#include "host/base/text.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// Above every real plugin; below what would fill a state directory by mistake.
constexpr std::uint64_t kMaxPluginBytes = 1ull << 30;

// How much of a copy is read and hashed at a time.
constexpr std::size_t kHashChunk = 256u << 10;

constexpr mode_t kOthersMayWrite = S_IWGRP | S_IWOTH;

// What lets other users change a plugin, and the command that mends all of it.
class OwnerFaults {
 public:
  void Look(const struct stat& info, const std::string& kind, const fs::path& path) {
    const std::string what = fmt::format("{} {}", kind, path.string());
    const std::string word = ShellWord(path.string());
    if (info.st_uid != 0 && info.st_uid != geteuid()) {
      const std::string us = geteuid() == 0 ? "root" : fmt::format("root or user {}", geteuid());
      Add(fmt::format("{} belongs to user {}: wanted {}", what, info.st_uid, us),
          "chown root " + word);
      as_root_ = true;
    }
    if ((info.st_mode & kOthersMayWrite) != 0) {
      Add(fmt::format("{} has mode {:04o}: wanted no right to write for group and others", what,
                      info.st_mode & 07777U),
          "chmod go-w " + word);
      as_root_ = as_root_ || (geteuid() != 0 && info.st_uid != geteuid());
    }
  }

  Status status() const {
    return found_.empty()
               ? Status()
               : Status::Denied(found_ + (as_root_ ? "; as root run: " : "; run: ") + commands_);
  }

 private:
  void Add(const std::string& found, const std::string& command) {
    found_ += (found_.empty() ? "" : "; ") + found;
    commands_ += (commands_.empty() ? "" : " && ") + command;
  }

  std::string found_;
  std::string commands_;
  bool as_root_ = false;
};

Status DeniedLink(const fs::path& link) {
  std::error_code failed;
  const fs::path target = (link.parent_path() / fs::read_symlink(link, failed)).lexically_normal();
  const std::string found = fmt::format("plugin {} is a symbolic link", link.string());
  if (failed || !fs::is_regular_file(target, failed)) {
    return Status::Denied(fmt::format("{} to {}, which is no file: wanted the plugin's file itself",
                                      found, target.string()));
  }
  return Status::Denied(
      fmt::format("{}: wanted the file itself; run: cp --remove-destination {} {}", found,
                  ShellWord(target.string()), ShellWord(link.string())));
}

// Why `path` could not be opened, and the command that opens it where its modes are the reason.
Status CannotOpen(const std::string& kind, const fs::path& path, int error_number) {
  const Status status = Status::FromErrno(fmt::format("{} {}", kind, path.string()), error_number);
  const std::string command = error_number == EACCES ? CommandToRead(path) : std::string();
  return command.empty()
             ? status
             : Status::Denied(fmt::format("{}: wanted user {} to be able to read it; run: {}",
                                          status.message(), geteuid(), command));
}

// A system without openat2, or a filter of system calls that does not know it.
bool IsRefusedCall(int number) { return number == ENOSYS || number == EPERM; }

// The same by older means: each component by itself, none of which may be a link or lead upwards.
int OpenStepByStep(int directory, const fs::path& name) {
  UniqueFd at(fcntl(directory, F_DUPFD_CLOEXEC, 0));
  for (auto part = name.begin(); at.valid() && part != name.end(); ++part) {
    if (*part == ".." || part->has_root_directory()) {
      errno = EXDEV;
      return -1;
    }
    const bool last = std::next(part) == name.end();
    const int flags = last ? O_RDONLY | O_NONBLOCK : O_PATH | O_DIRECTORY;
    at = UniqueFd(openat(at.get(), part->c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  }
  return at.Release();
}

// Beneath the directory and without symbolic links, whatever `name` says.
int OpenBeneath(int directory, const char* name) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const auto fd = static_cast<int>(syscall(SYS_openat2, directory, name, &how, sizeof how));
  return fd < 0 && IsRefusedCall(errno) ? OpenStepByStep(directory, name) : fd;
}

// It is not mapped: a file that is overwritten in place meanwhile would kill the reader with
// SIGBUS.
Result<std::string> ReadWhole(const PluginFile& file) {
  std::string bytes(file.size, '\0');
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t size =
        pread(file.fd.get(), bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0) {
      return Status::FromErrno("read plugin " + file.path.string(), errno);
    }
    if (size == 0) {
      return Status::Invalid(
          fmt::format("plugin {} changed while it was read: {} bytes instead of {}",
                      file.path.string(), at, file.size));
    }
    at += static_cast<std::size_t>(size);
  }
  return bytes;
}

Digest32 Hash(std::string_view bytes) {
  Digest32 digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  return digest;
}

// Whether the copy is there and what it was made from. What the machine has run out of says
// nothing about the copy, and is told apart: kExhausted or kUnavailable. Not mapped, see above.
Status CheckCopy(const fs::path& path, const Digest32& digest) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    return Status::FromErrno("open the copy " + path.string(), errno);
  }
  crypto_hash_sha256_state state;
  crypto_hash_sha256_init(&state);
  std::vector<unsigned char> chunk(kHashChunk);
  while (true) {
    const ssize_t size = read(fd.get(), chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0) {
      return Status::FromErrno("read the copy " + path.string(), errno);
    }
    if (size == 0) {
      break;
    }
    crypto_hash_sha256_update(&state, chunk.data(), static_cast<std::size_t>(size));
  }
  Digest32 found{};
  crypto_hash_sha256_final(&state, found.data());
  return found == digest ? Status()
                         : Status::Corrupt(fmt::format("the copy {} has changed", path.string()));
}

Status WriteCopy(std::string_view bytes, const fs::path& path) {
  const fs::path temporary = path.string() + ".new";
  // A leftover of a host that died here.
  (void)unlink(temporary.c_str());
  const UniqueFd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) {
    return Status::FromErrno("create " + temporary.string(), errno);
  }
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t written = write(fd.get(), rest.data(), rest.size());
    if (written < 0 && errno != EINTR) {
      return Status::FromErrno("write " + temporary.string(), errno);
    }
    rest.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
  }
  // Readable and nothing else; a runner maps its code from it, which needs no x.
  if (fchmod(fd.get(), 0444) != 0 || fsync(fd.get()) != 0) {
    return Status::FromErrno("store " + temporary.string(), errno);
  }
  return RenameDurably(temporary, path);
}

// How long a copy that no group uses is kept, so that going back to it needs no more than the
// file's name. A host marks the copies it uses at every start and spawn.
constexpr std::chrono::hours kKeepUnused{30 * 24};

void MarkUsed(const fs::path& folder) {
  // Only its age is lost where this fails, and a copy that is gone is made again.
  (void)utimensat(AT_FDCWD, folder.c_str(), nullptr, 0);
}

// Called with a new copy to be made, so at most as often as there are new versions.
void RemoveUnused(const fs::path& plugins, const std::set<std::string>& in_use) {
  std::error_code failed;  // What cannot be removed now can be at the next new version.
  const auto now = fs::file_time_type::clock::now();
  for (fs::directory_iterator folder(plugins, failed), end; !failed && folder != end;
       folder.increment(failed)) {
    std::error_code unknown;
    const auto used = folder->last_write_time(unknown);
    const std::string name = folder->path().filename().string();
    const bool is_copy = name.size() == 2 * sizeof(Digest32);
    if (!unknown && is_copy && !in_use.contains(name) && now - used > kKeepUnused) {
      fs::remove_all(folder->path(), unknown);
    }
  }
}

}  // namespace

Result<PluginFile> FindPlugin(const std::vector<fs::path>& directories, const std::string& name) {
  std::string looked_in;
  std::string advice;
  for (const fs::path& directory : directories) {
    looked_in += (looked_in.empty() ? "" : ", ") + directory.string();
    const UniqueFd folder(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder.valid()) {
      if (errno == ENOENT) {
        looked_in += " (which does not exist)";
        continue;
      }
      return CannotOpen("plugin directory", directory, errno);
    }
    PluginFile file;
    file.path = directory / name;
    file.fd = UniqueFd(OpenBeneath(folder.get(), name.c_str()));
    if (!file.fd.valid()) {
      if (errno == ENOENT) {
        // People often leave the suffix out, as other systems do.
        const std::string with_suffix = name + ".so";
        if (faccessat(folder.get(), with_suffix.c_str(), F_OK, 0) == 0) {
          advice = "; it has " + with_suffix;
        }
        continue;
      }
      if (errno == ELOOP) {
        return DeniedLink(file.path);
      }
      return CannotOpen("plugin", file.path, errno);
    }
    struct stat info {};
    struct stat folder_info {};
    if (fstat(file.fd.get(), &info) != 0 || fstat(folder.get(), &folder_info) != 0) {
      return Status::FromErrno("plugin " + file.path.string(), errno);
    }
    if (!S_ISREG(info.st_mode)) {
      return Status::Invalid(
          fmt::format("plugin {} is {}: wanted a shared object", file.path.string(),
                      S_ISDIR(info.st_mode) ? "a directory" : "no regular file"));
    }
    OwnerFaults faults;
    faults.Look(info, "plugin", file.path);
    faults.Look(folder_info, "plugin directory", directory);
    CATCHUP_RETURN_IF_ERROR(faults.status());
    file.size = static_cast<std::uint64_t>(info.st_size);
    if (file.size == 0 || file.size > kMaxPluginBytes) {
      return Status::Invalid(fmt::format("plugin {} has {} bytes: wanted 1 to {}",
                                         file.path.string(), file.size, kMaxPluginBytes));
    }
    return file;
  }
  return Status::NotFound(
      fmt::format("plugin {} not found: looked in {}{}", name, looked_in, advice));
}

Status CheckPin(const PluginFile& file, const StagedPlugin& staged, std::string_view pin) {
  return pin.empty() || pin == staged.sha256
             ? Status()
             : Status::Denied(fmt::format("plugin {} has SHA-256 {}: its group pins {}",
                                          file.path.string(), staged.sha256, pin));
}

Result<StagedPlugin> StagePlugin(const PluginFile& file, const fs::path& plugins,
                                 std::string_view pin) {
  const std::string what = "plugin " + file.path.string();
  CATCHUP_ASSIGN_OR_RETURN(const std::string bytes, ReadWhole(file));
  StagedPlugin staged;
  staged.digest = Hash(bytes);
  staged.sha256 = HexText(staged.digest);
  CATCHUP_RETURN_IF_ERROR(CheckPin(file, staged, pin));
  if (Status elf = CheckElf(bytes); !elf.ok()) {
    return Status(elf.code(), fmt::format("{} {}", what, elf.message()));
  }
  // Groups of one host may stage the same file at once; a directory has one host at a time.
  static Mutex writing;
  const MutexLock lock(&writing);
  const fs::path folder = plugins / staged.sha256;
  staged.path = folder / file.path.filename();
  // What this process has staged: whatever the clock says, these copies are in use.
  static std::set<std::string> in_use;
  in_use.insert(staged.sha256);
  const Status intact = CheckCopy(staged.path, staged.digest);
  if (intact.ok()) {
    MarkUsed(folder);
    return staged;
  }
  if (intact.may_pass()) {
    return intact;
  }
  RemoveUnused(plugins, in_use);
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) {
    return Status::FromErrno("create " + folder.string(), failed.value());
  }
  CATCHUP_RETURN_IF_ERROR(WriteCopy(bytes, staged.path));
  CATCHUP_RETURN_IF_ERROR(SyncDirectory(plugins));
  return staged;
}

Status VerifyStaged(const StagedPlugin& plugin) {
  CATCHUP_RETURN_IF_ERROR(CheckCopy(plugin.path, plugin.digest));
  MarkUsed(plugin.path.parent_path());
  return {};
}

Status RestageIfLost(const StagedPlugin& plugin, const std::vector<fs::path>& directories,
                     const fs::path& plugins, std::string* lost) {
  const Status intact = VerifyStaged(plugin);
  if (intact.ok() || intact.may_pass()) {
    return intact;
  }
  auto file = FindPlugin(directories, plugin.path.filename().string());
  Status again = file.status();
  if (file.ok()) {
    again = StagePlugin(*file, plugins, plugin.sha256).status();
    if (again.code() == Status::Code::kDenied) {
      again = Status::Denied(
          "the plugin it was made from has changed, too: restart the host to "
          "take the new one");
    }
  }
  if (again.ok()) {
    *lost = intact.message();
    return {};
  }
  return {again.code(),
          fmt::format("{}, and cannot be made again: {}", intact.message(), again.message())};
}

}  // namespace catchup
