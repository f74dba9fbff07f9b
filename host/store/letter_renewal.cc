#include "host/store/letter_renewal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

#include "host/base/durable_file.h"
#include "host/base/sqlite.h"
#include "host/base/unique_fd.h"
#include "host/store/letter_file.h"

namespace catchup::letter_file {
namespace {

namespace fs = std::filesystem;

fs::path With(const fs::path& folder, std::string_view suffix) {
  fs::path path = In(folder);
  path += suffix;
  return path;
}

fs::path Marker(const fs::path& folder) { return With(folder, "-unclean"); }

Status WriteAll(int fd, const char* data, std::size_t size, off_t at) {
  while (size > 0) {
    const ssize_t written = ::pwrite(fd, data, size, at);
    if (written < 0 && errno != EINTR) {
      return Status::FromErrno("write", errno);
    }
    data += written > 0 ? written : 0;
    size -= written > 0 ? static_cast<std::size_t>(written) : 0;
    at += written > 0 ? written : 0;
  }
  return {};
}

// Copies by read and write: what the file system copies by itself it may share between both files,
// and with it blocks that are not what the kernel shows. A file that is not there copies to none.
Status Copy(const fs::path& from, const fs::path& to) {
  const UniqueFd in(::open(from.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!in.valid()) {
    return errno == ENOENT ? Status() : Status::FromErrno("open " + from.string(), errno);
  }
  const UniqueFd out(
      ::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!out.valid()) {
    return Status::FromErrno("make " + to.string(), errno);
  }
  constexpr std::size_t kPiece = 256u << 10;
  std::string piece(kPiece, '\0');
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(in.get(), piece.data(), piece.size(), at);
    if (got < 0 && errno != EINTR) {
      return Status::FromErrno("read " + from.string(), errno);
    }
    if (got == 0) {
      return {};
    }
    if (got > 0) {
      if (Status written = WriteAll(out.get(), piece.data(), static_cast<std::size_t>(got), at);
          !written.ok()) {
        return written.Within(to.string());
      }
      at += got;
    }
  }
}

// Opens `file` so that what an earlier process left half written in it is taken back.
Status Settle(const fs::path& file) {
  CATCHUP_ASSIGN_OR_RETURN(Connection connection,
                           Connection::Open(file, Connection::Mode::kWrite, kConnectionName));
  const auto tables = connection.QueryInt("SELECT count(*) FROM sqlite_schema");
  return tables.ok() ? Status() : Explain(connection, tables.status(), file.parent_path());
}

// Puts the renewed file in its place. Its journal goes first, and durably: it would be played back
// into a file that it was not written for.
Status PutInPlace(const fs::path& folder) {
  CATCHUP_RETURN_IF_ERROR(RemoveIfThere(Journal(In(folder))));
  CATCHUP_RETURN_IF_ERROR(SyncDirectory(folder));
  return RenameDurably(Renewed(folder), In(folder));
}

// Which boot of the system this is; the same text for all where that cannot be told.
std::string Boot() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string boot;
  std::getline(in, boot);
  return boot + "\n";
}

}  // namespace

fs::path Fresh(const fs::path& folder) { return With(folder, ".new"); }
fs::path Renewed(const fs::path& folder) { return With(folder, ".renewed"); }
fs::path Journal(const fs::path& file) { return file.string() + "-journal"; }
Result<bool> IsThere(const fs::path& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    return true;
  }
  return errno == ENOENT ? Result<bool>(false)
                         : Status::FromErrno("look at " + path.string(), errno);
}

Status RemoveFresh(const fs::path& folder) {
  CATCHUP_RETURN_IF_ERROR(RemoveIfThere(Journal(Fresh(folder))));
  return RemoveIfThere(Fresh(folder));
}

Status SyncFile(const fs::path& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) {
    return Status::FromErrno("open " + file.string(), errno);
  }
  return ::fsync(fd.get()) == 0 ? Status() : Status::FromErrno("sync " + file.string(), errno);
}

Status CopySettled(const fs::path& from, const fs::path& to) {
  CATCHUP_RETURN_IF_ERROR(Copy(Journal(from), Journal(to)));
  CATCHUP_RETURN_IF_ERROR(Copy(from, to));
  CATCHUP_RETURN_IF_ERROR(Settle(to));
  return RemoveIfThere(Journal(to));
}

Result<bool> FinishRenewal(const fs::path& folder) {
  CATCHUP_ASSIGN_OR_RETURN(const bool renewed, IsThere(Renewed(folder)));
  if (renewed) {
    CATCHUP_RETURN_IF_ERROR(PutInPlace(folder));
  }
  return renewed;
}

Status Renew(const fs::path& folder) {
  const fs::path fresh = Fresh(folder);
  CATCHUP_RETURN_IF_ERROR(CopySettled(In(folder), fresh));
  CATCHUP_RETURN_IF_ERROR(SyncFile(fresh));
  CATCHUP_RETURN_IF_ERROR(RenameDurably(fresh, Renewed(folder)));
  return PutInPlace(folder);
}

Result<bool> IsUnclean(const fs::path& folder) {
  CATCHUP_ASSIGN_OR_RETURN(const bool marked, IsThere(Marker(folder)));
  if (!marked) {
    return false;
  }
  std::ifstream in(Marker(folder), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::string boot = Boot();
  return text.size() != boot.size() || text == boot;
}

// It is not synced: it is of use in this boot only, and in it whoever looks sees it.
Status MarkUnclean(const fs::path& folder) {
  const UniqueFd fd(
      ::open(Marker(folder).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) {
    return Status::FromErrno("make " + Marker(folder).string(), errno);
  }
  const std::string boot = Boot();
  return WriteAll(fd.get(), boot.data(), boot.size(), 0).Within(Marker(folder).string());
}

void MarkClean(const fs::path& folder) { ::unlink(Marker(folder).c_str()); }

}  // namespace catchup::letter_file
