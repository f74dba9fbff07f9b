#include "host/config/group_reader.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <catchup/path_text.hpp>
#include <utility>
#include <vector>

#include "host/base/ascii.h"
#include "host/base/environment.h"
#include "host/base/event_size.h"
#include "host/base/failure_rules.h"
#include "host/base/stop_budget.h"
#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/config/classify_reader.h"
#include "host/config/settings.h"
#include "host/config/sink_reader.h"

namespace catchup {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;

// Bounds of what makes sense; each keeps a slip of the hand, as "30h" for "30s", from being obeyed.
constexpr std::uint32_t kMaxBatchSize = 1'000'000;
constexpr std::uint32_t kMaxCheckpointBatch = 100'000;
constexpr milliseconds kMinCheckpointInterval{10};
constexpr milliseconds kMaxCheckpointInterval = hours(1);
constexpr milliseconds kMinRetryDelay{100};
constexpr milliseconds kMaxRetryDelay = hours(1);
constexpr milliseconds kMinHandlerTimeout{100};
constexpr milliseconds kMaxHandlerTimeout = hours(24);
// A runner that has nothing to do still needs a moment to leave.
constexpr milliseconds kMinDrainTimeout{100};
constexpr std::uint32_t kMaxRetries = 1000;
constexpr std::uint32_t kMaxCrashes = 100;
constexpr std::uint64_t kMaxWindowEvents = 1'000'000;
constexpr std::uint64_t kMinWindowBytes = 64ull << 10;
constexpr std::uint64_t kMaxWindowBytes = 4ull << 30;
constexpr std::uint32_t kMaxLetters = 10'000'000;
// A full store waits, so it must have room for the largest event.
constexpr std::uint64_t kMinLetterBytes = 32ull << 20;
static_assert(kMinLetterBytes >= kMaxMessageBytes);
constexpr std::uint64_t kMaxLetterBytes = 1024ull << 30;
constexpr milliseconds kMinHealFor{0};  // Never.
constexpr milliseconds kMaxHealFor = hours(24 * 366);
constexpr std::uint32_t kMaxFailures = 1000;
// A runner takes one or two itself, a plugin with a database's client ten: with less, every start
// would be its last.
constexpr std::uint64_t kMinMemory = 16ull << 20;
constexpr std::uint64_t kMaxMemory = 1024ull << 30;
constexpr std::uint32_t kMinOpenFiles = 32;
constexpr std::uint32_t kMaxOpenFiles = 65'536;
constexpr std::size_t kMaxPrefixes = 256;
constexpr std::size_t kMaxFileName = 255;
constexpr std::size_t kMaxProjection = 128;
constexpr std::size_t kSha256Digits = 64;

constexpr std::string_view kWantedPlugin =
    "the file name of a plugin, without a folder, as \"orders.so\"";
constexpr std::string_view kWantedPrefixes =
    "a list of texts, as [\"order-\"]; [\"\"] says everything";
constexpr std::string_view kWantedStart =
    "\"beginning\", \"end\" or \"COMMIT:PREPARE\", two decimal numbers, the second not above the "
    "first";

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void ReadPlugin(TableReader* reader, GroupConfig* group) {
  std::string text;
  if (reader->Text("plugin", kWantedPlugin, &text)) {
    const auto slash = text.rfind('/');
    if (slash != std::string::npos && slash + 1 < text.size() && !HasControl(text)) {
      const std::string shown = WithoutUserInfo(text);  // Before it is cut in two.
      TomlValue name;
      name.value = shown.substr(shown.rfind('/') + 1);
      reader->Wrong(
          "plugin", reader->table().Find("plugin")->value,
          fmt::format("the file name alone, as {}; its folder belongs in plugins.directories",
                      DescribeToml(name)));
    } else if (slash != std::string::npos || text == "." || text == ".." ||
               text.size() > kMaxFileName || HasControl(text)) {
      reader->Wrong("plugin", reader->table().Find("plugin")->value, kWantedPlugin);
    } else if (HasShellVariable(text) || !Placeholder(text).empty()) {
      reader->Wrong("plugin", reader->table().Find("plugin")->value,
                    "the file name of a plugin, because variables are not replaced in it");
    } else {
      group->plugin = text;
      group->plugin_location = reader->table().Find("plugin")->value.location;
    }
  }
  const std::string wanted =
      fmt::format("a projection's name, 1 to {} bytes without controls", kMaxProjection);
  if (reader->Text("projection", wanted, &text)) {
    if (text.size() > kMaxProjection || HasControl(text)) {
      reader->Wrong("projection", reader->table().Find("projection")->value, wanted);
    } else {
      group->projection = text;
    }
  }
  const std::string wanted_digest = fmt::format("{} hexadecimal digits", kSha256Digits);
  if (reader->Text("sha256", wanted_digest, &text)) {
    if (text.size() != kSha256Digits ||
        !std::all_of(text.begin(), text.end(), [](char c) { return HexValue(c) >= 0; })) {
      reader->Wrong("sha256", reader->table().Find("sha256")->value, wanted_digest);
    } else {
      group->sha256 = LowerCase(text);
    }
  }
}

// A pattern taken to the letter would match nothing, and a group that handles nothing looks
// healthy.
void CheckPrefixes(TableReader* reader, const TomlValue::List& list,
                   const std::vector<std::string>& prefixes) {
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    const std::string_view prefix = prefixes[i];
    const bool star = !prefix.empty() && prefix.back() == '*';
    if (star || (!prefix.empty() && prefix.front() == '^')) {
      std::string_view meant = prefix;
      meant.remove_prefix(meant.front() == '^' ? 1 : 0);
      meant.remove_suffix(!meant.empty() && star ? 1 : 0);
      TomlValue text;
      text.value = std::string(meant);
      reader->Wrong(fmt::format("prefixes[{}]", i), list[i],
                    "how names begin, without a pattern, as " + DescribeToml(text));
    }
  }
}

