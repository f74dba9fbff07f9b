#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "host/admin/admin_client.h"
#include "host/base/shell_word.h"
#include "host/cli/commands.h"
#include "host/cli/last_good_order.h"
#include "host/cli/printable.h"
#include "host/cli/state_owner.h"
#include "host/config/reader.h"
#include "host/daemon/orders/group_orders.h"
#include "host/daemon/text/hold_text.h"
#include "host/store/state_directory.h"

namespace catchup {
namespace {

using Json = nlohmann::json;

std::string NameOf(ControlArguments::Command command) {
  switch (command) {
    case ControlArguments::Command::kStop:
      return "stop";
    case ControlArguments::Command::kStart:
      return "start";
    case ControlArguments::Command::kReset:
      break;
  }
  return "reset";
}

std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// One command, by way of the host that runs, or on what is stored where none does.
class Control {
 public:
  explicit Control(const ControlArguments& arguments)
      : arguments_(arguments), reading_(ReadConfigFile(arguments.config)) {}

  int Run();

 private:
  HttpRequest Request() const;
  int Fail(const std::string& text, int exit = kExitFailed, bool say_json = true) const;
  int Show(const HttpResponse& response) const;
  int WrongConfiguration() const;
  std::optional<int> WithoutHost();
  int Order(const StateDirectory& state, const GroupConfig& group) const;

  const ControlArguments& arguments_;
  const ConfigReading reading_;
  std::filesystem::path directory_;
  Status in_the_way_;  // Of what is stored.
};

HttpRequest Control::Request() const {
  HttpRequest request;
  request.method = "POST";
  request.target =
      "/api/groups/" + EncodePercent(arguments_.group) + "/" + NameOf(arguments_.command);
  if (arguments_.command == ControlArguments::Command::kStart) {
    request.body =
        Dump({{"acceptFilter", arguments_.accept_filter}, {"takeOver", arguments_.take_over}});
  }
  if (arguments_.command == ControlArguments::Command::kReset) {
    request.body = Dump({{"to", arguments_.to}});
  }
  return request;
}

int Control::Fail(const std::string& text, int exit, bool say_json) const {
  std::fprintf(stderr, "catchup %s: %s\n", NameOf(arguments_.command).c_str(),
               Printable(text).c_str());
  if (arguments_.json && say_json) {
    std::printf("%s\n", Dump({{"error", text}}).c_str());
  }
  return exit;
}

int Control::WrongConfiguration() const {
  for (const std::string& problem : reading_.problems) {
    std::fprintf(stderr, "%s\n", problem.c_str());
  }
  return kExitConfiguration;
}

// A host's answer as a person, or a program, wants it.
int Control::Show(const HttpResponse& response) const {
  const Json json = Json::parse(response.body, nullptr, false);
  if (!json.is_object()) {
    return Fail(StrangeAnswer(response.status));
  }
  const auto text = [&](const char* name) {
    const auto at = json.find(name);
    return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  if (arguments_.json) {
    std::printf("%s\n", Dump(json).c_str());
  }
  if (response.status != 200) {
    return Fail(text("error"), response.status == 404 ? kExitUsage : kExitFailed, false);
  }
  if (!arguments_.json) {
    const std::string state = text("state");
    const bool speaks = arguments_.command == ControlArguments::Command::kStart &&
                        state != "stopped" && !text("reason").empty();
    const std::string line = text("group") + ": " + state + (speaks ? ": " + text("reason") : "") +
                             (text("note").empty() ? "" : "; " + text("note"));
    std::printf("%s\n", Printable(line).c_str());
  }
  return kExitDone;
}

int Control::Run() {
  if (arguments_.command == ControlArguments::Command::kReset) {
    if (const auto target = ParseResetTarget(arguments_.to); !target.ok()) {
      return Fail("--to: " + target.status().message(), kExitUsage);
    }
  }
  // Where a host runs, a configuration that somebody is just editing will do.
  directory_ = reading_.config.has_value() ? reading_.config->state.directory
                                           : reading_.found.state.directory;
  if (directory_.empty()) {
    return WrongConfiguration();
  }
  const auto until = std::chrono::steady_clock::now() + kHostPatience;
  while (true) {
    const auto response = AskHost(directory_, Request(), kAnswerLimit);
    if (response.ok()) {
      return Show(*response);
    }
    if (response.status().code() != Status::Code::kNotFound) {
      return Fail(response.status().message());
    }
    if (const auto exit = WithoutHost()) {
      return *exit;
    }
    if (std::chrono::steady_clock::now() >= until) {
      return Fail(in_the_way_.message() +
                  ", which serves no commands: " + response.status().message());
    }
    std::this_thread::sleep_for(kAskHostAgain);
  }
}

// Returns nothing where somebody has the state directory, so that there may be a host to ask in a
// moment.
std::optional<int> Control::WithoutHost() {
  if (!reading_.config.has_value()) {
    return WrongConfiguration();
  }
  std::vector<std::string> names;
  const GroupConfig* found = nullptr;
  for (const GroupConfig& group : reading_.config->groups) {
    names.push_back(group.name);
    found = group.name == arguments_.group ? &group : found;
  }
  if (found == nullptr) {
    return Fail(NoSuchGroup(arguments_.group, names), kExitUsage);
  }
  if (const Status owner = CheckStateOwner(
          directory_, NameOf(arguments_.command) + " " + ShellWord(arguments_.group));
      !owner.ok()) {
    return Fail(owner.message());
  }
  if (arguments_.command == ControlArguments::Command::kStop) {
    const auto look = StateDirectory::LookAt(directory_);
    if (look.ok() && !look->note.empty()) {
      in_the_way_ = Status::InUse(look->note);
      return std::nullopt;
    }
    return Fail(NoHostOn(directory_) + ", so there is nothing to stop");
  }
  auto state = StateDirectory::Open(directory_);
  if (state.status().code() == Status::Code::kInUse) {
    in_the_way_ = state.status();
    return std::nullopt;
  }
  return state.ok() ? Order(*state, *found) : Fail(state.status().message());
}

int Control::Order(const StateDirectory& state, const GroupConfig& group) const {
  const std::string by = AskedHere();
  const auto done = [&]() -> Result<OrderNote> {
    if (arguments_.command == ControlArguments::Command::kStart) {
      return OrderStart(state.groups(), group, {arguments_.accept_filter, arguments_.take_over},
                        by);
    }
    CATCHUP_ASSIGN_OR_RETURN(const auto target, ParseResetTarget(arguments_.to));
    return target.kind == ResetTarget::Kind::kLastGood
               ? ResetToLastGood(*reading_.config, state.groups(), group, by)
               : OrderReset(state.groups(), group, PlaceOf(target), by);
  }();
  if (!done.ok()) {
    return Fail(done.status().message());
  }
  if (arguments_.json) {
    Json json = {{"group", group.name}, {"stored", true}};
    if (!done->empty()) {
      json["note"] = *done;
    }
    std::printf("%s\n", Dump(json).c_str());
  } else {
    std::printf("%s: stored for the next run%s%s\n", group.name.c_str(), done->empty() ? "" : "; ",
                Printable(*done).c_str());
  }
  return kExitDone;
}

}  // namespace

int ControlCommand(const ControlArguments& arguments) { return Control(arguments).Run(); }

}  // namespace catchup
