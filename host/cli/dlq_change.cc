// `catchup dlq retry`, `drop`, `park` and `unpark`.

#include <fmt/core.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "host/base/shell_word.h"
#include "host/base/time_text.h"
#include "host/cli/dlq.h"
#include "host/cli/printable.h"
#include "host/cli/state_owner.h"
#include "host/config/table_reader.h"
#include "host/daemon/orders/group_orders.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

// Between two questions about a letter that is not called yet, where the host answers at once.
constexpr std::chrono::milliseconds kAskAgain{50};

constexpr std::chrono::hours kLongestPatience{24};

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string TextOf(const Json& json, const char* name) {
  const auto at = json.is_object() ? json.find(name) : json.end();
  return json.is_object() && at != json.end() && at->is_string() ? at->get<std::string>()
                                                                 : std::string();
}

// Calls letters again, one after the other, in the order of the log, and says what came of each. In
// a stream nothing behind a letter that failed is tried: its order would be lost. What is refused
// for one letter says nothing about the next; what is refused for all ends it.
class Retry {
 public:
  Retry(const DlqArguments& arguments, LetterPlace* place, std::chrono::milliseconds patience)
      : arguments_(arguments), place_(*place), patience_(patience) {}

  int Run();

 private:
  Status All();
  Status One(const std::string& id, const std::string& stream);
  Result<Json> Ask(const std::string& id);
  void TellCounts(bool done) const;
  void Tell(const Json& letter);

  const DlqArguments& arguments_;
  LetterPlace& place_;
  const std::chrono::milliseconds patience_;
  std::set<std::string> failed_streams_;
  std::uint64_t healed_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t not_tried_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t gone_ = 0;
  bool told_ = false;
};

int Retry::Run() {
  const Status done = arguments_.id.empty() ? All() : One(arguments_.id, "");
  if (arguments_.json) {
    std::printf("%s]\n", told_ ? "" : "[");
  } else if (arguments_.id.empty()) {
    TellCounts(done.ok());
  }
  if (!done.ok()) {
    return FailDlq(arguments_, done);
  }
  return failed_ + not_tried_ + refused_ == 0 ? kExitDone : kExitFailed;
}

void Retry::TellCounts(bool done) const {
  if (healed_ + failed_ + not_tried_ + refused_ + dropped_ + gone_ == 0) {
    if (done) {
      std::printf("group %s has no such letters\n", arguments_.group.c_str());
    }
    return;
  }
  std::string counts =
      fmt::format("{} healed, {} failed, {} not tried", healed_, failed_, not_tried_);
  for (const auto& [count, what] :
       {std::pair(refused_, "refused"), std::pair(dropped_, "dropped"), std::pair(gone_, "gone")}) {
    if (count > 0) {
      counts += fmt::format(", {} {}", count, what);
    }
  }
  std::printf("%s\n", counts.c_str());
}

// Those that are there when it begins: what becomes a letter meanwhile is another's.
Status Retry::All() {
  const auto began = Clock::now();
  LetterOptions options = FiltersOf(arguments_);
  // None, since it was looked at already, is no filter.
  const auto older = ParseDuration(arguments_.older, {}, std::chrono::milliseconds::max());
  const auto age = older.ok() ? *older : std::chrono::milliseconds(0);
  for (;;) {
    const auto passed =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began) +
        std::chrono::milliseconds(1);
    options["older"] = fmt::format("{}ms", (age + passed).count());
    CATCHUP_ASSIGN_OR_RETURN(const std::string page, place_.Page(options, LetterView::kList));
    CATCHUP_ASSIGN_OR_RETURN(const LetterPart part, SplitPage(page));
    for (const std::string& text : part.letters) {
      const Json letter = Json::parse(text, nullptr, false);
      const std::string id = TextOf(letter, "id");
      const Status done = One(id, TextOf(letter, "stream"));
      if (!done.ok()) {
        return told_ ? done.Within("stopped at letter " + id) : done;
      }
    }
    if (!part.next) {
      return {};
    }
    options["after"] = *part.next;
  }
}

