#include "tests/plugins/trouble/journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace trouble {
namespace {

class OpenFile {
 public:
  explicit OpenFile(const std::string& path)
      : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~OpenFile() {
    if (fd_ >= 0) close(fd_);  // Which gives the lock back, too.
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

[[noreturn]] void Wait(const std::string& path, const char* what) {
  throw catchup::Retry("journal " + path + ": " + what + ": " + std::strerror(errno));
}

std::string Word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == 0x7f || c == '\\') {
      std::array<char, 5> escaped;
      std::snprintf(escaped.data(), escaped.size(), "\\x%02x", byte);
      word += escaped.data();
    } else {
      word += c;
    }
  }
  return word;
}

std::string IdText(const std::array<std::uint8_t, 16>& id) {
  std::string text;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    constexpr std::string_view kDigits = "0123456789abcdef";
    text += kDigits[id[i] >> 4];
    text += kDigits[id[i] & 15];
  }
  return text;
}

}  // namespace

std::uint64_t Journal::Note(const catchup::Event& event, const std::string& what) {
  const Place place{event.position().commit, event.position().prepare};
  if (path_.empty()) return ++deliveries_[place];
  const OpenFile file(path_);
  if (file.fd() < 0) Wait(path_, "open");
  // Another lane's runner may be at it.
  if (flock(file.fd(), LOCK_EX) != 0) Wait(path_, "lock");
  ReadOn(file.fd());
  const std::uint64_t delivery = deliveries_[place] + 1;
  const std::string line = std::to_string(place.first) + ":" + std::to_string(place.second) + " " +
                           Word(event.stream()) + " " + std::to_string(event.revision()) + " " +
                           Word(event.type()) + " " + IdText(event.id()) + " " + Word(what) + " " +
                           std::to_string(delivery) + "\n";
  // In one write, which a kill does not tear; a full disk may.
  const ssize_t written = write(file.fd(), line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) {
    if (written >= 0) errno = ENOSPC;
    const int error = errno;
    (void)!ftruncate(file.fd(), static_cast<off_t>(read_));
    errno = error;
    Wait(path_, "write");
  }
  read_ += line.size();
  return deliveries_[place] = delivery;
}

// What was written since this runner looked last; all of it at first, and when another file has the
// name or this one was cut.
void Journal::ReadOn(int file) {
  struct stat info {};
  if (fstat(file, &info) != 0) Wait(path_, "look at it");
  if (static_cast<std::uint64_t>(info.st_size) < read_) {
    read_ = 0;
    deliveries_.clear();
  }
  std::string pending;
  std::array<char, 65536> chunk;
  for (std::uint64_t at = read_;;) {
    const ssize_t size = pread(file, chunk.data(), chunk.size(), static_cast<off_t>(at));
    if (size < 0) Wait(path_, "read");
    if (size == 0) break;
    at += static_cast<std::uint64_t>(size);
    pending.append(chunk.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
      Count(pending.substr(begin, end - begin));
      read_ += end + 1 - begin;
    }
    pending.erase(0, begin);
  }
}

// A line that is none of ours is passed over.
void Journal::Count(const std::string& line) {
  Place place;
  std::uint64_t delivery = 0;
  const std::size_t last = line.rfind(' ');
  if (last != std::string::npos &&
      std::sscanf(line.c_str(), "%" SCNu64 ":%" SCNu64 " ", &place.first, &place.second) == 2 &&
      std::sscanf(line.c_str() + last, " %" SCNu64, &delivery) == 1) {
    deliveries_[place] = delivery;
  }
}

}  // namespace trouble
