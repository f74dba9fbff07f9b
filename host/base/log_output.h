#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/mutex.h"

namespace catchup {

// Standard error, with lines of progress kept below the log on a terminal.
//
// A thread of its own writes, because whoever reads standard error may be slow or stand still, and
// whoever logs holds locks that others need. So nothing here waits for the reader but that thread
// and Flush(). What the reader is behind by is kept in a queue with a bound; what does not fit is
// dropped and counted, ordinary lines before errors. Lines of which each counts have more room, and
// it is their own, so that neither kind drives the other out. A gap is in one piece: once a line
// was dropped those of its kind are, errors apart, until half their room is free, and there a line
// says how many there were.
//
// The thread starts with the first line, blocks every signal and is never joined: it may be held up
// by the reader for ever. So an object must live until the process ends. Any thread.
class LogOutput {
 public:
  enum class Kind : std::uint8_t { kOrdinary, kError, kEach };

  // The line that says how many were dropped, without a line feed. Called under a lock that Write()
  // takes, so it must not log.
  using TellDropped = std::function<std::string(std::uint64_t count)>;

  explicit LogOutput(TellDropped tell_dropped);
  LogOutput(const LogOutput&) = delete;
  LogOutput& operator=(const LogOutput&) = delete;
  ~LogOutput() = delete;

  bool terminal() const { return terminal_; }
  // Whether progress can be drawn: a terminal whose cursor can be moved, as TERM tells.
  bool draws() const { return draws_; }

  // Queues one line, given without its line feed. Lines are written in the order of these calls.
  void Write(std::string line, Kind kind);

  // Has these lines drawn below the log as soon as the reader allows; only the newest ones count.
  // Nothing is drawn unless draws().
  void SetProgress(std::vector<std::string> lines);

  // Waits until all is written, or the reader has taken nothing for a while, or is so slow that it
  // would take too long; after that it waits no more until all is written once.
  void Flush();

 private:
  struct Amount {
    std::size_t lines = 0;
    std::size_t bytes = 0;
  };
  struct Line {
    std::string text;
    bool is_each = false;
  };
  // Of the queue, the part of the lines of which each counts or that of all others.
  struct Share {
    Amount queued;
    std::uint64_t dropped = 0;  // Lines not reported yet.
  };

  // Ordinary lines: what a host with many groups says at once when their server goes away, about
  // 250 bytes each. Errors may go beyond that, so that a flood of the others never hides them.
  static constexpr Amount kForOrdinary{4096, 1u << 20};
  static constexpr Amount kForErrors{5120, (1u << 20) + (256u << 10)};
  // What a plugin that refuses all it is given has the host say in some seconds, of about 400
  // bytes.
  static constexpr Amount kForEach{65'536, 16u << 20};

  static const Amount& BoundOf(Kind kind);
  Share& ShareOf(bool is_each) CATCHUP_REQUIRES(mutex_) { return is_each ? each_ : others_; }
  bool Idle() const CATCHUP_REQUIRES(mutex_) {
    return lines_.empty() && !next_progress_.has_value() && !writing_;
  }
  void Push(Line line) CATCHUP_REQUIRES(mutex_);
  std::string PopLine() CATCHUP_REQUIRES(mutex_);
  void StartWriter() CATCHUP_REQUIRES(mutex_);
  void WriteWithoutThread() CATCHUP_REQUIRES(mutex_);

  // These run on the writer's thread, without the lock.
  void RunWriter();
  void WriteAll(std::string_view text);
  std::string Erase();
  std::string Draw();

  const bool terminal_;
  const bool draws_;
  const bool utf8_;  // The terminal's users see more than ASCII.
  const TellDropped tell_dropped_;

  Mutex mutex_;
  CondVar work_;   // The writer waits.
  CondVar moved_;  // Flush() waits.
  bool started_ CATCHUP_GUARDED_BY(mutex_) = false;
  bool writing_ CATCHUP_GUARDED_BY(mutex_) = false;
  bool gave_up_ CATCHUP_GUARDED_BY(mutex_) = false;
  std::deque<Line> lines_ CATCHUP_GUARDED_BY(mutex_);
  Share each_ CATCHUP_GUARDED_BY(mutex_);
  Share others_ CATCHUP_GUARDED_BY(mutex_);
  std::optional<std::vector<std::string>> next_progress_ CATCHUP_GUARDED_BY(mutex_);
  std::uint64_t written_bytes_ CATCHUP_GUARDED_BY(mutex_) = 0;

  // The writer's own.
  std::vector<std::string> progress_;
  std::vector<std::size_t> drawn_;  // The width of each line on the screen.
};

}  // namespace catchup
