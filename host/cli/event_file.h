#pragma once

#include <catchup/event_line.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/status.h"
#include "host/base/unique_fd.h"
#include "host/base/uuid.h"

namespace catchup {

// A file of event lines, read line by line, even while it is still being written, as a pipe is.
// Skips blank lines, and a byte order mark at the very beginning. What follows the last line feed
// counts as a line once the file has ended. One thread.
class EventFile {
 public:
  struct Line {
    std::uint64_t number = 0;  // From 1.
    ParsedEventLine event;
    Uuid id;                // From the line, or made of the seed, line number and line.
    bool given_id = false;  // `id` is from the line.
  };

  // "-" is standard input.
  static Result<EventFile> Open(const std::string& path);

  // The seed of ids that are made, together with line number and line. Without it: the absolute
  // path.
  void SeedIds(std::string seed) { seed_ = std::move(seed); }

  // The next event, or null at the end. Waits for one. kInvalid for a malformed line, as
  // "events.jsonl:12: column 3: found …, wanted …".
  Result<const Line*> Next() { return Take(true); }

  // The same without waiting: null also where ReadMore must come first, unless at_end().
  Result<const Line*> NextRead() { return Take(false); }
  bool at_end() const { return ended_ && begin_ == text_.size(); }

  // Reads once from fd(), and waits if nothing is there. A failure is reported by Next.
  void ReadMore();

  int fd() const { return fd_.get(); }
  // Reading never waits, and bytes that were not read stay where they are.
  bool is_regular() const { return regular_; }
  // The bytes of a next line that was read only in part. None after a line was refused, and none
  // while there are whole lines to take.
  std::uint64_t unfinished_bytes() const {
    return refused_ || text_.find('\n', begin_) != std::string::npos ? 0 : text_.size() - begin_;
  }

  // How many events are left, malformed ones included, and skips them. None for a pipe or a
  // terminal, where the answer could take long, and when the file cannot be read.
  std::optional<std::uint64_t> CountRest();

  // Skips the lines before `number` without looking at them.
  void SkipTo(std::uint64_t number) { skip_before_ = number; }
  // The number of the next line, or of the line that Next has just refused.
  std::uint64_t next_line() const { return number_ + 1; }

 private:
  EventFile(UniqueFd fd, bool regular, std::string path, std::string seed)
      : fd_(std::move(fd)), regular_(regular), path_(std::move(path)), seed_(std::move(seed)) {}

  Result<const Line*> Take(bool wait);
  std::size_t FindLineEnd();
  // Puts the next line into line_text_. False at the end of the file, or if it would have to wait.
  Result<bool> ReadText(bool wait);
  bool TextIsBlank() const {
    return line_text_.find_first_not_of(" \t\r") == std::string_view::npos;
  }
  Result<const Line*> Parse();

  UniqueFd fd_;
  bool regular_ = false;
  std::string path_;
  std::string seed_;

  std::string text_;       // What was read from the file.
  std::size_t begin_ = 0;  // Where the lines not yet taken begin in text_.
  std::size_t clean_ = 0;  // There is no line feed between begin_ and here.
  bool ended_ = false;
  bool refused_ = false;  // The last line was malformed.
  Status failure_;

  std::string_view line_text_;  // A part of text_, until the next read.
  std::uint64_t number_ = 0;
  std::uint64_t skip_before_ = 0;
  Line line_;
};

}  // namespace catchup
