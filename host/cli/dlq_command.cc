#include <cstdio>

#include "host/cli/dlq.h"
#include "host/cli/printable.h"
#include "host/config/reader.h"

namespace catchup {

int FailDlq(const DlqArguments& arguments, const Status& status) {
  std::fprintf(stderr, "catchup dlq %s: %s\n", arguments.verb.c_str(),
               Printable(status.message()).c_str());
  return status.code() == Status::Code::kInvalid ? kExitUsage : kExitFailed;
}

LetterOptions FiltersOf(const DlqArguments& arguments) {
  return {{"state", arguments.state},   {"class", arguments.letter_class},
          {"stream", arguments.stream}, {"type", arguments.type},
          {"older", arguments.older},   {"newer", arguments.newer}};
}

Status WalkLetters(LetterPlace* place, LetterOptions options, LetterView view, std::uint64_t limit,
                   const std::function<Status(const std::string& letter)>& see,
                   std::string* count) {
  for (std::uint64_t seen = 0;;) {
    if (limit != 0) {
      options["limit"] = std::to_string(limit - seen);
    }
    CATCHUP_ASSIGN_OR_RETURN(const std::string page, place->Page(options, view));
    CATCHUP_ASSIGN_OR_RETURN(const LetterPart part, SplitPage(page));
    if (count != nullptr && part.count) {
      *count = *part.count;
    }
    for (const std::string& letter : part.letters) {
      CATCHUP_RETURN_IF_ERROR(see(letter));
    }
    seen += part.letters.size();
    if (!part.next || (limit != 0 && seen >= limit)) {
      return {};
    }
    options["after"] = *part.next;
  }
}

int DlqCommand(const DlqArguments& arguments) {
  const ConfigReading reading = ReadConfigFile(arguments.config);
  // For a host that runs, a configuration that somebody is at work with does.
  const bool knows_state = reading.config || !reading.found.state.directory.empty();
  if (!reading.config) {
    for (const std::string& problem : reading.problems) {
      std::fprintf(stderr, "%s\n", problem.c_str());
    }
  }
  if (!knows_state) {
    return kExitConfiguration;
  }
  // Before anybody is asked.
  if (const auto filter = ReadLetterFilter(FiltersOf(arguments)); !filter.ok()) {
    return FailDlq(arguments, Status::Invalid("--" + filter.status().message()));
  }
  if (!arguments.id.empty()) {
    if (const auto id = ReadLetterId(arguments.id); !id.ok()) {
      return FailDlq(arguments, id.status());
    }
  }
  LetterPlace place(reading, arguments.group);
  const bool shows =
      arguments.verb == "list" || arguments.verb == "show" || arguments.verb == "export";
  return shows ? ShowLetters(arguments, &place) : ChangeLetters(arguments, reading, &place);
}

}  // namespace catchup
