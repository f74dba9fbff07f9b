#pragma once

#include <catchup/event_line.hpp>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>

#include "host/base/status.h"
#include "host/base/uuid.h"

namespace catchup {

// A file of event lines, read line by line. Blank lines are passed over. One thread.
class EventFile {
 public:
  struct Line {
    std::uint64_t number = 0;  // From 1.
    ParsedEventLine event;
    Uuid id;  // The line's own, or one made of absolute path, line number and line.
  };

  // "-" is standard input.
  static Result<EventFile> Open(const std::string& path);

  // The next event, or null at the end. kInvalid for a malformed line, as
  // "events.jsonl:12: column 3: found …, wanted …".
  Result<const Line*> Next();

  // How many events are left, malformed ones included, which are passed over. None for a pipe or a
  // terminal, where the answer could be long in coming, and when the file cannot be read.
  std::optional<std::uint64_t> CountRest();

  // Passes over lines before `number` without looking into them.
  void SkipTo(std::uint64_t number) { skip_before_ = number; }
  // The number of the next line.
  std::uint64_t next_line() const { return number_ + 1; }

 private:
  struct Closer {
    void operator()(std::FILE* file) const;
  };
  EventFile(std::unique_ptr<std::FILE, Closer> file, std::string path, std::string absolute)
      : file_(std::move(file)), path_(std::move(path)), absolute_(std::move(absolute)) {}

  // False at the end of the file.
  Result<bool> ReadText();
  bool TextIsBlank() const { return text_.find_first_not_of(" \t\r") == std::string::npos; }

  std::unique_ptr<std::FILE, Closer> file_;
  std::string path_;
  std::string absolute_;
  std::string text_;
  std::uint64_t number_ = 0;
  std::uint64_t skip_before_ = 0;
  Line line_;
};

}  // namespace catchup
