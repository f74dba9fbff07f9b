// `catchup dlq list`, `show` and `export`.
#include <algorithm>
#include <catchup/json_text.hpp>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/base/text.h"
#include "host/base/time_text.h"
#include "host/cli/dlq.h"
#include "host/cli/printable.h"

namespace catchup {
namespace {

using Json = nlohmann::json;

// Of a reason in the table; `show` has all of it.
constexpr std::size_t kShownReason = 80;

void Print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

std::string OrDash(std::string text) { return text.empty() ? "-" : text; }

// A letter's members as people read them. Views of it, which it must outlive: there may be a
// hundred thousand.
class Members {
 public:
  explicit Members(std::string_view letter) {
    std::string fault;
    const bool whole = VisitJsonMembers(
        letter,
        [this](const std::string& name, std::string_view value) {
          members_.emplace_back(name, value);
        },
        &fault);
    if (!whole) {
      members_.clear();  // Of another version; what it has is not known.
    }
  }

  std::string Text(std::string_view name) const {
    const auto at = std::find_if(members_.begin(), members_.end(),
                                 [&](const auto& member) { return member.first == name; });
    if (at == members_.end() || at->second == "null") {
      return {};
    }
    std::string text;
    return Printable(at->second.front() == '"' && JsonCursor(at->second).ReadString(&text)
                         ? std::string_view(text)
                         : at->second);
  }
  std::string Age(const char* name, std::int64_t now) const {
    const auto at = ParseTicks(Text(name));
    return at ? For(now - *at) : "-";
  }
  std::string NextTry(std::int64_t now) const {
    const auto at = ParseTicks(Text("nextTryAt"));
    // What is shown in seconds is due within the last one of them.
    return !at ? "-" : *at - now < kTicksPerSecond ? "due" : "in " + For(*at - now);
  }

 private:
  static std::string For(std::int64_t ticks) {
    return FormatDuration(std::chrono::seconds(std::max<std::int64_t>(ticks, 0) / 10'000'000));
  }

