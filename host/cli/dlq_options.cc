#include "host/cli/dlq_options.h"

#include <string>
#include <vector>

#include "host/base/number.h"
#include "host/store/letter.h"

namespace catchup {
namespace {

CLI::App* AddVerb(CLI::App* dlq, DlqArguments* arguments, const std::string& name,
                  const std::string& description) {
  CLI::App* verb = dlq->add_subcommand(name, description);
  verb->add_option("GROUP", arguments->group, "The group")->required();
  verb->add_option("--config", arguments->config, "The configuration, in TOML")
      ->envname("CATCHUP_CONFIG")
      ->default_str("catchup.toml");
  verb->callback([arguments, name] { arguments->verb = name; });
  return verb;
}

std::string CheckLimit(const std::string& text) {
  return ParseNumber<std::uint64_t>(text).value_or(0) != 0 ? "" : "wanted a number from 1";
}

// All but --stream and --limit.
std::vector<CLI::Option*> AddKinds(CLI::App* verb, DlqArguments* arguments) {
  return {verb->add_option("--state", arguments->state, "healing, dead or follower"),
          verb->add_option("--class", arguments->letter_class, StoredClassNames()),
          verb->add_option("--type", arguments->type, "Those of this event type"),
          verb->add_option("--older", arguments->older,
                           "Those that were written longer ago: an integer and ms, s, m or h"),
          verb->add_option("--newer", arguments->newer, "Those that were written since")};
}

void AddFilters(CLI::App* verb, DlqArguments* arguments) {
  (void)AddKinds(verb, arguments);
  verb->add_option("--stream", arguments->stream, "Those of this stream");
  verb->add_option("--limit", arguments->limit, "The first so many")->check(CheckLimit);
}

CLI::Option* AddId(CLI::App* verb, DlqArguments* arguments) {
  return verb->add_option("ID", arguments->id, "The letter: COMMIT:PREPARE, as list shows it");
}

CLI::Option* AddReason(CLI::App* verb, DlqArguments* arguments) {
  return verb->add_option("--reason", arguments->reason, "Why; kept and logged")->required();
}

// They change something, so they are for the host that runs the group.
void AddChanges(CLI::App* dlq, DlqArguments* arguments) {
  CLI::App* retry =
      AddVerb(dlq, arguments, "retry", "Calls the plugin with a letter again, through its host");
  CLI::Option* id = AddId(retry, arguments);
  CLI::Option* stream = retry->add_option("--stream", arguments->stream, "All of this stream");
  CLI::Option* all = retry->add_flag("--all", arguments->all, "All of the group");
  id->excludes(stream)->excludes(all);
  stream->excludes(all);
  for (CLI::Option* filter : AddKinds(retry, arguments)) {
    filter->excludes(id);
  }
  retry
      ->add_option("--timeout", arguments->patience,
                   "For how long it waits for one letter's call: an integer and ms, s, m or h")
      ->capture_default_str();
  retry->add_flag("--json", arguments->json, "One JSON array");
  retry->footer(
      "In the order of the log; in a stream it stops at the first that fails. Exit 1 if one fails, "
      "is refused or is not tried.");

  CLI::App* drop = AddVerb(dlq, arguments, "drop", "Removes a letter for good, through its host");
  AddId(drop, arguments)->required();
  AddReason(drop, arguments);
  drop->add_flag("--json", arguments->json, "One JSON object");

  CLI::App* park = AddVerb(dlq, arguments, "park",
                           "Makes a letter of the event that the group waits for, or of every "
                           "event of a type, through its host");
  CLI::Option* event = park->add_option("--event", arguments->id, "The event: COMMIT:PREPARE");
  park->add_option("--type", arguments->type, "The event type")->excludes(event);
  AddReason(park, arguments);
  park->add_flag("--json", arguments->json, "One JSON object");

  CLI::App* unpark =
      AddVerb(dlq, arguments, "unpark", "Calls events of a parked type again, through its host");
  unpark->add_option("--type", arguments->type, "The event type")->required();
  unpark->add_flag("--json", arguments->json, "One JSON object");
}

}  // namespace

void AddDlq(CLI::App* app, DlqArguments* arguments) {
  arguments->config = "catchup.toml";
  CLI::App* dlq = app->add_subcommand("dlq", "Shows a group's dead letters, and decides on them");
  dlq->require_subcommand(1);

  CLI::App* list = AddVerb(dlq, arguments, "list", "Lists the letters in the order of the log");
  AddFilters(list, arguments);
  list->add_flag("--json", arguments->json, "One JSON array");
  CLI::Option* dropped =
      list->add_flag("--dropped", arguments->dropped, "The last ones that were dropped, and why");
  list->add_flag("--held", arguments->held,
                 "The event types whose events become letters without a call, and why")
      ->excludes(dropped);
  list->footer("Asks the host that runs; where none does, reads the file and changes nothing.");

  CLI::App* show = AddVerb(dlq, arguments, "show", "Shows one letter: its event, and each call");
  AddId(show, arguments)->required();
  show->add_flag("--json", arguments->json, "One JSON object");

  CLI::App* exporting =
      AddVerb(dlq, arguments, "export", "Writes the letters' events, one JSON object a line");
  AddFilters(exporting, arguments);
  exporting->footer("`catchup try` and `catchup append` read these lines.");

  AddChanges(dlq, arguments);
}

}  // namespace catchup
