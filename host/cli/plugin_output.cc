#include "host/cli/plugin_output.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <sstream>
#include <string_view>
#include <utility>

#include "host/base/log_level.h"
#include "host/base/signals.h"
#include "host/cli/printable.h"

namespace catchup {
namespace {

static_assert(kLogLevelNames.size() == kLogLevels);

// Longer ones are broken, so that a plugin that ends no line cannot take our memory.
constexpr std::size_t kMaxLine = 16u << 10;

// Taken from the pipe in one go. As much as the kernel lets a pipe be made to hold, so that all
// that was written before a call ended comes out before its result; and bounded, so that a plugin
// that never stops writing still lets us look at the clock.
constexpr std::size_t kMaxRead = 1u << 20;

}  // namespace

void PluginOutput::Drain() {
  std::array<char, 4096> chunk;
  for (std::size_t total = 0; fd_ >= 0 && total < kMaxRead;) {
    const ssize_t size = ::read(fd_, chunk.data(), chunk.size());
    if (size < 0 && errno == EINTR) {
      continue;
    }
    if (size < 0 && errno == EAGAIN) {
      return;
    }
    if (size <= 0) {
      fd_ = -1;
      return;
    }
    total += static_cast<std::size_t>(size);
    for (const char c : std::string_view(chunk.data(), static_cast<std::size_t>(size))) {
      // A crash report may follow what has no line feed yet.
      const bool begins = c == kCrashMark && !line_.empty();
      if (c == '\n' || begins || line_.size() >= kMaxLine) {
        EndLine();
      }
      if (c != '\n') {
        line_ += c;
      }
    }
  }
}

void PluginOutput::Finish() {
  Drain();
  if (!line_.empty()) {
    EndLine();
  }
  if (lines_ > most_lines_) {
    std::fprintf(stderr, "plugin: (%llu more lines left out)\n",
                 static_cast<unsigned long long>(lines_ - most_lines_));
  }
  lines_ = 0;
  for (std::size_t level = 0; level < kLogLevels; ++level) {
    if (lost_[level] > 0) {
      std::fprintf(stderr,
                   "plugin: (%llu more lines of level %s were logged too fast to be shown)\n",
                   static_cast<unsigned long long>(lost_[level]),
                   std::string(kLogLevelNames[level]).c_str());
    }
  }
  lost_ = {};
  if (crash_.has_value()) {
    PrintCrash(*crash_);
    crash_.reset();
  }
}

// As few lines as can be read: the frames, then what to look them up in.
void PluginOutput::PrintCrash(const CrashRecord& crash) {
  std::fprintf(stderr, "crash: %s in %s\n", SignalName(static_cast<int>(crash.signal)).c_str(),
               Printable(crash.call).c_str());
  const auto print = [](const char* what, const std::string& words) {
    std::istringstream rest(words);
    for (std::string word; rest >> word;) {
      std::fprintf(stderr, "crash: %s %s\n", what, Printable(word).c_str());
    }
  };
  print("at", crash.frames);
  print("build id", crash.modules);
}

void PluginOutput::PrintLine(const std::string& text) {
  Drain();
  Print(text);
}

void PluginOutput::Print(const std::string& text) {
  if (++lines_ <= most_lines_) {
    std::fprintf(stderr, "plugin: %s\n", Printable(text).c_str());
  }
}

void PluginOutput::EndLine() {
  if (auto crash = ParseCrashLine(line_)) {
    crash_ = std::move(crash);
    line_.clear();
    return;
  }
  Print(line_);
  line_.clear();
}

}  // namespace catchup
