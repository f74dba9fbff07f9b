#include "host/base/log_output.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <system_error>
#include <thread>
#include <utility>

#include "host/base/str_cat.h"
#include "host/base/wait.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

// A full pipe takes more only once a whole page of it was read, so this is for a reader that takes
// less than 3 KB/s, which is as good as none.
constexpr std::chrono::milliseconds kMaxStandstill{1'500};

// What a slow reader may hold up the end of the process for. Within what a stop has left of its ten
// seconds when it has used all the force it has.
constexpr std::chrono::milliseconds kMaxFlush{1'500};

// A pipe that is ready takes as much without blocking, whether the descriptor, which others share,
// is non-blocking or not; so each such part that is read counts as progress.
constexpr std::size_t kMaxWrite = 4096;
constexpr std::size_t kDefaultColumns = 80;
constexpr std::size_t kDefaultRows = 24;
constexpr std::size_t kMaxProgressLines = 100;
constexpr std::string_view kClearBelow = "\x1b[J";

struct TerminalSize {
  std::size_t columns = kDefaultColumns;
  std::size_t rows = kDefaultRows;
};

TerminalSize AskTerminalSize() {
  TerminalSize answer;
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0) {
    answer.columns = size.ws_col == 0 ? kDefaultColumns : size.ws_col;
    answer.rows = size.ws_row == 0 ? kDefaultRows : size.ws_row;
  }
  return answer;
}

// A terminal that says it is "dumb" only ever appends; one that says nothing is taken for a usual
// one.
bool CanMoveCursor() {
  // Read before there is a second thread.
  const char* term = std::getenv("TERM");  // NOLINT
  return term == nullptr || std::string_view(term) != "dumb";
}

// The first of the three that is set decides.
bool SpeaksUtf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* value = std::getenv(name);  // NOLINT
    if (value != nullptr && *value != '\0') {
      std::string locale(value);
      std::transform(locale.begin(), locale.end(), locale.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      });
      return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
    }
  }
  return false;
}

// How many columns the character that begins with this byte may take. Rather one too many: a line
// that wraps cannot be drawn over.
std::size_t WidthOf(unsigned char lead) {
  // Those of two columns begin at U+1000, and take three bytes and more.
  return lead >= 0xe1 ? 2 : 1;
}

struct FittedLine {
  std::string text;
  std::size_t width = 0;
};

// Less than `columns` wide, without controls; so a line never wraps and can be drawn over.
FittedLine FitLine(std::string_view text, std::size_t columns, bool utf8) {
  FittedLine line;
  for (std::size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    std::size_t size = 1;
    while (at + size < text.size() &&
           (static_cast<unsigned char>(text[at + size]) & 0xc0) == 0x80) {
      ++size;
    }
    const std::size_t width = utf8 ? WidthOf(lead) : 1;
    if (line.width + width >= columns) {
      break;
    }
    line.width += width;
    if (lead >= 0x80 && !utf8) {
      line.text += '?';
    } else if (lead < 0x20 || lead == 0x7f) {
      line.text += ' ';
    } else {
      line.text += text.substr(at, size);
    }
    at += size;
  }
  return line;
}

}  // namespace

LogOutput::LogOutput(TellDropped tell_dropped)
    : terminal_(::isatty(STDERR_FILENO) == 1),
      draws_(terminal_ && CanMoveCursor()),
      utf8_(SpeaksUtf8()),
      tell_dropped_(std::move(tell_dropped)) {}

void LogOutput::Write(std::string line, Kind kind) {
  line += '\n';
  const bool is_each = kind == Kind::kEach;
  {
    const MutexLock lock(&mutex_);
    Share& share = ShareOf(is_each);
    const Amount& bound = BoundOf(kind);
    const bool in_gap = share.dropped > 0 && kind != Kind::kError;
    if (in_gap || share.queued.lines >= bound.lines ||
        share.queued.bytes + line.size() > bound.bytes) {
      ++share.dropped;
      return;
    }
    Push({std::move(line), is_each});
    StartWriter();
  }
  work_.NotifyOne();
}

void LogOutput::SetProgress(std::vector<std::string> lines) {
  if (!draws_) {
    return;
  }
  {
    const MutexLock lock(&mutex_);
    next_progress_ = std::move(lines);
    StartWriter();
  }
  work_.NotifyOne();
}

void LogOutput::Flush() {
  const MutexLock lock(&mutex_);
  if (!started_) {
    WriteWithoutThread();
    return;
  }
  const Clock::time_point end = Clock::now() + kMaxFlush;
  while (!Idle() && !gave_up_) {
    const std::uint64_t before = written_bytes_;
    const Clock::time_point until = std::min(end, Clock::now() + kMaxStandstill);
    while (!Idle() && written_bytes_ == before && moved_.WaitUntil(&mutex_, until)) {
    }
    gave_up_ = !Idle() && (written_bytes_ == before || Clock::now() >= end);
  }
}

