#include "host/cli/letter_place.h"

#include <catchup/json_text.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <system_error>
#include <thread>

#include "host/admin/admin_client.h"
#include "host/cli/state_owner.h"
#include "host/daemon/text/hold_text.h"
#include "host/store/checkpoint_store.h"
#include "host/store/letter.h"
#include "host/store/letter_mark.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

std::string_view NameOf(LetterView view) {
  switch (view) {
    case LetterView::kDetails:
      return "details";
    case LetterView::kEvents:
      return "events";
    case LetterView::kList:
      break;
  }
  return "list";
}

// Why the host does not do it.
Status RefusalOf(const HttpResponse& response) {
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  const auto error = json.is_object() ? json.find("error") : json.end();
  if (!json.is_object() || error == json.end() || !error->is_string()) {
    return Status::Internal(StrangeAnswer(response.status));
  }
  const std::string text = error->get<std::string>();
  switch (response.status) {
    case 400:
    case 404:
      return Status::Invalid(text);
    case 409:
      return Status::NotFound(text);
    default:
      return Status::Unavailable(text);
  }
}

// The elements of an array as they stand there.
bool SplitArray(std::string_view array, std::vector<std::string>* out, std::string* fault) {
  JsonCursor cursor(array);
  if (!cursor.Take('[', "an array")) {
    *fault = cursor.fault();
    return false;
  }
  for (cursor.SkipSpace(); !cursor.next_is(']'); cursor.SkipSpace()) {
    const std::size_t begin = cursor.offset();
    (void)cursor.SkipValue();  // The array is well formed.
    out->emplace_back(array.substr(begin, cursor.offset() - begin));
    cursor.SkipSpace();
    if (cursor.next_is(',')) {
      (void)cursor.Take(',', "a comma");
    }
  }
  return true;
}

}  // namespace

LetterPlace::LetterPlace(const ConfigReading& reading, std::string group)
    : reading_(reading),
      group_(std::move(group)),
      directory_(reading.config.has_value() ? reading.config->state.directory
                                            : reading.found.state.directory) {}

std::string LetterPlace::Target(std::string_view rest) const {
  return "/api/groups/" + EncodePercent(group_) + std::string(rest);
}

// kNotFound of the connection, that nobody listens, becomes kCancelled here.
Result<std::string> LetterPlace::Ask(const HttpRequest& request) {
  auto response = AskHost(directory_, request, kAnswerLimit);
  if (!response.ok()) {
    const Status& status = response.status();
    return status.code() == Status::Code::kNotFound && !asked_ ? Status::Cancelled(status.message())
           : status.code() == Status::Code::kNotFound
               ? Status::Unavailable("the host has ended: " + status.message())
               : Status::Unavailable(status.message());
  }
  asked_ = true;
  const bool answered =
      response->status == 200 ||
      (response->status == 409 && RawMember(response->body, "letter").has_value());
  return answered ? Result<std::string>(std::move(response->body)) : RefusalOf(*response);
}

Result<std::string> LetterPlace::Read(std::string_view rest, const Reading& here) {
  const auto until = std::chrono::steady_clock::now() + kHostPatience;
  while (!reader_.has_value()) {
    auto answer = Ask({"GET", Target(rest), "", {}});
    if (answer.ok() || answer.status().code() != Status::Code::kCancelled) {
      return answer;
    }
    const Status opened = OpenFile();
    // Somebody has the file, so there may be a host to ask in a moment.
    if (!opened.ok() &&
        (opened.code() != Status::Code::kInUse || std::chrono::steady_clock::now() >= until)) {
      return opened;
    }
    if (!opened.ok()) {
      std::this_thread::sleep_for(kAskHostAgain);
    }
  }
  return here(&*reader_);
}

// What is listed may not be all there is to know. Where the checkpoint cannot be read, the next
// start says why.
void LetterPlace::WarnOfLostLetters(const GroupConfig& group) {
  const fs::path groups = StateDirectory::GroupsOf(directory_);
  const auto found = CheckpointStore::Inspect(groups, group_, group.filter);
  const auto mark = reader_->Mark();
  if (!found.ok() || !found->record || !mark.ok()) {
    return;
  }
  const Status known =
      CheckKnown(*mark, {found->record->letters, found->record->checkpoint}, group_);
  if (!known.ok()) {
    std::fprintf(stderr, "warning: %s: %s\n", (groups / group_ / "letters.db").c_str(),
                 known.message().c_str());
  }
}

