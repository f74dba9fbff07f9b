#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace catchup {

// A file of lines that only grows, and only by whole lines.
//
// Open cuts what a crash left of a last line. Append adds a batch of lines with one write and, if
// asked, one fdatasync; when either fails the file is cut back to where it was, so that the batch
// can come again without leaving half of itself behind.
//
// An advisory lock keeps a second writer out, since two of them would cut each other's lines. One
// thread at a time. Errors are thrown: Retry where waiting can help (a full disk, an I/O error, a
// lock that is held), Fatal where only a person can (no such folder, no permission).
class LineFile {
 public:
  LineFile() = default;
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;
  ~LineFile() { Close(); }

  // Opens `path`, making the file (not its folder) if need be, and makes all of that durable.
  // Returns how many bytes of a torn last line were cut.
  std::uint64_t Open(const std::string& path);

  // Adds `lines`, each of which ends in a line feed. On return they are in the file, and on the
  // disk if `sync`.
  void Append(std::string_view lines, bool sync);

  void Close() noexcept;

 private:
  void OpenOrCreate();
  void SyncFolder() const;
  void Lock() const;
  std::uint64_t CutTornLine();
  // Cuts the file back to end_.
  void RestoreEnd();
  [[noreturn]] void Throw(std::string_view what, int error) const;

  std::string path_;
  int fd_ = -1;
  std::uint64_t end_ = 0;  // Where the last whole line ends, in bytes.
  bool dirty_ = false;     // There may be bytes after end_.
};

}  // namespace catchup
