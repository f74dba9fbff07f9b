#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>

#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/cli/commands.h"
#include "host/cli/printable.h"
#include "host/config/reader.h"
#include "host/config/table_reader.h"
#include "host/store/letter_json.h"
#include "host/store/letter_reader.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

// Of --older and --newer; more is a slip.
constexpr std::chrono::hours kLongestAge{24 * 3660};
constexpr std::int64_t kTicksPerMillisecond = 10'000;

// Of a reason in the table; `show` has all of it.
constexpr std::size_t kShownReason = 80;

int Fail(const Status& status, int code = kExitFailed) {
  std::fprintf(stderr, "%s\n", status.message().c_str());
  return code;
}

Status Unknown(const char* option, const std::string& found, const char* wanted) {
  return Status::Invalid(std::string(option) + " " + Printable(found) + ": wanted " + wanted);
}

Result<Position> ParseId(const std::string& text) {
  auto position = ParsePosition(text);
  if (!position.ok() || text.find(':') == std::string::npos || !IsPlace(*position)) {
    return Unknown("letter", text, "COMMIT:PREPARE, two decimal numbers, as list shows it");
  }
  return position;
}

Status ReadAge(const char* option, const std::string& text, std::optional<std::int64_t>* out) {
  if (text.empty()) {
    return {};
  }
  const auto age = ParseDuration(text, std::chrono::milliseconds(1), kLongestAge);
  if (!age.ok()) {
    return Unknown(option, text, age.status().message().c_str());
  }
  *out = NowTicks() - age->count() * kTicksPerMillisecond;
  return {};
}

Result<LetterFilter> ReadFilter(const DlqArguments& arguments) {
  LetterFilter filter;
  if (!arguments.state.empty()) {
    filter.state = ParseStoredState(arguments.state);
    if (!filter.state) {
      return Unknown("--state", arguments.state, "healing, dead or follower");
    }
  }
  if (!arguments.letter_class.empty()) {
    filter.letter_class = ParseStoredClass(arguments.letter_class);
    if (!filter.letter_class) {
      return Unknown("--class", arguments.letter_class,
                     "domain, domain-text, unknown, crash, hang, held or by-hand");
    }
  }
  if (!arguments.stream.empty()) {
    filter.stream = arguments.stream;
  }
  if (!arguments.type.empty()) {
    filter.type = arguments.type;
  }
  CATCHUP_RETURN_IF_ERROR(ReadAge("--older", arguments.older, &filter.written_before));
  CATCHUP_RETURN_IF_ERROR(ReadAge("--newer", arguments.newer, &filter.written_after));
  if (arguments.limit != 0) {
    filter.limit = arguments.limit;
  }
  return filter;
}

std::string Age(std::int64_t ticks, std::int64_t now) {
  const std::int64_t age = std::max<std::int64_t>(now - ticks, 0) / 10'000'000;
  return FormatDuration(std::chrono::seconds(age));
}

std::string NextTry(const LetterHead& head, std::int64_t now) {
  if (head.due_ticks == 0) {
    return "-";
  }
  return head.due_ticks <= now ? "due" : "in " + Age(now, head.due_ticks);
}

std::string OrDash(std::string_view text) { return text.empty() ? "-" : std::string(text); }

// One command on the letters of one group.
class Letters {
 public:
  Letters(LetterReader reader, const DlqArguments& arguments)
      : reader_(std::move(reader)), arguments_(arguments) {}

  Status List(const LetterFilter& filter);
  Status Show(Position position);
  Status Export(const LetterFilter& filter);

 private:
  Status ListTable(const LetterFilter& filter);
  void ShowText(const Letter& letter) const;

  LetterReader reader_;
  const DlqArguments& arguments_;
};

