#include "host/cli/last_good_order.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "host/cli/await_answer.h"
#include "host/cli/find_node.h"
#include "host/cli/source_files.h"
#include "host/daemon/source/last_good.h"
#include "host/daemon/source/server_connection.h"
#include "host/source/client/kurrent_source.h"

namespace catchup {
namespace {

// For all questions to the server.
constexpr std::chrono::seconds kAskLimit{15};

Status NotAsked(const Status& why) {
  return {why.code(), "--to last-good: the log could not be asked: " + why.message()};
}

// To ask whether a log has an event must not make one.
Status CheckLogExists(const SourceUri& uri) {
  if (uri.kind != SourceUri::Kind::kEmbedded || embedded::LogExists(uri.path)) {
    return {};
  }
  return Status::Invalid("there is no event log in " + uri.path.string() +
                         "; wanted the one that the group has read, or `source.uri` to name it");
}

Result<LastGood> Ask(const SourceUri& uri, const std::shared_ptr<Credentials>& credentials,
                     const std::string& name, const std::vector<Witness>& witnesses,
                     SignalInbox* signals) {
  CATCHUP_RETURN_IF_ERROR(CheckLogExists(uri));
  CATCHUP_ASSIGN_OR_RETURN(const LogTarget target, OpenTarget(uri, credentials, signals));
  CATCHUP_ASSIGN_OR_RETURN(const std::shared_ptr<SourceThreads> threads, SourceThreads::Start(1));
  ConnectionOptions options = ServerConnection(uri.settings, target.address, name, credentials);
  options.requires_leader = options.requires_leader || uri.discover;
  CATCHUP_ASSIGN_OR_RETURN(const auto source, OpenKurrentSource(options, threads));
  CATCHUP_ASSIGN_OR_RETURN(const LastGoodAnswer good,
                           AwaitAnswer<LastGoodAnswer>(
                               [&](std::function<void(const LastGoodAnswer&)> answer) {
                                 FindLastGood(source.get(), witnesses, std::move(answer));
                               },
                               kAskLimit, signals));
  return good.ok() ? Result<LastGood>(*good) : Status::Unavailable(good.end().text);
}

}  // namespace

Result<OrderNote> ResetToLastGood(const HostConfig& config, const std::filesystem::path& groups,
                                  const GroupConfig& group, const std::string& by) {
  CATCHUP_ASSIGN_OR_RETURN(const auto witnesses, WitnessesOf(groups, group));
  CATCHUP_ASSIGN_OR_RETURN(auto signals, SignalInbox::OpenForCommand());  // Before any thread.
  CATCHUP_ASSIGN_OR_RETURN(const auto credentials, OpenSourceFiles(config.source, config.file));
  const auto good = Ask(config.source.uri, credentials, group.name, witnesses, &signals);
  return good.ok() ? OrderResetToLastGood(groups, group, witnesses, *good, by)
                   : Result<OrderNote>(NotAsked(good.status()));
}

}  // namespace catchup