// A group that the configuration does not name any more may still have letters.
Status LetterPlace::OpenFile() {
  if (!reading_.config.has_value()) {
    return Status::Invalid(NoHostOn(directory_) + ", and the configuration is wrong");
  }
  std::vector<std::string> names;
  const GroupConfig* known = nullptr;
  for (const GroupConfig& one : reading_.config->groups) {
    names.push_back(one.name);
    known = one.name == group_ ? &one : known;
  }
  const fs::path folder = StateDirectory::GroupsOf(directory_) / group_;
  std::error_code failed;
  const bool plain = group_.find('/') == std::string::npos && group_.front() != '.';
  if (known == nullptr && !(plain && fs::is_directory(folder, failed))) {
    return Status::Invalid(NoSuchGroup(group_, names));
  }
  auto reader = LetterReader::Open(folder, group_);
  if (reader.ok()) {
    reader_ = *std::move(reader);
    if (known != nullptr) {
      WarnOfLostLetters(*known);
    }
  }
  return reader.status();
}

Result<std::string> LetterPlace::Page(const LetterOptions& options, LetterView view) {
  std::string rest = "/letters?view=" + std::string(NameOf(view));
  for (const auto& [name, text] : options) {
    if (!text.empty()) {
      rest += "&" + name + "=" + EncodePercent(text);
    }
  }
  return Read(rest, [&](LetterReader* reader) -> Result<std::string> {
    CATCHUP_ASSIGN_OR_RETURN(const auto filter, ReadLetterFilter(options));
    return LetterPage(group_, filter, view, reader);
  });
}

Result<std::string> LetterPlace::One(Position id) {
  return Read("/letters/" + FormatPosition(id), [&](LetterReader* reader) -> Result<std::string> {
    CATCHUP_ASSIGN_OR_RETURN(auto letter, OneLetter(group_, id, reader));
    return letter ? Result<std::string>(*std::move(letter))
                  : Status::NotFound(NoLetterText(group_, id));
  });
}

Result<std::string> LetterPlace::Dropped() {
  return Read("/dropped", [&](LetterReader* reader) { return DroppedLetters(group_, reader); });
}

Result<std::string> LetterPlace::Held() {
  return Read("/held", [&](LetterReader* reader) { return HeldTypes(group_, reader); });
}

Result<std::string> LetterPlace::Order(std::string_view path, const std::string& body) {
  const auto until = std::chrono::steady_clock::now() + kHostPatience;
  for (;;) {
    auto answer = Ask({"POST", Target(path), body, {}});
    if (answer.ok() || answer.status().code() != Status::Code::kCancelled) {
      return answer;
    }
    const auto look = StateDirectory::LookAt(directory_);
    note_ = look.ok() ? look->note : std::string();
    if (note_.empty()) {
      return Status::Cancelled(NoHostOn(directory_) +
                               ": start it first, since the group's host does this");
    }
    if (std::chrono::steady_clock::now() >= until) {
      return Status::Unavailable(note_ +
                                 ", which serves no commands: " + answer.status().message());
    }
    std::this_thread::sleep_for(kAskHostAgain);
  }
}

Result<LetterPart> SplitPage(std::string_view page) {
  LetterPart part;
  bool split = true;
  std::string fault;
  const bool walked = VisitJsonMembers(
      page,
      [&](const std::string& name, std::string_view value) {
        if (name == "next" && value.front() == '"') {
          split = JsonCursor(value).ReadString(&part.next.emplace()) && split;
        } else if (name == "count") {
          part.count = value;
        } else if (name == "letters" || name == "dropped" || name == "held") {
          split = SplitArray(value, &part.letters, &fault) && split;
        }
      },
      &fault);
  return walked && split ? Result<LetterPart>(std::move(part))
                         : Status::Invalid(
                               "the host answered what is no page of letters; is it of another "
                               "version? " +
                               fault);
}

std::optional<std::string> RawMember(std::string_view object, std::string_view name) {
  std::optional<std::string> found;
  std::string fault;  // Of the rest, which nobody asks for.
  (void)VisitJsonMembers(
      object,
      [&](const std::string& member, std::string_view value) {
        if (member == name) {
          found = value;
        }
      },
      &fault);
  return found;
}

}  // namespace catchup
