#include "host/cli/last_good_order.h"

#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "host/cli/source_files.h"
#include "host/daemon/last_good.h"
#include "host/daemon/log_address.h"
#include "host/daemon/reactor.h"
#include "host/daemon/worker_pool.h"

namespace catchup {
namespace {

// For finding a server, and again for all questions to it.
constexpr std::chrono::seconds kAskLimit{15};

constexpr char kNotAsked[] = "--to last-good: the log could not be asked: ";

// A connection to the server of a configuration, with what it takes to have one.
class Server {
 public:
  Server(const SourceConfig& source, std::shared_ptr<Credentials> credentials)
      : log_(source, std::move(credentials)) {}
  ~Server() {
    source_.reset();
    if (reactor_ != nullptr) {
      reactor_->Stop();
    }
    log_.Closing();
    log_.Close();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  Status Open(const std::string& name) {
    CATCHUP_ASSIGN_OR_RETURN(reactor_, Reactor::Create());
    CATCHUP_RETURN_IF_ERROR(log_.Open(1, &worker_, reactor_.get()));
    CATCHUP_ASSIGN_OR_RETURN(const std::string address, FindAddress());
    CATCHUP_ASSIGN_OR_RETURN(source_, log_.Connect(address, name));
    return {};
  }

  Result<std::optional<Witness>> AskFor(const std::vector<Witness>& handled) {
    // Shared: this function may return while the other thread is still inside set_value.
    const auto good = std::make_shared<std::promise<LastGood>>();
    auto answer = good->get_future();
    FindLastGood(source_.get(), handled, [good](const auto& found) { good->set_value(found); });
    if (answer.wait_for(kAskLimit) != std::future_status::ready) {
      source_->Shutdown();
    }
    const LastGood found = answer.get();
    return found.ok() ? Result<std::optional<Witness>>(*found)
                      : Status::Unavailable(kNotAsked + found.end().text);
  }

 private:
  Result<std::string> FindAddress() {
    if (log_.discovery() == nullptr) {
      return log_.Now();
    }
    const auto node = std::make_shared<std::promise<Answer<std::string>>>();
    auto answer = node->get_future();
    log_.discovery()->Find([node](const auto& found) { node->set_value(found); });
    if (answer.wait_for(kAskLimit) != std::future_status::ready) {
      return Status::Unavailable(kNotAsked + std::string("no node of the cluster was found"));
    }
    const Answer<std::string> found = answer.get();
    return found.ok() ? Result<std::string>(*found)
                      : Status::Unavailable(kNotAsked + found.end().text);
  }

  WorkerPool worker_;
  std::unique_ptr<Reactor> reactor_;
  LogAddress log_;
  std::unique_ptr<Source> source_;
};

}  // namespace

Result<OrderNote> ResetToLastGood(const HostConfig& config, const std::filesystem::path& groups,
                                  const GroupConfig& group, const std::string& by) {
  CATCHUP_ASSIGN_OR_RETURN(const auto handled, HandledEvents(groups, group));
  CATCHUP_ASSIGN_OR_RETURN(auto credentials, OpenSourceFiles(config.source, config.file));
  Server server(config.source, std::move(credentials));
  CATCHUP_RETURN_IF_ERROR(server.Open(group.name));
  CATCHUP_ASSIGN_OR_RETURN(const auto good, server.AskFor(handled));
  return OrderResetToLastGood(groups, group, handled, good, by);
}

}  // namespace catchup