void ReadFilter(TableReader* reader, GroupConfig* group) {
  std::vector<std::string> prefixes;
  if (reader->TextList("prefixes", kWantedPrefixes, &prefixes)) {
    const TomlValue& value = reader->table().Find("prefixes")->value;
    if (prefixes.empty()) {
      reader->Wrong("prefixes", value, kWantedPrefixes);
    } else if (prefixes.size() > kMaxPrefixes) {
      reader->problems()->Add(
          value.location,
          fmt::format("prefixes = a list of {}: wanted at most {}", prefixes.size(), kMaxPrefixes));
    } else {
      CheckPrefixes(reader, *value.As<TomlValue::List>(), prefixes);
      group->filter.prefixes = std::move(prefixes);
    }
  }
  std::size_t index = 0;
  if (reader->Choice("match", {"event_type", "stream_name"}, &index)) {
    group->filter.match =
        index == 0 ? EventFilter::Match::kEventType : EventFilter::Match::kStreamName;
  }
  reader->Bool("system_events", &group->filter.system_events);
  reader->Bool("resolve_links", &group->filter.resolve_links);
}

void ReadStart(TableReader* reader, GroupConfig* group) {
  std::string text;
  if (!reader->Text("start", kWantedStart, &text)) {
    return;
  }
  if (text == "beginning" || text == "end") {
    group->start.kind = text == "end" ? GroupStart::Kind::kEnd : GroupStart::Kind::kBeginning;
    return;
  }
  const TomlValue& value = reader->table().Find("start")->value;
  const auto position = ParsePosition(text);
  if (!position.ok() || text.find(':') == std::string::npos) {
    reader->Wrong("start", value, kWantedStart);
  } else if (*position == kEndOfLog) {
    // A server reads this number as "end", so it would not mean what it says.
    reader->Wrong("start", value, "\"end\", which this number stands for");
  } else {
    group->start = {GroupStart::Kind::kPosition, *position};
  }
}

void ReadPace(TableReader* reader, GroupConfig* group) {
  reader->Bool("stop_on_caught_up", &group->stop_on_caught_up);
  reader->Integer("batch_size", 1, kMaxBatchSize, &group->batch_size);
  reader->Integer("checkpoint_batch_size", 1, kMaxCheckpointBatch, &group->checkpoint_batch_size);
  reader->Duration("checkpoint_interval", kMinCheckpointInterval, kMaxCheckpointInterval,
                   &group->checkpoint_interval);
  reader->Duration("handler_timeout", kMinHandlerTimeout, kMaxHandlerTimeout,
                   &group->handler_timeout);
  reader->Duration("start_timeout", kMinHandlerTimeout, kMaxHandlerTimeout, &group->start_timeout);
  reader->Duration("drain_timeout", kMinDrainTimeout, kMaxDrainTimeout, &group->drain_timeout);
  if (const TomlValue* table = reader->Table("window")) {
    TableReader window(*table, "window.", reader->problems());
    window.Integer("events", std::uint64_t{1}, kMaxWindowEvents, &group->window_events);
    window.Size("bytes", kMinWindowBytes, kMaxWindowBytes, &group->window_bytes);
    window.Finish();
  }
}

