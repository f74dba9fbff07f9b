#include "host/cli/event_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "host/base/event.h"

namespace catchup {
namespace {

// An event of the largest size in base64, twice, and its names.
constexpr std::size_t kMaxLine = 4 * kMaxEventBytes;

}  // namespace

void EventFile::Closer::operator()(std::FILE* file) const {
  // It was only read: nothing can be lost here.
  (void)std::fclose(file);
}

Result<EventFile> EventFile::Open(const std::string& path) {
  if (path == "-") {
    std::unique_ptr<std::FILE, Closer> input(::fdopen(::dup(STDIN_FILENO), "rb"));
    if (input == nullptr) {
      return Status::FromErrno("standard input", errno);
    }
    return EventFile(std::move(input), "<stdin>", "<stdin>");
  }
  std::unique_ptr<std::FILE, Closer> file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) {
    return Status::FromErrno(path, errno);
  }
  struct stat info {};
  if (fstat(fileno(file.get()), &info) == 0 && S_ISDIR(info.st_mode)) {
    return Status::Invalid(path + " is a directory: wanted a file of event lines");
  }
  std::error_code failed;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failed);
  if (failed) {
    return Status::FromErrno(path, failed.value());
  }
  return EventFile(std::move(file), path, absolute.lexically_normal().string());
}

Result<bool> EventFile::ReadText() {
  text_.clear();
  while (true) {
    const int c = std::getc(file_.get());
    if (c == EOF) {
      if (std::ferror(file_.get()) != 0) {
        return Status::FromErrno(path_, errno);
      }
      if (text_.empty()) {
        return false;
      }
      break;
    }
    if (c == '\n') {
      break;
    }
    if (text_.size() >= kMaxLine) {
      return Status::Invalid(path_ + ":" + std::to_string(number_ + 1) + ": longer than " +
                             std::to_string(kMaxLine) + " bytes");
    }
    text_ += static_cast<char>(c);
  }
  ++number_;
  return true;
}

std::optional<std::uint64_t> EventFile::CountRest() {
  struct stat info {};
  if (::fstat(::fileno(file_.get()), &info) != 0 || !S_ISREG(info.st_mode)) {
    return std::nullopt;
  }
  std::uint64_t count = 0;
  while (true) {
    const Result<bool> more = ReadText();
    if (!more.ok()) {
      return std::nullopt;
    }
    if (!*more) {
      return count;
    }
    count += TextIsBlank() ? 0 : 1;
  }
}

Result<const EventFile::Line*> EventFile::Next() {
  do {
    Result<bool> more = ReadText();
    if (!more.ok()) {
      return more.status();
    }
    if (!*more) {
      return static_cast<const Line*>(nullptr);
    }
  } while (number_ < skip_before_ || TextIsBlank());
  std::string error;
  if (!ParseEventLine(text_, &line_.event, &error)) {
    return Status::Invalid(path_ + ":" + std::to_string(number_) + ": " + error);
  }
  if (line_.event.type.empty()) {
    return Status::Invalid(path_ + ":" + std::to_string(number_) +
                           ": the type is empty: wanted at least one character");
  }
  const ParsedEventLine& event = line_.event;
  const std::uint64_t bytes =
      event.stream.size() + event.type.size() + event.data.size() + event.metadata.size();
  if (bytes > kMaxEventBytes) {
    return Status::Invalid(path_ + ":" + std::to_string(number_) + ": " + TooLargeEvent(bytes));
  }
  line_.number = number_;
  if (line_.event.id.has_value()) {
    line_.id.bytes = *line_.event.id;
    if (line_.id.is_zero()) {
      return Status::Invalid(path_ + ":" + std::to_string(number_) +
                             ": the id is all zero: wanted any other UUID");
    }
  } else {
    line_.id = NameUuid(absolute_ + "\n" + std::to_string(number_) + "\n" + text_);
  }
  return &line_;
}

}  // namespace catchup
