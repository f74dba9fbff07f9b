#include "tests/source/embedded/model/answer.h"

#include <string_view>

#include "tests/source/embedded/model/model_log.h"

namespace catchup::embedded::model {
namespace {

// Neither shows in any text: wire_text.h writes them as escapes.
constexpr char kOpen = '\x01';
constexpr char kClose = '\x02';
constexpr char kAnything = '*';

std::string Unknown(char kind, std::size_t record) {
  return kOpen + std::string(1, kind) + std::to_string(record) + kClose;
}

}  // namespace

std::string PositionOf(std::size_t record) { return Unknown(ModelLog::kPosition, record); }
std::string IdOf(std::size_t record) { return Unknown(ModelLog::kId, record); }
std::string DataOf(std::size_t record) { return Unknown(ModelLog::kData, record); }
std::string Anything() { return Unknown(kAnything, 0); }

bool Matches(const std::string& expected, const std::string& found, ModelLog* log) {
  std::string_view pattern = expected;
  std::string_view text = found;
  while (!pattern.empty()) {
    if (pattern.front() != kOpen) {
      if (text.empty() || text.front() != pattern.front()) {
        return false;
      }
      pattern.remove_prefix(1);
      text.remove_prefix(1);
      continue;
    }
    const std::size_t close = pattern.find(kClose);
    const char kind = pattern[1];
    const std::size_t record = std::stoul(std::string(pattern.substr(2, close - 2)));
    pattern.remove_prefix(close + 1);
    // An unknown ends where the character after it stands, which it never holds itself.
    const std::size_t length = pattern.empty() ? text.size() : text.find(pattern.front());
    if (length == std::string_view::npos) {
      return false;
    }
    if (kind != kAnything && !log->Learn(kind, record, std::string(text.substr(0, length)))) {
      return false;
    }
    text.remove_prefix(length);
  }
  return text.empty();
}

bool Matches(const Answer& expected, const Answer& found, ModelLog* log) {
  if (expected.frames.size() != found.frames.size() || expected.code != found.code ||
      expected.trailers != found.trailers || !Matches(expected.message, found.message, log)) {
    return false;
  }
  for (std::size_t i = 0; i < expected.frames.size(); ++i) {
    if (!Matches(expected.frames[i], found.frames[i], log)) {
      return false;
    }
  }
  return true;
}

std::string Describe(const Answer& answer) {
  std::string text;
  for (const std::string& frame : answer.frames) {
    text += "  " + frame + "\n";
  }
  text += "  status " + std::to_string(answer.code) + " \"" + answer.message + "\"\n";
  for (const auto& [key, value] : answer.trailers) {
    text += "  trailer " + key + ": " + value + "\n";
  }
  std::string shown;
  for (const char c : text) {
    shown += c == kOpen ? "«" : c == kClose ? "»" : std::string(1, c);
  }
  return shown;
}

std::string Describe(const ModelLog& log) {
  std::string text;
  for (std::size_t i = 0; i < log.records().size(); ++i) {
    const Record& record = log.records()[i];
    text += "  p" + std::to_string(i) + " " +
            (record.position ? std::to_string(*record.position) : "?") + " " + record.stream +
            (record.is_visible ? "@" + std::to_string(record.revision) : ", no event") + " " +
            record.type + (record.begins_write ? ", begins a write\n" : "\n");
  }
  return text;
}

}  // namespace catchup::embedded::model
