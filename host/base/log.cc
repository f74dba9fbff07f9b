#include "host/base/log.h"

#include <poll.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <mutex>

#include "host/base/log_rate.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

// A reader of our standard error that stands still must not stop the host: after this long the rest
// of a line is given up, and so is every later one until there is room again.
constexpr int kMaxWriteWaitMs = 1000;

// A pipe that is ready takes as much without blocking, whether the descriptor, which others share,
// is non-blocking or not.
constexpr std::size_t kMaxWrite = 4096;
constexpr std::size_t kDefaultColumns = 80;
constexpr std::size_t kDefaultRows = 24;
constexpr std::size_t kMaxProgressLines = 100;
constexpr std::string_view kClearBelow = "\x1b[J";

// One thread at a time.
void WriteAll(std::string_view text) {
  static bool reader_stands_still = false;
  while (!text.empty()) {
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, reader_stands_still ? 0 : kMaxWriteWaitMs) <= 0) {
      reader_stands_still = true;
      return;
    }
    reader_stands_still = false;
    const ssize_t written = ::write(STDERR_FILENO, text.data(), std::min(text.size(), kMaxWrite));
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR && errno != EAGAIN) {
      return;  // There is nowhere left to complain.
    }
  }
}

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

// At most `columns` characters, without controls; so a line never wraps and can be drawn over.
std::string FitLine(std::string_view text, std::size_t columns) {
  std::string line;
  std::size_t used = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool continues = (byte & 0xc0) == 0x80;
    if (!continues && ++used >= columns) {
      break;
    }
    line += byte < 0x20 || byte == 0x7f ? ' ' : c;
  }
  return line;
}

// Standard error, with lines of progress kept below the log on a terminal.
class StderrSink : public spdlog::sinks::base_sink<std::mutex> {
 public:
  StderrSink() : terminal_(::isatty(STDERR_FILENO) == 1) {
    // The text of a message is the whole line already.
    set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
  }

  bool terminal() const { return terminal_; }

  void SetProgress(std::vector<std::string> lines) {
    const std::lock_guard lock(mutex_);
    if (!terminal_) {
      return;
    }
    left_out_ = lines.size() - std::min(lines.size(), kMaxProgressLines);
    lines.resize(lines.size() - left_out_);
    std::string out = Erase();
    progress_ = std::move(lines);
    out += Draw();
    WriteAll(out);
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& msg) override {
    spdlog::memory_buf_t buffer;
    formatter_->format(msg, buffer);
    std::string out = Erase();
    out.append(buffer.data(), buffer.size());
    out += Draw();
    WriteAll(out);
  }

  void flush_() override {}

 private:
  std::string Erase() {
    if (drawn_ == 0) {
      return {};
    }
    std::string out = "\r\x1b[" + std::to_string(drawn_) + "A";
    out += kClearBelow;
    drawn_ = 0;
    return out;
  }

  std::string Draw() {
    std::string out;
    if (progress_.empty()) {
      return out;
    }
    const TerminalSize terminal = AskTerminalSize();
    // The cursor stands in the row below. What has scrolled away cannot be drawn over.
    const std::size_t room = std::max<std::size_t>(terminal.rows, 2) - 1;
    const bool all_fit = left_out_ == 0 && progress_.size() <= room;
    const std::size_t whole = all_fit ? progress_.size() : std::min(progress_.size(), room - 1);
    for (std::size_t i = 0; i < whole; ++i) {
      out += FitLine(progress_[i], terminal.columns) + '\n';
    }
    if (!all_fit) {
      const std::size_t more = progress_.size() - whole + left_out_;
      out += FitLine("… and " + std::to_string(more) + " more", terminal.columns) + '\n';
    }
    drawn_ = all_fit ? whole : whole + 1;
    return out;
  }

  const bool terminal_;
  std::vector<std::string> progress_;
  std::size_t left_out_ = 0;  // Of what was set, for being too many to keep.
  std::size_t drawn_ = 0;
};

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

class ProcessLog {
 public:
  // Never destroyed: threads may log until the process is gone.
  static ProcessLog& Instance() {
    static auto* const log = new ProcessLog();
    return *log;
  }

  void Configure(const LogOptions& options) {
    logger_.set_level(ToSpdlog(options.level));
    text_ = options.format == LogFormat::kText ||
            (options.format == LogFormat::kAuto && sink_->terminal());
  }

  bool Enabled(LogLevel level) const { return logger_.should_log(ToSpdlog(level)); }
  bool DrawsProgress() const { return sink_->terminal() && text_; }
  void SetProgress(std::vector<std::string> lines) { sink_->SetProgress(std::move(lines)); }

  void Write(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
             std::span<const LogField> fields) {
    if (!Enabled(level)) {
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    bool admitted = false;
    std::vector<LogRate::LeftOut> left_out;
    {
      const std::lock_guard lock(rate_mutex_);
      left_out = rate_.TakeLeftOut(now, false);
      admitted = rate_.Admit(msg, group, now);
    }
    Tell(left_out);
    if (admitted) {
      Emit({NowTicks(), level, msg, method, group, fields});
    }
  }

  void Flush() {
    std::vector<LogRate::LeftOut> left_out;
    {
      const std::lock_guard lock(rate_mutex_);
      left_out = rate_.TakeLeftOut(std::chrono::steady_clock::now(), true);
    }
    Tell(left_out);
  }

 private:
  ProcessLog() : sink_(std::make_shared<StderrSink>()), logger_("catchup", sink_) { Configure({}); }

  void Tell(const std::vector<LogRate::LeftOut>& left_out) {
    for (const LogRate::LeftOut& one : left_out) {
      const LogField fields[] = {{"leftOut", one.count}, {"of", one.msg}};
      Emit({NowTicks(), LogLevel::kWarn, "Log lines left out", "Log", one.group, fields});
    }
  }

  void Emit(const LogRecord& record) {
    const std::string line = text_ ? FormatLogText(record) : FormatLogJson(record);
    // The string_view overload: the line is no format string.
    logger_.log(ToSpdlog(record.level), spdlog::string_view_t(line.data(), line.size()));
  }

  std::shared_ptr<StderrSink> sink_;
  spdlog::logger logger_;
  std::atomic<bool> text_{false};
  std::mutex rate_mutex_;
  LogRate rate_{kMaxLogLinesPerSecond};
};

}  // namespace

void ConfigureLog(const LogOptions& options) { ProcessLog::Instance().Configure(options); }

void Log(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
         std::initializer_list<LogField> fields) {
  ProcessLog::Instance().Write(level, msg, method, group, {fields.begin(), fields.size()});
}

void Log(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
         const std::vector<LogField>& fields) {
  ProcessLog::Instance().Write(level, msg, method, group, fields);
}

bool LogEnabled(LogLevel level) { return ProcessLog::Instance().Enabled(level); }

bool LogDrawsProgress() { return ProcessLog::Instance().DrawsProgress(); }

void SetProgressLines(std::vector<std::string> lines) {
  ProcessLog::Instance().SetProgress(std::move(lines));
}

void FlushLog() { ProcessLog::Instance().Flush(); }

}  // namespace catchup