Status Retry::One(const std::string& id, const std::string& stream) {
  if (failed_streams_.contains(stream)) {
    ++not_tried_;
    Tell({{"id", id},
          {"result", "not tried"},
          {"reason", "an earlier letter of its stream failed"}});
    return {};
  }
  CATCHUP_ASSIGN_OR_RETURN(const Json letter, Ask(id));
  const std::string result = TextOf(letter, "result");
  if (arguments_.id == id && (result == "refused" || result == "gone")) {
    return Status::NotFound(TextOf(letter, "reason"));
  }
  if (result == "healed") {
    ++healed_;
  } else if (result == "dropped") {
    ++dropped_;
  } else if (result == "refused") {
    ++refused_;
  } else if (result == "gone") {
    ++gone_;
  } else {
    ++failed_;
    if (!stream.empty()) {
      failed_streams_.insert(stream);
    }
  }
  Tell(letter);
  return {};
}

// Until it is called, however long calls wait; the host answers now and then that they do.
Result<Json> Retry::Ask(const std::string& id) {
  const auto until = Clock::now() + patience_;
  std::string body = "{}";
  for (bool waits = false;; waits = true) {
    CATCHUP_ASSIGN_OR_RETURN(const std::string answer,
                             place_.Order("/letters/" + id + "/retry", body));
    const Json json = Json::parse(answer, nullptr, false);
    const auto letter = json.is_object() ? json.find("letter") : json.end();
    if (!json.is_object() || letter == json.end() || !letter->is_object()) {
      return Status::Internal("the host answered without a letter; is it of another version?");
    }
    if (TextOf(*letter, "result") != "waiting") {
      return *letter;
    }
    const std::string why = TextOf(json, "state") + (TextOf(json, "reason").empty() ? "" : ": ") +
                            TextOf(json, "reason");
    if (Clock::now() >= until) {
      return Status::Unavailable(
          fmt::format("letter {} was not called within {} (the group is {}); it is asked for and "
                      "called as soon as may be",
                      id, arguments_.patience, why));
    }
    if (waits) {
      std::fprintf(stderr, "letter %s waits for its call; the group is %s\n", id.c_str(),
                   Printable(why).c_str());
    }
    const auto after = letter->find("after");
    body = Dump({{"after", after == letter->end() ? Json(0) : *after}});
    std::this_thread::sleep_for(kAskAgain);
  }
}

void Retry::Tell(const Json& letter) {
  const bool first = !std::exchange(told_, true);
  if (arguments_.json) {
    std::printf("%s%s", first ? "[" : ",\n", Dump(letter).c_str());
    return;
  }
  const std::string result = TextOf(letter, "result");
  std::string line = TextOf(letter, "id") + "  " + result;
  if (result == "failed") {
    line += " (" + TextOf(letter, "class") + "), now " + TextOf(letter, "state");
  }
  const std::string reason = TextOf(letter, "reason");
  std::printf("%s%s%s\n", Printable(line).c_str(), reason.empty() ? "" : ": ",
              Printable(reason).c_str());
  std::fflush(stdout);
}

// What is wrong with the letters that are asked for; empty: nothing.
std::string WrongChoice(const DlqArguments& arguments) {
  if (!arguments.id.empty() || !arguments.stream.empty() || arguments.all) {
    return {};
  }
  std::string kinds;
  for (const auto& [name, value] : FiltersOf(arguments)) {
    if (!value.empty()) {
      kinds += fmt::format("{}--{}", kinds.empty() ? "" : ", ", name);
    }
  }
  return kinds.empty() ? "wanted a letter's ID, --stream or --all"
                       : kinds +
                             " alone: wanted --all beside it, for all such letters of the "
                             "group, or --stream for those of one stream";
}