Status Letters::List(const LetterFilter& filter) {
  if (!arguments_.json) {
    return ListTable(filter);
  }
  std::string out = "[";
  const Status listed = reader_.List(filter, [&](const LetterHead& head, const LetterCause& cause) {
    out += '{';
    AppendLetterMembers(arguments_.group, head, cause, &out);
    std::printf("%s}", out.c_str());
    out = ",\n";
    return Status();
  });
  // Also after a failure: whoever reads on sees an array that ends.
  std::printf("%s]\n", out == "[" ? "[" : "");
  return listed;
}

Status Letters::ListTable(const LetterFilter& filter) {
  const std::int64_t now = NowTicks();
  std::uint64_t shown = 0;
  const Status listed = reader_.List(filter, [&](const LetterHead& head, const LetterCause& cause) {
    constexpr const char* kFormat = "%-23s  %-8s  %-11s  %5s  %8s  %-9s  %s@%llu  %s  %s\n";
    if (shown++ == 0) {
      std::printf("%-23s  %-8s  %-11s  %5s  %8s  %-9s  STREAM@REVISION  TYPE  REASON\n", "ID",
                  "STATE", "CLASS", "CALLS", "AGE", "NEXT TRY");
    }
    std::printf(kFormat, FormatPosition(head.position).c_str(),
                std::string(StoredStateName(head.state)).c_str(),
                OrDash(StoredClassName(head.letter_class)).c_str(),
                std::to_string(head.attempts).c_str(), Age(head.written_ticks, now).c_str(),
                NextTry(head, now).c_str(), Printable(head.stream).c_str(),
                static_cast<unsigned long long>(head.revision), Printable(head.type).c_str(),
                OrDash(Printable(CutText(cause.reason, kShownReason))).c_str());
    return Status();
  });
  CATCHUP_RETURN_IF_ERROR(listed);
  CATCHUP_ASSIGN_OR_RETURN(const LetterTotals totals, reader_.Count());
  if (shown == 0 && totals.letters() == 0) {
    std::printf("group %s has no dead letters\n", arguments_.group.c_str());
  } else if (shown == 0) {
    std::printf("none of the %s dead letters of group %s is meant\n",
                FormatCount(totals.letters()).c_str(), arguments_.group.c_str());
  }
  return {};
}

Status Letters::Show(Position position) {
  CATCHUP_ASSIGN_OR_RETURN(const auto letter, reader_.Read(position));
  if (!letter) {
    return Status::NotFound("group " + arguments_.group + " has no letter " +
                            FormatPosition(position) + ": `catchup dlq list " + arguments_.group +
                            "` shows those it has");
  }
  if (!arguments_.json) {
    ShowText(*letter);
    return {};
  }
  std::string out = "{";
  AppendLetterMembers(arguments_.group, letter->head, letter->cause, &out);
  AppendLetterDetails(letter->head, letter->cause, &out);
  out += ",\"event\":";
  AppendLetterEvent(*letter, &out);
  std::fwrite(out.data(), 1, out.size(), stdout);
  std::printf("}\n");
  return {};
}

void Letters::ShowText(const Letter& letter) const {
  const LetterHead& head = letter.head;
  const LetterCause& cause = letter.cause;
  const auto line = [](const char* name, const std::string& text) {
    std::printf("%-12s %s\n", name, text.empty() ? "-" : text.c_str());
  };
  const auto time = [&](const char* name, std::int64_t ticks) {
    line(name, ticks == 0 ? "" : FormatTicks(ticks));
  };
  line("letter", FormatPosition(head.position) + " of group " + arguments_.group);
  line("stream", Printable(head.stream) + "@" + std::to_string(head.revision));
  line("type", Printable(head.type));
  line("event id", FormatUuid(head.event_id));
  time("created", head.created_ticks);
  line("state",
       std::string(StoredStateName(head.state)) + " since " + FormatTicks(head.since_ticks));
  line("class", std::string(StoredClassName(head.letter_class)));
  line("reason", Printable(cause.reason));
  line("calls", std::to_string(head.attempts));
  time("first failed", head.first_failed_ticks);
  time("last failed", head.last_failed_ticks);
  time("next try", head.due_ticks);
  const bool has_digest = cause.plugin_digest != Digest32{};
  line("plugin", Printable(cause.plugin + " " + cause.plugin_version));
  line("sha256", has_digest ? HexText(cause.plugin_digest) : "");
  line("trace", Printable(cause.trace_id));
  for (const LetterCall& call : cause.calls) {
    std::printf("call         %s  %s  %s\n", FormatTicks(call.time_ticks).c_str(),
                OrDash(StoredClassName(call.letter_class)).c_str(), Printable(call.text).c_str());
  }
  std::string event;
  AppendLetterEvent(letter, &event);
  std::printf("event        ");
  std::fwrite(event.data(), 1, event.size(), stdout);
  std::printf("\n");
}