void ReadDeadLetters(const TomlValue& table, ConfigProblems* problems, DeadLettersConfig* out) {
  TableReader reader(table, "dead_letters.", problems);
  std::size_t order = 0;
  if (reader.Choice("order", {"stream", "event", "halt"}, &order)) {
    constexpr DeadLettersConfig::Order kOrders[] = {DeadLettersConfig::Order::kStream,
                                                    DeadLettersConfig::Order::kEvent,
                                                    DeadLettersConfig::Order::kHalt};
    out->order = kOrders[order];
  }
  reader.Integer("max_letters", 1, kMaxLetters, &out->max_letters);
  reader.Size("max_bytes", kMinLetterBytes, kMaxLetterBytes, &out->max_bytes);
  reader.Duration("heal_for", kMinHealFor, kMaxHealFor, &out->heal_for);
  ReadSinks(&reader, &out->sinks);
  reader.Finish();
}

void ReadBreaker(const TomlValue& table, ConfigProblems* problems, BreakerConfig* out) {
  TableReader reader(table, "breaker.", problems);
  reader.Integer("failures", std::uint32_t{1}, kMaxFailures, &out->failures);
  reader.Duration("open", kMinRetryDelay, kMaxRetryDelay, &out->open);
  reader.Duration("max_open", kMinRetryDelay, kMaxRetryDelay, &out->max_open);
  reader.Integer("budget", std::uint32_t{0}, kBudgetWindow, &out->budget);
  reader.Finish();
}

void ReadLimits(const TomlValue& table, ConfigProblems* problems, LimitsConfig* out) {
  TableReader reader(table, "limits.", problems);
  reader.Size("memory", kMinMemory, kMaxMemory, &out->memory_bytes);
  reader.Integer("open_files", kMinOpenFiles, kMaxOpenFiles, &out->open_files);
  reader.Finish();
}

void ReadFailure(TableReader* reader, GroupConfig* group) {
  reader->Integer("max_retries", std::uint32_t{0}, kMaxRetries, &group->max_retries);
  reader->Duration("retry_delay", kMinRetryDelay, kMaxRetryDelay, &group->retry_delay);
  reader->Duration("retry_max_delay", kMinRetryDelay, kMaxRetryDelay, &group->retry_max_delay);
  reader->Integer("max_crashes", std::uint32_t{1}, kMaxCrashes, &group->max_crashes);
  reader->Integer("lanes", std::uint32_t{1}, kMaxLanes, &group->lanes);
  if (const TomlValue* table = reader->Table("dead_letters")) {
    ReadDeadLetters(*table, reader->problems(), &group->dead_letters);
  }
  if (const TomlValue* table = reader->Table("breaker")) {
    ReadBreaker(*table, reader->problems(), &group->breaker);
  }
  if (const TomlValue* table = reader->Table("classify")) {
    ReadClassify(*table, reader->problems(), &group->classify);
  }
  if (const TomlValue* table = reader->Table("limits")) {
    ReadLimits(*table, reader->problems(), &group->limits);
  }
}

bool IsEnvName(std::string_view name) {
  return !name.empty() && !IsDigit(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsLetterOrDigit(c) || c == '_'; });
}

void ReadEnv(TableReader* reader, GroupConfig* group) {
  if (!reader->TextList("env", "a list of names, as [\"PGHOST\"]", &group->env)) {
    return;
  }
  const auto& list = *reader->table().Find("env")->value.As<TomlValue::List>();
  // What is wrong is left out, so that nobody looks such a name up.
  const std::vector<std::string> names = std::exchange(group->env, {});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const std::string key = fmt::format("env[{}]", i);
    if (!IsEnvName(names[i])) {
      // "NAME=VALUE" may hold a secret, so the text is not repeated.
      reader->problems()->Add(list[i].location,
                              key +
                                  ": wanted the name of a variable, letters, digits and \"_\"; "
                                  "its value comes from the environment");
    } else if (IsForbiddenVariable(names[i])) {
      reader->Wrong(
          key, list[i],
          fmt::format("a variable other than {}, which a runner never gets", kForbiddenVariables));
    } else {
      group->env.push_back(names[i]);
      group->env_locations.push_back(list[i].location);
    }
  }
}

GroupConfig ReadKeys(TableReader* reader) {
  GroupConfig group;
  group.location = reader->table().location;
  ReadPlugin(reader, &group);
  ReadFilter(reader, &group);
  ReadStart(reader, &group);
  ReadPace(reader, &group);
  ReadFailure(reader, &group);
  ReadEnv(reader, &group);
  if (const TomlValue* table = reader->Table("config")) {
    group.settings = MakeSettings(*table, reader->problems());
  }
  reader->Finish();
  return group;
}

