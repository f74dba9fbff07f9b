#include "host/plugins/plugin_probe.h"

#include <fmt/core.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "host/base/signals.h"
#include "host/base/time_text.h"
#include "host/base/wait.h"
#include "host/plugins/children.h"
#include "host/plugins/spawn_plan.h"
#include "host/ring/contract/descriptors.h"
#include "host/ring/contract/exits.h"
#include "host/ring/contract/probe_record.h"

namespace catchup {
namespace {

using Clock = std::chrono::steady_clock;

// Taken from a pipe in one go, so that a plugin that never stops writing lets us look at the clock.
constexpr std::size_t kMaxRead = 64u << 10;

// How much is kept of what the plugin printed: enough for its last line.
constexpr std::size_t kMaxOutput = 1024;

// Answers are short. What goes beyond are strange bytes, of which the newest matter.
constexpr std::size_t kMaxAnswer = 1u << 20;

// Appends what has come to `text` and keeps its end; false once nothing can come any more.
bool Drain(int fd, std::size_t keep, std::string* text) {
  std::array<char, 4096> chunk;
  for (std::size_t total = 0; total < kMaxRead;) {
    const ssize_t size = read(fd, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size <= 0) {
      return size < 0 && errno == EAGAIN;
    }
    total += static_cast<std::size_t>(size);
    text->append(chunk.data(), static_cast<std::size_t>(size));
    text->erase(0, text->size() - std::min(text->size(), keep));
  }
  return true;
}

std::string LastLine(std::string_view text) {
  text = text.substr(0, text.find_last_not_of("\r\n") + 1);
  return std::string(text.substr(text.find_last_of("\r\n") + 1));
}

std::string TookLonger(std::chrono::milliseconds limit) {
  return "took longer than start_timeout = " + DescribeDuration(limit);
}

// Around what it was doing.
std::pair<std::string, std::string> HowItEnded(const ProcessExit& exit) {
  if (exit.by_signal) {
    return {"died ", ": " + SignalName(exit.code)};
  }
  if (exit.code == static_cast<int>(RunnerExit::kUnheard)) {
    return {"closed the descriptor that its runner answers on ",
            ": wanted a plugin that closes no descriptor that it did not open"};
  }
  return {"ended the process ", fmt::format(": exit code {}", exit.code)};
}

// One process that loads the plugin and answers.
class Asking {
 public:
  static Result<std::unique_ptr<Asking>> Start(const RunnerBinary& binary, const PluginProbe& probe,
                                               std::size_t first);

  // The next record; none when the process ended, or was ended, without it.
  std::optional<ProbeRecord> Next();
  // Then why.
  Status failure() const;

  std::chrono::milliseconds age() const {
    return std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begin_);
  }

 private:
  Asking(std::string file, std::chrono::milliseconds limit)
      : file_(std::move(file)), limit_(limit) {}

  void WaitForNews();
  void Read();

  const std::string file_;
  const std::chrono::milliseconds limit_;
  const Clock::time_point begin_ = Clock::now();
  const Clock::time_point deadline_ = begin_ + limit_;
  UniqueFd answer_;
  bool answers_ = true;
  bool outputs_ = true;
  std::string bytes_;
  std::string output_;
  bool loaded_ = false;
  // How it ended, around what it was doing: "died ", ": SIGSEGV".
  std::optional<std::pair<std::string, std::string>> end_;
  std::unique_ptr<RunnerProcess> process_;
};

Result<std::unique_ptr<Asking>> Asking::Start(const RunnerBinary& binary, const PluginProbe& probe,
                                              std::size_t first) {
  CATCHUP_ASSIGN_OR_RETURN(Pipe answer, MakePipe());
  RunnerProcess::ProbeOptions options;
  options.plugin = probe.plugin;
  options.projections.assign(probe.projections.begin() + static_cast<std::ptrdiff_t>(first),
                             probe.projections.end());
  options.env = probe.env;
  options.working_directory = probe.working_directory;
  options.answer = answer.write_end.get();
  std::unique_ptr<Asking> asking(new Asking(probe.plugin.filename().string(), probe.limit));
  CATCHUP_ASSIGN_OR_RETURN(asking->process_, RunnerProcess::SpawnProbe(binary, options));
  asking->answer_ = std::move(answer.read_end);
  return asking;
}

void Asking::Read() {
  answers_ = answers_ && Drain(answer_.get(), kMaxAnswer, &bytes_);
  outputs_ = outputs_ && Drain(process_->output(), kMaxOutput, &output_);
}

void Asking::WaitForNews() {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - Clock::now());
  pollfd waits[] = {{process_->pidfd(), POLLIN, 0},
                    {answers_ ? answer_.get() : -1, POLLIN, 0},
                    {outputs_ ? process_->output() : -1, POLLIN, 0}};
  // Interrupted or not, everything is looked at.
  (void)PollOrPause(waits, std::size(waits),
                    static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
  const bool gone = (waits[0].revents & POLLIN) != 0;
  Read();
  if (gone) {
    const ProcessExit exit = process_->Reap();
    end_ = HowItEnded(exit);
  } else if (Clock::now() >= deadline_) {
    process_->Kill();
    end_ = {TookLonger(limit_) + " ", ""};
  }
}

Status Asking::failure() const {
  std::string text = fmt::format(
      "{} {}{}{}", file_, end_->first,
      loaded_ ? "while its tables were looked at" : "while it was loaded", end_->second);
  if (const std::string line = LastLine(output_); !line.empty()) {
    text += "; the last that it printed: " + line;
  }
  return Status::Incompatible(std::move(text));
}

std::optional<ProbeRecord> Asking::Next() {
  while (true) {
    if (auto record = TakeProbeRecord(&bytes_, process_->pid())) {
      loaded_ = true;
      return record;
    }
    if (end_.has_value()) {
      return std::nullopt;
    }
    WaitForNews();
  }
}

Status StatusOf(const ProbeRecord& record) {
  return record.ok ? Status() : Status::Incompatible(record.text);
}

}  // namespace

Status Probed::Within(std::chrono::milliseconds start_timeout,
                      const std::filesystem::path& plugin) const {
  return took < start_timeout ? found
                              : Status::Incompatible(fmt::format("{} {} while it was loaded",
                                                                 plugin.filename().string(),
                                                                 TookLonger(start_timeout)));
}

Result<ProbedPlugin> ProbePlugin(const RunnerBinary& binary, const PluginProbe& probe) {
  ProbedPlugin probed;
  std::vector<Probed>& found = probed.projections;
  do {
    CATCHUP_ASSIGN_OR_RETURN(auto asking, Asking::Start(binary, probe, found.size()));
    std::optional<ProbeRecord> record = asking->Next();
    const auto loading = asking->age();
    const Probed loaded{record.has_value() ? StatusOf(*record) : asking->failure(), loading};
    if (!loaded.found.ok()) {
      found.resize(probe.projections.size(), loaded);
    }
    if (found.empty() || !loaded.found.ok()) {
      probed.loaded = loaded;
    }
    for (auto before = loading; record.has_value() && found.size() < probe.projections.size();) {
      record = asking->Next();
      const auto now = asking->age();
      found.push_back(
          {record.has_value() ? StatusOf(*record) : asking->failure(), loading + (now - before)});
      before = now;
    }
    asking.reset();
    Children::OfThisProcess().EndOrphans(Children::kOrphansEnd);
  } while (found.size() < probe.projections.size());
  return probed;
}

}  // namespace catchup
