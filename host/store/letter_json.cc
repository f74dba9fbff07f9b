#include "host/store/letter_json.h"

#include <algorithm>
#include <catchup/event_line.hpp>

#include "host/base/text.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

void AppendText(std::string_view name, std::string_view text, std::string* out) {
  out->append(",\"").append(name).append("\":");
  AppendJsonString(text, out);
}

// Text that is not there is written as null.
void AppendTextOrNull(std::string_view name, std::string_view text, std::string* out) {
  if (!text.empty()) {
    AppendText(name, text, out);
    return;
  }
  out->append(",\"").append(name).append("\":null");
}

void AppendNumber(std::string_view name, std::uint64_t number, std::string* out) {
  out->append(",\"").append(name).append("\":").append(std::to_string(number));
}

void AppendTime(std::string_view name, std::int64_t ticks, std::string* out) {
  AppendTextOrNull(name, ticks == 0 ? std::string() : FormatTicks(ticks), out);
}

std::string DigestText(const Digest32& digest) {
  return digest == Digest32{} ? std::string() : HexText(digest);
}

// The members by which a letter is known, whether it is still there or not.
template <typename Row>
void AppendIdentity(std::string_view group, const Row& row, std::string* out) {
  out->append("\"id\":\"").append(FormatPosition(row.position)).append("\"");
  AppendText("group", group, out);
  AppendText("stream", row.stream, out);
  AppendNumber("revision", row.revision, out);
  AppendText("type", row.type, out);
  AppendText("eventId", FormatUuid(row.event_id), out);
  AppendText("commit", std::to_string(row.position.commit), out);
  AppendText("prepare", std::to_string(row.position.prepare), out);
}

}  // namespace

void AppendLetterMembers(std::string_view group, const LetterHead& head, const LetterCause& cause,
                         std::string* out) {
  AppendIdentity(group, head, out);
  AppendText("state", StoredStateName(head.state), out);
  AppendTextOrNull("class", StoredClassName(head.letter_class), out);
  AppendText("reason", cause.reason, out);
  AppendNumber("attempts", head.attempts, out);
  AppendTime("firstFailedAt", head.first_failed_ticks, out);
  AppendTime("lastFailedAt", head.last_failed_ticks, out);
  AppendTime("nextTryAt", head.due_ticks, out);
  AppendText("plugin", cause.plugin, out);
  AppendText("pluginVersion", cause.plugin_version, out);
  AppendText("pluginSha256", DigestText(cause.plugin_digest), out);
}

void AppendLetterDetails(const LetterHead& head, const LetterCause& cause, std::string* out) {
  AppendTime("since", head.since_ticks, out);
  AppendTime("writtenAt", head.written_ticks, out);
  AppendNumber("token", cause.token, out);
  AppendTextOrNull("traceId", cause.trace_id, out);
  AppendTextOrNull("spanId", cause.span_id, out);
  out->append(",\"calls\":[");
  for (std::size_t i = 0; i < cause.calls.size(); ++i) {
    const LetterCall& call = cause.calls[i];
    out->append(i == 0 ? "{" : ",{").append("\"time\":");
    AppendJsonString(FormatTicks(call.time_ticks), out);
    AppendTextOrNull("class", StoredClassName(call.letter_class), out);
    AppendText("text", call.text, out);
    out->push_back('}');
  }
  out->push_back(']');
}

void AppendDropMembers(std::string_view group, const LetterDrop& drop, std::string* out) {
  AppendIdentity(group, drop, out);
  AppendText("state", "dropped", out);
  AppendTextOrNull("class", StoredClassName(drop.letter_class), out);
  AppendText("reason", drop.reason, out);
  AppendText("by", drop.by, out);
  AppendTime("droppedAt", drop.dropped_ticks, out);
}

void AppendHoldMembers(const LetterHold& hold, std::string* out) {
  out->append("\"type\":");
  AppendJsonString(hold.type, out);
  AppendText("by", hold.by == LetterHold::By::kOperator ? "operator" : "host", out);
  AppendTime("since", hold.since_ticks, out);
  AppendText("reason", hold.reason, out);
}

void AppendLetterEvent(const Letter& letter, std::string* out) {
  const LetterHead& head = letter.head;
  EventLine line;
  line.stream = head.stream;
  line.type = head.type;
  line.data = letter.data;
  line.metadata = letter.metadata;
  line.id = head.event_id.bytes;
  line.revision = head.revision;
  line.commit = head.position.commit;
  line.prepare = head.position.prepare;
  line.created_ticks = head.created_ticks;
  line.is_json = head.is_json;
  AppendEventLine(out, line);
}

}  // namespace catchup
