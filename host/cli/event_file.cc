#include "host/cli/event_file.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>

#include "host/base/event.h"
#include "host/base/text.h"

namespace catchup {
namespace {

// An event of the largest size in base64, twice, and its names.
constexpr std::size_t kMaxLine = 4 * kMaxEventBytes;

// What a pipe holds by default, and enough that a file costs few calls.
constexpr std::size_t kReadBytes = 64 * 1024;

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

Result<EventFile> EventFile::Open(const std::string& path) {
  const bool is_stdin = path == "-";
  UniqueFd fd(is_stdin ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)
                       : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd.valid()) {
    return Status::FromErrno(is_stdin ? "standard input" : WithoutUserInfo(path), errno);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return Status::FromErrno(is_stdin ? "standard input" : path, errno);
  }
  if (S_ISDIR(info.st_mode)) {
    return Status::Invalid(path + " is a directory: wanted a file of event lines");
  }
  const bool regular = S_ISREG(info.st_mode);
  if (is_stdin) {
    return EventFile(std::move(fd), regular, "<stdin>", "<stdin>");
  }
  std::error_code failed;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  if (failed) {
    return Status::FromErrno(path, failed.value());
  }
  return EventFile(std::move(fd), regular, path, absolute.lexically_normal().string());
}

// Looks at each byte once, however often a long line is asked for.
std::size_t EventFile::FindLineEnd() {
  const std::size_t end = text_.find('\n', std::max(clean_, begin_));
  if (end == std::string::npos) {
    clean_ = text_.size();
  }
  return end;
}

void EventFile::ReadMore() {
  if (ended_ || !failure_.ok()) {
    return;
  }
  // What was handed out is gone by now.
  text_.erase(0, begin_);
  clean_ -= std::min(clean_, begin_);
  begin_ = 0;
  line_text_ = {};
  const std::size_t had = text_.size();
  text_.resize(had + kReadBytes);
  const ssize_t got = ::read(fd_.get(), text_.data() + had, kReadBytes);
  const int error = errno;
  text_.resize(had + (got > 0 ? static_cast<std::size_t>(got) : 0));
  if (got == 0) {
    ended_ = true;
  } else if (got < 0 && error != EINTR && error != EAGAIN) {
    failure_ = Status::FromErrno(path_, error);
  }
}

Result<bool> EventFile::ReadText(bool wait) {
  std::size_t end = FindLineEnd();
  while (end == std::string::npos && !ended_ && failure_.ok()) {
    if (text_.size() - begin_ > kMaxLine) {
      return Status::Invalid(
          fmt::format("{}:{}: longer than {} bytes", path_, number_ + 1, kMaxLine));
    }
    if (!wait) {
      return false;
    }
    ReadMore();
    end = FindLineEnd();
  }
  if (end == std::string::npos && !failure_.ok()) {
    return failure_;
  }
  if (end == std::string::npos && begin_ == text_.size()) {
    return false;
  }
  const std::size_t stop = std::min(end, text_.size());
  line_text_ = std::string_view(text_).substr(begin_, stop - begin_);
  if (number_ == 0 && line_text_.starts_with(kByteOrderMark)) {
    line_text_.remove_prefix(kByteOrderMark.size());
  }
  begin_ = std::min(stop + 1, text_.size());
  ++number_;
  return true;
}

std::optional<std::uint64_t> EventFile::CountRest() {
  if (!regular_) {
    return std::nullopt;
  }
  std::uint64_t count = 0;
  while (true) {
    const Result<bool> more = ReadText(true);
    if (!more.ok()) {
      return std::nullopt;
    }
    if (!*more) {
      return count;
    }
    count += TextIsBlank() ? 0 : 1;
  }
}

Result<const EventFile::Line*> EventFile::Take(bool wait) {
  do {
    CATCHUP_ASSIGN_OR_RETURN(bool more, ReadText(wait));
    if (!more) {
      return static_cast<const Line*>(nullptr);
    }
  } while (number_ < skip_before_ || TextIsBlank());
  Result<const Line*> line = Parse();
  if (!line.ok()) {
    refused_ = true;
    --number_;
  }
  return line;
}

Result<const EventFile::Line*> EventFile::Parse() {
  const auto refuse = [this](std::string_view why) {
    return Status::Invalid(fmt::format("{}:{}: {}", path_, number_, why));
  };
  std::string error;
  if (!ParseEventLine(line_text_, &line_.event, &error)) {
    return refuse(error);
  }
  if (line_.event.type.empty()) {
    return refuse("the type is empty: wanted at least one character");
  }
  const ParsedEventLine& event = line_.event;
  const std::uint64_t bytes =
      event.stream.size() + event.type.size() + event.data.size() + event.metadata.size();
  if (bytes > kMaxEventBytes) {
    return refuse(TooLargeEvent(bytes));
  }
  line_.number = number_;
  line_.given_id = line_.event.id.has_value();
  if (line_.given_id) {
    line_.id.bytes = *line_.event.id;
    if (line_.id.is_zero()) {
      return refuse("the id is all zero: wanted any other UUID");
    }
  } else {
    std::string name = seed_;
    name.append("\n").append(std::to_string(number_)).append("\n").append(line_text_);
    line_.id = NameUuid(name);
  }
  return &line_;
}

}  // namespace catchup
