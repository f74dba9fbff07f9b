#include "host/config/sink_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <catchup/path_text.hpp>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace catchup {
namespace {

using Kind = LetterSinkConfig::Kind;

// Each is one more reader of the letters' file.
constexpr std::size_t kMaxSinks = 16;

constexpr std::string_view kLines = "jsonl:";
constexpr std::string_view kStream = "stream:";
constexpr std::string_view kWanted = "\"jsonl:FILE\" or \"stream:NAME\"";

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

std::string FileFault(const std::string& file) {
  if (std::string fault = PathFault(file); !fault.empty()) {
    return fault;
  }
  const std::string name = std::filesystem::path(file).filename();
  return name.empty() || name == "." || name == ".." ? "a file, whose folder is there" : "";
}

std::string StreamFault(const std::string& stream) {
  if (stream.front() == '$') {
    return "a stream of your own: names that begin with \"$\" are the server's";
  }
  return HasControl(stream) ? "the name of a stream, without controls" : "";
}

// What was wanted in place of `text`; empty: it is a sink.
std::string Parse(const std::string& text, LetterSinkConfig* sink) {
  const bool lines = text.rfind(kLines, 0) == 0;
  if (!lines && text.rfind(kStream, 0) != 0) {
    return std::string(kWanted);
  }
  sink->kind = lines ? Kind::kLines : Kind::kStream;
  sink->name = text;
  sink->target = text.substr(lines ? kLines.size() : kStream.size());
  if (sink->target.empty()) {
    return std::string(kWanted);
  }
  if (lines) {
    std::string fault = FileFault(sink->target);
    sink->target = std::filesystem::path(sink->target).lexically_normal();
    return fault;
  }
  return StreamFault(sink->target);
}

}  // namespace

void ReadSinks(TableReader* reader, std::vector<LetterSinkConfig>* out) {
  std::vector<std::string> texts;
  if (!reader->TextList("sinks", "a list of \"jsonl:FILE\" and \"stream:NAME\"", &texts)) {
    return;
  }
  const TomlValue& value = reader->table().Find("sinks")->value;
  if (texts.size() > kMaxSinks) {
    reader->Wrong("sinks", value, fmt::format("at most {} sinks", kMaxSinks));
    return;
  }
  const TomlValue::List& list = *value.As<TomlValue::List>();
  std::vector<LetterSinkConfig> sinks;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    LetterSinkConfig sink;
    sink.location = list[i].location;
    std::string wanted = Parse(texts[i], &sink);
    if (wanted.empty() && std::any_of(sinks.begin(), sinks.end(), [&](const auto& other) {
          return other.kind == sink.kind && other.target == sink.target;
        })) {
      wanted = "each sink once";
    }
    if (wanted.empty()) {
      sinks.push_back(std::move(sink));
    } else {
      reader->Wrong(fmt::format("sinks[{}]", i), list[i], wanted);
    }
  }
  *out = std::move(sinks);
}

}  // namespace catchup