Status Letters::Export(const LetterFilter& filter) {
  return reader_.List(filter, [&](const LetterHead& head, const LetterCause&) -> Status {
    CATCHUP_ASSIGN_OR_RETURN(const auto letter, reader_.Read(head.position));
    if (!letter) {
      return Status::Corrupt("letter " + FormatPosition(head.position) + " has no event");
    }
    std::string line;
    AppendLetterEvent(*letter, &line);
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stdout);
    return {};
  });
}

// The folder of the group, which has one once it has run. One that the configuration does not name
// any more may still have letters.
Result<fs::path> FindGroup(const HostConfig& config, const std::string& group) {
  std::string names;
  bool known = false;
  for (const GroupConfig& one : config.groups) {
    names += (names.empty() ? "" : ", ") + one.name;
    known = known || one.name == group;
  }
  const fs::path folder = StateDirectory::GroupsOf(config.state.directory) / group;
  std::error_code failed;
  const bool plain = group.find('/') == std::string::npos && group.front() != '.';
  if (!known && !(plain && fs::is_directory(folder, failed))) {
    return Status::NotFound("group " + Printable(group) + ": " + config.file.string() +
                            " has no such group, it has " + names);
  }
  return folder;
}

// Whose host it is that has the letters open, where that can be told.
Status NameHost(const Status& status, const fs::path& directory) {
  if (status.code() != Status::Code::kInUse) {
    return status;
  }
  const auto look = StateDirectory::LookAt(directory);
  const std::string host = look.ok() && !look->note.empty() ? look->note : status.message();
  return Status::InUse(host +
                       ": this version reads the dead letters of a host that does not run; stop "
                       "it first");
}

int Read(const HostConfig& config, const DlqArguments& arguments) {
  const auto filter = ReadFilter(arguments);
  if (!filter.ok()) {
    return Fail(filter.status(), kExitUsage);
  }
  const bool shows = arguments.verb == "show";
  const auto position = shows ? ParseId(arguments.id) : Result<Position>(Position());
  if (!position.ok()) {
    return Fail(position.status(), kExitUsage);
  }
  const auto folder = FindGroup(config, arguments.group);
  if (!folder.ok()) {
    return Fail(folder.status(), kExitUsage);
  }
  auto reader = LetterReader::Open(*folder, arguments.group);
  if (!reader.ok()) {
    return Fail(NameHost(reader.status(), config.state.directory));
  }
  Letters letters(*std::move(reader), arguments);
  const Status done = shows                        ? letters.Show(*position)
                      : arguments.verb == "export" ? letters.Export(*filter)
                                                   : letters.List(*filter);
  return done.ok() ? kExitDone : Fail(NameHost(done, config.state.directory));
}

}  // namespace

int DlqCommand(const DlqArguments& arguments) {
  const ConfigReading reading = ReadConfigFile(arguments.config);
  for (const std::string& problem : reading.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  if (!reading.config) {
    return kExitConfiguration;
  }
  if (arguments.verb == "list" || arguments.verb == "show" || arguments.verb == "export") {
    return Read(*reading.config, arguments);
  }
  std::fprintf(stderr,
               "dlq %s: this version cannot ask a running host for it yet; dlq list, show and "
               "export read the letters of a host that does not run\n",
               arguments.verb.c_str());
  return kExitFailed;
}

}  // namespace catchup
