#include <algorithm>

#include "tests/source/embedded/model/read_rules.h"

namespace catchup::embedded::model {
namespace {

constexpr const char* kLinkType = "$>";

// The number before the `@` and the stream after it; none if the data is no link's.
std::optional<std::pair<std::int64_t, std::string>> TargetOf(const std::string& data) {
  const std::size_t at = data.find('@');
  if (at == std::string::npos) {
    return std::nullopt;
  }
  return std::pair(std::stoll(data.substr(0, at)), data.substr(at + 1));
}

// The event that a link leads to, if it can be read.
std::optional<std::size_t> Find(const ModelLog& log, std::int64_t revision,
                                const std::string& stream) {
  if (log.IsTombstoned(stream) || revision > log.LastRevision(stream) ||
      log.IsHidden(stream, revision)) {
    return std::nullopt;
  }
  return log.Events(stream)[static_cast<std::size_t>(revision)];
}

}  // namespace

Filter::Filter(const wire::ReadReq::Options& options) {
  if (!options.has_filter()) {
    return;
  }
  const bool on_stream = options.filter().has_stream_identifier();
  subject_ = on_stream ? Subject::kStream : Subject::kType;
  const auto& expression =
      on_stream ? options.filter().stream_identifier() : options.filter().event_type();
  if (!expression.regex().empty()) {
    regex_ = std::regex(expression.regex());
  }
  prefixes_.assign(expression.prefix().begin(), expression.prefix().end());
}

bool Filter::Passes(const Record& record) const {
  if (subject_ == Subject::kNothing) {
    return true;
  }
  const std::string& text = subject_ == Subject::kStream ? record.stream : record.type;
  if (regex_) {
    return std::regex_search(text, *regex_);
  }
  return std::any_of(prefixes_.begin(), prefixes_.end(),
                     [&](const std::string& prefix) { return text.starts_with(prefix); });
}

std::string FrameWriter::Line(std::size_t index) const {
  const Record& record = log_.records()[index];
  EventText text;
  text.stream = record.stream;
  text.revision = std::to_string(record.revision);
  text.position = Pair(PositionOf(index), PositionOf(index));
  text.type = record.type;
  text.content_type = record.is_json ? "application/json" : "application/octet-stream";
  text.id_form = form_;
  text.id = record.id.empty() ? IdOf(index) : record.id;
  text.metadata = record.metadata;
  text.data = record.data ? *record.data : DataOf(index);
  return EventLine(text);
}

bool FrameWriter::IsMalformedLink(const Record& record) const {
  return resolves_ && record.type == kLinkType && !TargetOf(*record.data);
}

std::string FrameWriter::Event(std::size_t index, bool is_live) const {
  const Record& record = log_.records()[index];
  if (!resolves_ || record.type != kLinkType) {
    return EventFrame(Line(index), "", PositionOf(index));
  }
  if (IsMalformedLink(record)) {
    return is_live ? EventFrame("", Line(index), PositionOf(index))
                   : EventFrame(Line(index), "", PositionOf(index));
  }
  const auto [revision, stream] = *TargetOf(*record.data);
  const auto event = Find(log_, revision, stream);
  return EventFrame(event ? Line(*event) : "", Line(index), PositionOf(index));
}

}  // namespace catchup::embedded::model
