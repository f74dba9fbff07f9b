#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace catchup {

// A file of lines that only grows, and only by whole lines, under a name that others may rotate
// meanwhile: by renaming or removing the file, or by cutting it (as logrotate's copytruncate does).
//
// So nothing is remembered about the file but its descriptor: each Append looks at what stands at
// the path, and at the end of it, before it writes and after. What a crash or a full disk left of a
// last line is cut off again; what somebody else left there is ended and kept.
//
// An advisory lock keeps a second writer out, since two of them would cut each other's lines. One
// thread at a time. Errors are thrown: Retry where waiting can help, and, from Open alone, Fatal
// where only a person can (no such folder, no permission).
class LineFile {
 public:
  // `notice` is told, in a sentence, what was done to a file beyond writing lines to it, and
  // whether that is worth a warning.
  explicit LineFile(std::function<void(const std::string& text, bool warn)> notice)
      : notice_(std::move(notice)) {}
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile() { Close(); }

  // Opens `path`, making the file (not its folder) if need be, and makes all of that durable. A
  // relative path is that of the working directory of now.
  void Open(const std::string& path);

  // Adds `lines`, each of which ends in a line feed. On return they stand whole in the file that
  // has the path's name, and on the disk if `sync`. Where the file changed meanwhile they may stand
  // in the former one, too.
  void Append(std::string_view lines, bool sync);

  void Close() noexcept;

 private:
  // Opens what stands at the path now, locks it and mends its end.
  void OpenCurrent();
  void OpenOrMake();
  void Lock() const;
  void SyncFolders() const;
  void SyncFolder(const std::filesystem::path& folder) const;
  // The open file is the one that the path names.
  bool IsCurrent() const;
  // Sees to it that the file is empty or ends in a line feed.
  void MendEnd();
  bool WriteOnce(std::string_view lines, bool sync);
  void CutOwn(std::uint64_t start, std::uint64_t end);

  std::uint64_t Size() const;
  // The byte at `offset`, or -1 if the file has become too short for that.
  int ByteAt(std::uint64_t offset) const;
  // Where the last line of a file of `size` bytes begins. Nothing if it became shorter meanwhile.
  std::uint64_t StartOfLastLine(std::uint64_t size) const;
  bool LastLineIsOurs(std::uint64_t start) const;
  // Makes the file `size` bytes long, or leaves it alone if it has become shorter than that.
  void Cut(std::uint64_t size) const;

  std::string Text(std::string_view what, int error) const;
  [[noreturn]] void Throw(std::string_view what, int error) const;

  const std::function<void(const std::string&, bool)> notice_;
  std::string path_;      // As given, for texts.
  std::string absolute_;  // So that a working directory that was removed and made anew will do.
  int fd_ = -1;
  bool opening_ = false;  // Since Open, until the first Append.
};

}  // namespace catchup
