#include "tests/sim/history_text.h"

#include <string_view>

namespace catchup::sim {
namespace {

std::string_view Name(Record::Kind kind) {
  switch (kind) {
    case Record::Kind::kHostStart:
      return "host starts";
    case Record::Kind::kRunnerStart:
      return "runner starts";
    case Record::Kind::kDeliver:
      return "deliver";
    case Record::Kind::kApply:
      return "apply";
    case Record::Kind::kReport:
      return "report";
    case Record::Kind::kSkip:
      return "skip";
    case Record::Kind::kTakeBack:
      return "take back";
    case Record::Kind::kRunnerDeath:
      return "runner dies";
    case Record::Kind::kAsk:
      return "ask";
    case Record::Kind::kDurable:
      return "durable";
    case Record::Kind::kGraceful:
      return "ended well";
    case Record::Kind::kKill:
      return "kill";
    case Record::Kind::kRestore:
      return "restore";
    case Record::Kind::kCall:
      return "call";
    case Record::Kind::kLive:
      return "live before";
    case Record::Kind::kCaughtUp:
      return "caught up";
    case Record::Kind::kLie:
      return "lie";
    case Record::Kind::kAnnounce:
      return "announce";
    case Record::Kind::kNoRoom:
      return "no room";
    case Record::Kind::kStall:
      return "stall";
  }
  return "?";
}

bool HasEvent(Record::Kind kind) {
  return kind == Record::Kind::kDeliver || kind == Record::Kind::kApply ||
         kind == Record::Kind::kReport || kind == Record::Kind::kSkip ||
         kind == Record::Kind::kLive || kind == Record::Kind::kLie;
}

std::string Describe(const LogEvent& event) {
  return FormatPosition(event.position) + (event.matches ? "" : " hidden") +
         (event.system ? " system" : "") + " stream " + std::to_string(event.stream) +
         " revision " + std::to_string(event.revision);
}

std::string Describe(const Record& record, const History& history) {
  std::string text =
      std::to_string(record.at.count() / 1000) + " us " + std::string(Name(record.kind));
  if (record.runner != 0) {
    text += " runner " + std::to_string(record.runner);
  }
  if (HasEvent(record.kind)) {
    text += " event " + std::to_string(record.event);
    if (record.event < history.log.size()) {
      text += " at " + FormatPosition(history.log[record.event].position);
    }
  }
  if (record.position) {
    text += " position " + FormatPosition(*record.position);
  }
  return text + (record.cut ? " cut" : "");
}

}  // namespace

std::string Describe(const History& history) {
  std::string text = "batch " + std::to_string(history.batch) + ", window " +
                     std::to_string(history.window) + " events and " +
                     std::to_string(history.window_bytes) + " bytes, interval " +
                     std::to_string(history.interval.count() / 1000) + " us" +
                     (history.system_events ? ", system events" : "") +
                     (history.position_mode ? ", position mode" : "") + ", start " +
                     (history.start ? FormatPosition(*history.start) : "at the beginning") + "\n";
  for (std::size_t i = 0; i < history.log.size(); ++i) {
    text += "event " + std::to_string(i) + ": " + Describe(history.log[i]) + "\n";
  }
  for (std::size_t i = 0; i < history.records.size(); ++i) {
    text += std::to_string(i) + ": " + Describe(history.records[i], history) + "\n";
  }
  return text;
}

}  // namespace catchup::sim