// The default stands in its place meanwhile.
bool IsRefused(const TomlMember* member, const ConfigProblems& problems) {
  const std::vector<SourceLocation> places = problems.Places();
  return member != nullptr &&
         std::any_of(places.begin(), places.end(), [&](const SourceLocation& place) {
           const SourceLocation& at = member->value.location;
           return place.line == at.line && place.column == at.column;
         });
}

constexpr std::string_view kLinkType = "$>";

// A server compares prefixes with the link itself, never with what it names.
bool MeetsLinks(const EventFilter& filter) {
  return filter.prefixes.empty() || filter.match == EventFilter::Match::kStreamName ||
         std::any_of(filter.prefixes.begin(), filter.prefixes.end(),
                     [](const std::string& prefix) { return kLinkType.rfind(prefix, 0) == 0; });
}

// A delay that doubles from one key's value up to the other's.
struct Doubling {
  std::string_view table;  // "breaker.", or empty for a group's own keys.
  std::string_view least_key;
  std::string_view most_key;
  std::chrono::milliseconds* least;
  std::chrono::milliseconds* most;
};

// What is written, be it in [defaults], moves the one that is not; only two that are written can
// contradict each other.
void SettleDoubling(const TomlValue& table, const Doubling& delay, ConfigProblems* problems) {
  if (*delay.most >= *delay.least) {
    return;
  }
  const TomlMember* const most = table.Find(delay.most_key);
  const TomlMember* const least = table.Find(delay.least_key);
  if (most == nullptr) {
    *delay.most = *delay.least;
  } else if (least == nullptr) {
    *delay.least = *delay.most;
  } else if (!IsRefused(most, *problems) && !IsRefused(least, *problems)) {
    TableReader(table, std::string(delay.table), problems)
        .Wrong(delay.most_key, most->value,
               fmt::format("at least {}{}, {}, from which it doubles", delay.table, delay.least_key,
                           DescribeDuration(*delay.least)));
  }
}

}  // namespace

GroupConfig ReadGroup(const std::string& name, const TomlValue& table, ConfigProblems* problems) {
  TableReader reader(table, "", problems);
  GroupConfig group = ReadKeys(&reader);
  group.name = name;
  if (table.Find("plugin") == nullptr) {
    reader.Missing("plugin", kWantedPlugin);
  }
  if (table.Find("prefixes") == nullptr) {
    reader.Missing("prefixes", kWantedPrefixes);
  }
  if (const TomlMember* breaker = table.Find("breaker")) {
    SettleDoubling(breaker->value,
                   {"breaker.", "open", "max_open", &group.breaker.open, &group.breaker.max_open},
                   problems);
  }
  SettleDoubling(table,
                 {"", "retry_delay", "retry_max_delay", &group.retry_delay, &group.retry_max_delay},
                 problems);
  if (group.filter.resolve_links && !MeetsLinks(group.filter)) {
    reader.Wrong("resolve_links", table.Find("resolve_links")->value,
                 fmt::format("a prefix \"{}\" beside it, the type of every link, or match = "
                             "\"stream_name\"",
                             kLinkType));
  }
  for (std::size_t i = 0; i < group.filter.prefixes.size(); ++i) {
    if (group.filter.prefixes[i].rfind('$', 0) == 0 && !group.filter.system_events) {
      const auto& list = *table.Find("prefixes")->value.As<TomlValue::List>();
      reader.Wrong(fmt::format("prefixes[{}]", i), list[i],
                   "system_events = true beside it, because system events begin with \"$\"");
    }
  }
  return group;
}

void CheckDefaults(const TomlValue& table, ConfigProblems* problems) {
  TableReader reader(table, "", problems);
  (void)ReadKeys(&reader);
}

TomlValue MergeDefaults(const TomlValue& defaults, const TomlValue& table) {
  TomlValue merged = table;
  auto& members = std::get<TomlValue::Table>(merged.value);
  for (const TomlMember& given : *defaults.As<TomlValue::Table>()) {
    const auto own = std::find_if(members.begin(), members.end(), [&](const TomlMember& member) {
      return member.key == given.key;
    });
    if (own == members.end()) {
      members.push_back(given);
    } else if (own->value.As<TomlValue::Table>() != nullptr &&
               given.value.As<TomlValue::Table>() != nullptr) {
      own->value = MergeDefaults(given.value, own->value);
    }
  }
  return merged;
}

bool IsGroupName(std::string_view name) {
  const auto is_first = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kMaxGroupName && is_first(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_first(c) || c == '-'; });
}

}  // namespace catchup
