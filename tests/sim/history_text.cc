#include "tests/sim/history_text.h"

#include <string_view>

namespace catchup::sim {
namespace {

std::string_view LetterName(Record::Kind kind) {
  switch (kind) {
    case Record::Kind::kFail:
      return "fails";
    case Record::Kind::kPark:
      return "park";
    case Record::Kind::kLetter:
      return "letter durable";
    case Record::Kind::kLetterFound:
      return "letter found";
    case Record::Kind::kCallLetter:
      return "call letter";
    case Record::Kind::kLetterOk:
      return "letter OK";
    case Record::Kind::kLetterChange:
      return "letter is now";
    case Record::Kind::kLetterGone:
      return "letter gone";
    case Record::Kind::kLettersLeave:
      return "letters are to go behind";
    case Record::Kind::kLettersGone:
      return "letters gone behind";
    case Record::Kind::kLettersGivenUp:
      return "no room for letters at the end";
    case Record::Kind::kHold:
      return "hold";
    case Record::Kind::kEndHold:
      return "end of hold";
    case Record::Kind::kParkAsked:
      return "operator parks";
    case Record::Kind::kRetryAsked:
      return "operator retries";
    case Record::Kind::kReset:
      return "operator resets";
    case Record::Kind::kOtherPlugin:
      return "another plugin";
    case Record::Kind::kBreakerOpens:
      return "breaker opens";
    case Record::Kind::kBreakerCloses:
      return "breaker closes";
    default:
      return "?";
  }
}

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
    case Record::Kind::kAdvance:
      return "advance";
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
    default:
      return LetterName(kind);
  }
}

bool HasEvent(Record::Kind kind) {
  return kind == Record::Kind::kDeliver || kind == Record::Kind::kApply ||
         kind == Record::Kind::kReport || kind == Record::Kind::kSkip ||
         kind == Record::Kind::kLive || kind == Record::Kind::kLie || kind == Record::Kind::kFail ||
         kind == Record::Kind::kPark || kind == Record::Kind::kLetter ||
         kind == Record::Kind::kLetterFound || kind == Record::Kind::kCallLetter ||
         kind == Record::Kind::kLetterOk || kind == Record::Kind::kLetterChange ||
         kind == Record::Kind::kLetterGone || kind == Record::Kind::kParkAsked ||
         kind == Record::Kind::kRetryAsked;
}

bool HasState(Record::Kind kind) {
  return kind == Record::Kind::kPark || kind == Record::Kind::kLetterFound ||
         kind == Record::Kind::kLetterChange;
}

std::string Describe(const LogEvent& event) {
  return FormatPosition(event.position) + (event.matches ? "" : " hidden") +
         (event.system ? " system" : "") + " stream " + std::to_string(event.stream) +
         " revision " + std::to_string(event.revision) + " type " + std::to_string(event.type);
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
  if (HasState(record.kind)) {
    text += " " + std::string(LetterStateName(record.state));
  }
  if (HasState(record.kind) || record.kind == Record::Kind::kFail) {
    text += " " + std::string(FailureClassName(record.failure));
  }
  if (record.kind == Record::Kind::kHold || record.kind == Record::Kind::kEndHold) {
    text += record.type == kAllTypes ? " all types" : " type " + std::to_string(record.type);
  }
  return text + (record.cut ? " cut" : "") + (record.letter ? " of a letter" : "") +
         (record.by_hand ? " by hand" : "");
}

std::string DescribeLetters(const History& history) {
  if (history.order == LetterOrder::kHalt) {
    return ", letters by hand";
  }
  return std::string(", letters by ") +
         (history.order == LetterOrder::kStream ? "stream" : "event") + ", at most " +
         std::to_string(history.max_letters) + ", budget " + std::to_string(history.budget) +
         ", healing for " + std::to_string(history.heal_for.count() / 1'000'000) +
         " ms, breaker open for " + std::to_string(history.open.count() / 1'000'000) + " ms";
}

}  // namespace

std::string Describe(const History& history) {
  std::string text = "batch " + std::to_string(history.batch) + ", window " +
                     std::to_string(history.window) + " events and " +
                     std::to_string(history.window_bytes) + " bytes, interval " +
                     std::to_string(history.interval.count() / 1000) + " us" +
                     (history.system_events ? ", system events" : "") +
                     (history.position_mode ? ", position mode" : "") + ", start " +
                     (history.start ? FormatPosition(*history.start) : "at the beginning") +
                     DescribeLetters(history) + "\n";
  for (std::size_t i = 0; i < history.log.size(); ++i) {
    text += "event " + std::to_string(i) + ": " + Describe(history.log[i]) + "\n";
  }
  for (std::size_t i = 0; i < history.records.size(); ++i) {
    text += std::to_string(i) + ": " + Describe(history.records[i], history) + "\n";
  }
  return text;
}

}  // namespace catchup::sim
