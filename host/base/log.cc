#include "host/base/log.h"

#include <spdlog/details/null_mutex.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>

#include <atomic>
#include <cstdlib>

#include "host/base/log_output.h"
#include "host/base/log_rate.h"
#include "host/base/mutex.h"
#include "host/base/shortage.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

constexpr std::string_view kLeftOut = "Log lines left out";

// Hands finished lines to the output, which has a lock of its own.
class OutputSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  // `output` outlives the sink. `each`: of every line, whatever its level, each counts.
  OutputSink(LogOutput* output, bool each) : output_(output), each_(each) {}

 protected:
  void sink_it_(const spdlog::details::log_msg& msg) override {
    const auto by_level =
        msg.level >= spdlog::level::err ? LogOutput::Kind::kError : LogOutput::Kind::kOrdinary;
    output_->Write(std::string(msg.payload.data(), msg.payload.size()),
                   each_ ? LogOutput::Kind::kEach : by_level);
  }

  void flush_() override {}

 private:
  LogOutput* const output_;
  const bool each_;
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

// What stands where a line has a place in the log and there is none yet.
constexpr std::string_view kNoPlace = "none";

// The place in the log that a line is about; empty where it is about none.
std::string_view PositionOf(std::span<const LogField> fields) {
  for (const LogField& field : fields) {
    const auto* text = std::get_if<std::string_view>(&field.value());
    if (field.name() == "position" && text != nullptr && *text != kNoPlace) {
      return *text;
    }
  }
  return {};
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
    each_.set_level(ToSpdlog(options.level));
    text_ = options.format == LogFormat::kText ||
            (options.format == LogFormat::kAuto && output_->terminal());
    SetShortageLineAsJson(!text_);
  }

  bool Enabled(LogLevel level) const { return logger_.should_log(ToSpdlog(level)); }
  bool DrawsProgress() const { return output_->draws() && text_; }
  void SetProgress(std::vector<std::string> lines) { output_->SetProgress(std::move(lines)); }

  // `burst`: of the lines' budget.
  void Write(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
             std::span<const LogField> fields, std::uint32_t burst = kMaxLogLinesPerSecond) {
    if (!Enabled(level)) {
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    bool admitted = false;
    std::vector<LogRate::LeftOut> left_out;
    {
      const MutexLock lock(&rate_mutex_);
      left_out = rate_.TakeLeftOut(now, false);
      admitted = rate_.Admit({msg, group, level}, burst, now, PositionOf(fields));
    }
    Tell(left_out);
    if (admitted) {
      Emit({NowTicks(), level, msg, method, group, fields}, &logger_);
    }
  }

  // What no rate holds back.
  void WriteEach(LogLevel level, std::string_view msg, std::string_view method,
                 std::string_view group, std::span<const LogField> fields) {
    if (Enabled(level)) {
      TellLeftOut(false);
      Emit({NowTicks(), level, msg, method, group, fields}, &each_);
    }
  }

  void AddLeftOut(const LogRate::Key& key, std::uint64_t count, std::uint32_t burst) {
    if (count == 0 || !Enabled(key.level)) {
      return;
    }
    const auto now = std::chrono::steady_clock::now();
    std::vector<LogRate::LeftOut> left_out;
    {
      const MutexLock lock(&rate_mutex_);
      left_out = rate_.TakeLeftOut(now, false);
      rate_.AddLeftOut(key, count, burst, now);
    }
    Tell(left_out);
  }

  void Flush() {
    TellLeftOut(true);
    output_->Flush();
  }

 private:
  ProcessLog()
      : output_(new LogOutput([this](std::uint64_t count) { return DroppedLine(count); })),
        logger_("catchup", std::make_shared<OutputSink>(output_, false)),
        each_("catchup", std::make_shared<OutputSink>(output_, true)) {
    Configure({});
    // For commands that end without a FlushLog() of their own. Should it be refused, they just lose
    // what is not written yet.
    (void)std::atexit([] { Instance().Flush(); });
  }

  // A gap is always told, so it takes a level that is written.
  std::string DroppedLine(std::uint64_t count) {
    const LogLevel level = Enabled(LogLevel::kWarn) ? LogLevel::kWarn : LogLevel::kError;
    const LogField fields[] = {{"leftOut", count},
                               {"reason", "standard error was not read fast enough"}};
    return Format({NowTicks(), level, kLeftOut, "Log", "", fields});
  }

  void TellLeftOut(bool all) {
    std::vector<LogRate::LeftOut> left_out;
    {
      const MutexLock lock(&rate_mutex_);
      left_out = rate_.TakeLeftOut(std::chrono::steady_clock::now(), all);
    }
    Tell(left_out);
  }

  void Tell(const std::vector<LogRate::LeftOut>& left_out) {
    for (const LogRate::LeftOut& one : left_out) {
      std::vector<LogField> fields = {
          {"leftOut", one.count}, {"of", one.msg}, {"ofLevel", LogLevelName(one.level)}};
      if (!one.first_position.empty()) {
        fields.emplace_back("firstPosition", one.first_position);
        fields.emplace_back("lastPosition", one.last_position);
      }
      // A gap is told wherever the lines themselves would have been.
      const LogLevel level = one.level == LogLevel::kError ? one.level : LogLevel::kWarn;
      Emit({NowTicks(), level, kLeftOut, "Log", one.group, fields}, &logger_);
    }
  }

  std::string Format(const LogRecord& record) const {
    return text_ ? FormatLogText(record) : FormatLogJson(record);
  }

  void Emit(const LogRecord& record, spdlog::logger* logger) const {
    const std::string line = Format(record);
    // The string_view overload: the line is no format string.
    logger->log(ToSpdlog(record.level), spdlog::string_view_t(line.data(), line.size()));
  }

  LogOutput* const output_;  // Never destroyed either.
  spdlog::logger logger_;
  spdlog::logger each_;
  std::atomic<bool> text_{false};
  Mutex rate_mutex_;
  LogRate rate_ CATCHUP_GUARDED_BY(rate_mutex_){kMaxLogLinesPerSecond};
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

void LogFromPlugin(LogLevel level, std::string_view msg, std::string_view method,
                   std::string_view group, std::initializer_list<LogField> fields) {
  ProcessLog::Instance().Write(level, msg, method, group, {fields.begin(), fields.size()},
                               kPluginLogBurst);
}

void LogLeftOutOfPlugin(LogLevel level, std::string_view msg, std::string_view group,
                        std::uint64_t count) {
  ProcessLog::Instance().AddLeftOut({msg, group, level}, count, kPluginLogBurst);
}

void LogEach(LogLevel level, std::string_view msg, std::string_view method, std::string_view group,
             const std::vector<LogField>& fields) {
  ProcessLog::Instance().WriteEach(level, msg, method, group, fields);
}

bool LogDrawsProgress() { return ProcessLog::Instance().DrawsProgress(); }

void SetProgressLines(std::vector<std::string> lines) {
  ProcessLog::Instance().SetProgress(std::move(lines));
}

void FlushLog() { ProcessLog::Instance().Flush(); }

}  // namespace catchup