int RunRetry(const DlqArguments& arguments, LetterPlace* place) {
  if (std::string wrong = WrongChoice(arguments); !wrong.empty()) {
    return FailDlq(arguments, Status::Invalid(std::move(wrong)));
  }
  const auto patience =
      ParseDuration(arguments.patience, std::chrono::milliseconds(1), kLongestPatience);
  if (!patience.ok()) {
    return FailDlq(arguments,
                   Status::Invalid(fmt::format("--timeout {}: wanted {}", arguments.patience,
                                               patience.status().message())));
  }
  return Retry(arguments, place, *patience).Run();
}

int TellDone(const DlqArguments& arguments, const std::string& answer) {
  const Json json = Json::parse(answer, nullptr, false);
  if (arguments.json) {
    std::printf("%s\n", Dump(json).c_str());
  } else {
    std::printf("%s: %s\n", arguments.group.c_str(), Printable(TextOf(json, "note")).c_str());
  }
  return kExitDone;
}

// Where no host runs: for the next one to do.
int ParkForNextRun(const DlqArguments& arguments, const ConfigReading& reading) {
  const GroupConfig* group = nullptr;
  if (reading.config) {
    for (const GroupConfig& one : reading.config->groups) {
      group = one.name == arguments.group ? &one : group;
    }
  }
  if (group == nullptr) {
    return FailDlq(arguments, Status::Invalid("no host runs, and the configuration has no group " +
                                              arguments.group));
  }
  const auto& directory = reading.config->state.directory;
  if (const Status owner = CheckStateOwner(directory, "dlq park " + ShellWord(arguments.group));
      !owner.ok()) {
    return FailDlq(arguments, owner);
  }
  LetterCommand command;
  command.kind = LetterCommand::Kind::kParkEvent;
  command.position = *ReadLetterId(arguments.id);
  command.reason = arguments.reason;
  const auto state = StateDirectory::Open(directory);
  const auto done = state.ok() ? OrderLetters(state->groups(), *group, command, AskedHere())
                               : Result<OrderNote>(state.status());
  return done.ok() ? TellDone(arguments, Dump({{"group", group->name}, {"note", *done}}))
                   : FailDlq(arguments, done.status());
}

int Order(const DlqArguments& arguments, const ConfigReading& reading, LetterPlace* place,
          const std::string& path, const Json& body) {
  const auto answer = place->Order(path, Dump(body));
  if (answer.ok()) {
    return TellDone(arguments, *answer);
  }
  const bool no_host = answer.status().code() == Status::Code::kCancelled;
  return no_host && arguments.verb == "park" && !arguments.id.empty()
             ? ParkForNextRun(arguments, reading)
             : FailDlq(arguments, answer.status());
}

}  // namespace

int ChangeLetters(const DlqArguments& arguments, const ConfigReading& reading, LetterPlace* place) {
  if (arguments.verb == "retry") {
    return RunRetry(arguments, place);
  }
  if (arguments.verb == "unpark") {
    return Order(arguments, reading, place, "/unpark", {{"type", arguments.type}});
  }
  if (arguments.reason.find_first_not_of(" \t\r\n") == std::string::npos) {
    return FailDlq(arguments, Status::Invalid("--reason is empty, wanted why"));
  }
  if (arguments.reason.size() > kMaxOperatorReason) {
    return FailDlq(arguments,
                   Status::Invalid(fmt::format("--reason has {} bytes, wanted at most {}",
                                               arguments.reason.size(), kMaxOperatorReason)));
  }
  if (arguments.verb == "drop") {
    return Order(arguments, reading, place, "/letters/" + arguments.id + "/drop",
                 {{"reason", arguments.reason}});
  }
  if (arguments.id.empty() == arguments.type.empty()) {
    return FailDlq(arguments, Status::Invalid("wanted --event or --type"));
  }
  const char* what = arguments.id.empty() ? "type" : "event";
  return Order(
      arguments, reading, place, "/park",
      {{what, arguments.id.empty() ? arguments.type : arguments.id}, {"reason", arguments.reason}});
}

}  // namespace catchup