const LogOutput::Amount& LogOutput::BoundOf(Kind kind) {
  switch (kind) {
    case Kind::kOrdinary:
      return kForOrdinary;
    case Kind::kError:
      return kForErrors;
    case Kind::kEach:
      break;
  }
  return kForEach;
}

void LogOutput::Push(Line line) {
  Amount& queued = ShareOf(line.is_each).queued;
  ++queued.lines;
  queued.bytes += line.text.size();
  lines_.push_back(std::move(line));
}

// Empty if there is none.
std::string LogOutput::PopLine() {
  if (lines_.empty()) {
    return {};
  }
  Line line = std::move(lines_.front());
  lines_.pop_front();
  Share& share = ShareOf(line.is_each);
  --share.queued.lines;
  share.queued.bytes -= line.text.size();
  // In the same breath, so that it stands where the gap is.
  const Amount& bound = BoundOf(line.is_each ? Kind::kEach : Kind::kOrdinary);
  if (share.dropped > 0 && share.queued.lines < bound.lines / 2 &&
      share.queued.bytes <= bound.bytes / 2) {
    Push({tell_dropped_(std::exchange(share.dropped, 0)) + '\n', line.is_each});
  }
  return std::move(line.text);
}

void LogOutput::StartWriter() {
  if (started_) {
    return;
  }
  // The new thread inherits the mask: signals are for those who know what to do with them, and one
  // for a reader that went away must not end the process.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    std::thread([this] { RunWriter(); }).detach();
    started_ = true;
  } catch (const std::system_error&) {
    // No more threads are to be had. The queue keeps what it can, and the next line tries again.
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

// Where no thread was to be had, what is to be said is said by who ends the process. With the lock,
// and for as long as the reader takes it.
void LogOutput::WriteWithoutThread() {
  for (std::string line = PopLine(); !line.empty(); line = PopLine()) {
    for (std::string_view text = line; !text.empty();) {
      pollfd ready{STDERR_FILENO, POLLOUT, 0};
      const bool takes = ::poll(&ready, 1, static_cast<int>(kMaxStandstill.count())) > 0;
      const ssize_t written =
          takes ? ::write(STDERR_FILENO, text.data(), std::min(text.size(), kMaxWrite)) : -1;
      if (written < 0) {
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(written));
    }
  }
}

void LogOutput::RunWriter() {
  pthread_setname_np(pthread_self(), "catchup-log");
  MutexLock lock(&mutex_);
  while (true) {
    while (Idle()) {
      work_.Wait(&mutex_);
    }
    const std::string line = PopLine();
    std::optional<std::vector<std::string>> progress = std::exchange(next_progress_, std::nullopt);
    writing_ = true;
    lock.Unlock();
    std::string out = Erase();
    out += line;
    if (progress.has_value()) {
      progress_ = std::move(*progress);
    }
    out += Draw();
    WriteAll(out);
    lock.Lock();
    writing_ = false;
    if (Idle()) {
      gave_up_ = false;
      moved_.NotifyAll();
    }
  }
}

void LogOutput::WriteAll(std::string_view text) {
  while (!text.empty()) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    (void)PollOrPause(&ready, 1, -1);
    const ssize_t written = ::write(STDERR_FILENO, text.data(), std::min(text.size(), kMaxWrite));
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
      {
        const MutexLock lock(&mutex_);
        written_bytes_ += static_cast<std::uint64_t>(written);
      }
      moved_.NotifyAll();
    } else if (errno != EINTR && errno != EAGAIN) {
      return;  // There is nowhere left to complain.
    }
  }
}

std::string LogOutput::Erase() {
  if (drawn_.empty()) {
    return {};
  }
  // A window that was made narrower meanwhile has broken the lines that are longer than it.
  const std::size_t columns = AskTerminalSize().columns;
  std::size_t rows = 0;
  for (const std::size_t width : drawn_) {
    rows += std::max<std::size_t>((width + columns - 1) / columns, 1);
  }
  std::string out = StrCat("\r\x1b[", rows, "A");
  out += kClearBelow;
  drawn_.clear();
  return out;
}

std::string LogOutput::Draw() {
  std::string out;
  const TerminalSize terminal = AskTerminalSize();
  // The cursor stands in the row below. What has scrolled away cannot be drawn over.
  const std::size_t room = std::max<std::size_t>(terminal.rows, 2) - 1;
  const bool all_fit = progress_.size() <= std::min(room, kMaxProgressLines);
  const std::size_t whole = all_fit ? progress_.size() : std::min(room - 1, kMaxProgressLines);
  const auto draw = [&](std::string_view text) {
    FittedLine line = FitLine(text, terminal.columns, utf8_);
    out += line.text + '\n';
    drawn_.push_back(line.width);
  };
  for (std::size_t i = 0; i < whole; ++i) {
    draw(progress_[i]);
  }
  if (!all_fit) {
    draw(StrCat("... and ", progress_.size() - whole, " more"));
  }
  return out;
}

}  // namespace catchup