  std::vector<std::pair<std::string, std::string_view>> members_;
};

Status ListJson(const DlqArguments& arguments, LetterPlace* place) {
  std::string before = "[";
  const Status listed = WalkLetters(place, FiltersOf(arguments), LetterView::kList, arguments.limit,
                                    [&](const std::string& letter) {
                                      Print(before + letter);
                                      before = ",\n";
                                      return Status();
                                    });
  // Also after a failure: whoever reads on sees an array that ends.
  Print(before == "[" ? listed.ok() ? "[]\n" : "" : "]\n");
  return listed;
}

Status ListTable(const DlqArguments& arguments, LetterPlace* place) {
  const std::int64_t now = NowTicks();
  constexpr const char* kFormat = "%-23s  %-8s  %-11s  %5s  %8s  %-9s  %s@%s  %s  %s\n";
  std::uint64_t shown = 0;
  std::string count = "0";
  CATCHUP_RETURN_IF_ERROR(WalkLetters(
      place, FiltersOf(arguments), LetterView::kDetails, arguments.limit,
      [&](const std::string& text) {
        const Members letter(text);
        if (shown++ == 0) {
          std::printf("%-23s  %-8s  %-11s  %5s  %8s  %-9s  STREAM@REVISION  TYPE  REASON\n", "ID",
                      "STATE", "CLASS", "CALLS", "AGE", "NEXT TRY");
        }
        std::printf(kFormat, letter.Text("id").c_str(), letter.Text("state").c_str(),
                    OrDash(letter.Text("class")).c_str(), letter.Text("attempts").c_str(),
                    letter.Age("writtenAt", now).c_str(), letter.NextTry(now).c_str(),
                    letter.Text("stream").c_str(), letter.Text("revision").c_str(),
                    letter.Text("type").c_str(),
                    OrDash(CutText(letter.Text("reason"), kShownReason)).c_str());
        return Status();
      },
      &count));
  if (shown == 0 && count == "0") {
    std::printf("group %s has no dead letters\n", arguments.group.c_str());
  } else if (shown == 0) {
    std::printf("none of the %s dead letters of group %s is meant\n", count.c_str(),
                arguments.group.c_str());
  }
  return {};
}

void PrintDrop(const Members& drop) {
  std::printf("%s  %s@%s  %s  dropped %s by %s: %s\n", drop.Text("id").c_str(),
              drop.Text("stream").c_str(), drop.Text("revision").c_str(), drop.Text("type").c_str(),
              drop.Text("droppedAt").c_str(), drop.Text("by").c_str(), drop.Text("reason").c_str());
}

void PrintHold(const Members& hold) {
  std::printf("%s  held since %s by the %s: %s\n", hold.Text("type").c_str(),
              hold.Text("since").c_str(), hold.Text("by").c_str(), hold.Text("reason").c_str());
}

// What is no letter and fits one page; `none` says that there is none.
Status ListOthers(const DlqArguments& arguments, Result<std::string> page,
                  void (*print)(const Members&), const std::string& none) {
  CATCHUP_RETURN_IF_ERROR(page.status());
  CATCHUP_ASSIGN_OR_RETURN(const LetterPart part, SplitPage(*page));
  std::string before = "[";
  for (const std::string& one : part.letters) {
    if (arguments.json) {
      Print(before + one);
      before = ",\n";
    } else {
      print(Members(one));
    }
  }
  if (arguments.json) {
    Print(before == "[" ? "[]\n" : "]\n");
  } else if (part.letters.empty()) {
    std::printf("%s\n", none.c_str());
  }
  return {};
}

void ShowText(const std::string& text, const std::string& group) {
  const Members letter(text);
  const auto line = [](const char* name, const std::string& value) {
    std::printf("%-12s %s\n", name, OrDash(value).c_str());
  };
  const auto member = [&](const char* name, const char* of) { line(name, letter.Text(of)); };
  line("letter", letter.Text("id") + " of group " + group);
  line("stream", letter.Text("stream") + "@" + letter.Text("revision"));
  member("type", "type");
  member("event id", "eventId");
  if (letter.Text("state") == "dropped") {
    line("state", "dropped " + letter.Text("droppedAt") + " by " + letter.Text("by"));
    member("class", "class");
    member("reason", "reason");
    return;
  }
  line("state", letter.Text("state") + " since " + letter.Text("since"));
  member("class", "class");
  member("reason", "reason");
  member("calls", "attempts");
  member("written", "writtenAt");
  member("first failed", "firstFailedAt");
  member("last failed", "lastFailedAt");
  member("next try", "nextTryAt");
  line("plugin", letter.Text("plugin") + " " + letter.Text("pluginVersion"));
  member("sha256", "pluginSha256");
  member("trace", "traceId");
  member("span", "spanId");
  const Json calls = Json::parse(RawMember(text, "calls").value_or("[]"), nullptr, false);
  if (calls.is_array()) {
    for (const Json& each : calls) {
      const std::string one = each.dump();
      const Members call(one);
      std::printf("call         %s  %s  %s\n", call.Text("time").c_str(),
                  OrDash(call.Text("class")).c_str(), call.Text("text").c_str());
    }
  }
  Print("event        " + RawMember(text, "event").value_or("-") + "\n");
}

Status Show(const DlqArguments& arguments, LetterPlace* place) {
  CATCHUP_ASSIGN_OR_RETURN(const Position id, ReadLetterId(arguments.id));
  CATCHUP_ASSIGN_OR_RETURN(std::string letter, place->One(id));
  // The server ends its answers with a line feed.
  while (!letter.empty() && letter.back() == '\n') {
    letter.pop_back();
  }
  if (arguments.json) {
    Print(letter + "\n");
  } else {
    ShowText(letter, arguments.group);
  }
  return {};
}

}  // namespace

int ShowLetters(const DlqArguments& arguments, LetterPlace* place) {
  const Status done = [&]() -> Status {
    if (arguments.verb == "show") {
      return Show(arguments, place);
    }
    if (arguments.verb == "export") {
      return WalkLetters(place, FiltersOf(arguments), LetterView::kEvents, arguments.limit,
                         [](const std::string& event) {
                           Print(event + "\n");
                           return Status();
                         });
    }
    if (arguments.dropped) {
      return ListOthers(arguments, place->Dropped(), PrintDrop,
                        "no letter of group " + arguments.group + " was dropped");
    }
    if (arguments.held) {
      return ListOthers(arguments, place->Held(), PrintHold,
                        "no event type of group " + arguments.group + " is held");
    }
    return arguments.json ? ListJson(arguments, place) : ListTable(arguments, place);
  }();
  return done.ok() ? kExitDone : FailDlq(arguments, done);
}

}  // namespace catchup
