#include "host/daemon/source/log_address.h"

#include <chrono>
#include <utility>

#include "host/base/log.h"
#include "host/daemon/source/server_connection.h"
#include "host/source/client/kurrent_source.h"
#include "host/source/embedded/log_server.h"

namespace catchup {
namespace {

// The time for another process that is just becoming the owner of a log; the next reconnect asks
// again.
constexpr std::chrono::milliseconds kOwnerPatience{200};

// Between two tries of a cluster that has been gone for many: each is a call to every node.
constexpr std::chrono::seconds kSlowPace{5};

embedded::ServerOptions EmbeddedOptions(const SourceConfig& config) {
  embedded::ServerOptions options;
  options.directory = config.uri.path;
  options.listen = config.embedded_listen;
  return options;
}

}  // namespace

LogAddress::LogAddress(const SourceConfig& config, std::shared_ptr<Credentials> credentials)
    : config_(config),
      credentials_(std::move(credentials)),
      patience_(config.uri.settings.deadline) {}

LogAddress::~LogAddress() = default;

Status LogAddress::Open(int threads, WorkerPool* worker, Reactor* reactor) {
  worker_ = worker;
  if (threads_ == nullptr) {
    CATCHUP_ASSIGN_OR_RETURN(threads_, SourceThreads::Start(threads));
  }
  if (config_.uri.kind != SourceUri::Kind::kEmbedded) {
    if (config_.uri.discover) {
      const NodePreference preference = config_.uri.settings.node_preference;
      discovery_ = std::make_unique<Discovery>(
          AskNodes(config_.uri, preference, credentials_, threads_), reactor);
      if (preference != NodePreference::kLeader) {
        leaders_ = std::make_unique<Discovery>(
            AskNodes(config_.uri, NodePreference::kLeader, credentials_, threads_), reactor);
      }
    }
    const MutexLock lock(&mutex_);
    address_ = config_.uri.targets();
    return {};
  }
  auto endpoint = embedded::OpenEmbedded(EmbeddedOptions(config_));
  if (endpoint.ok()) {
    const MutexLock lock(&mutex_);
    server_ = std::move(endpoint->server);
    address_ = endpoint->address;
  }
  return endpoint.status();
}

std::string LogAddress::Now() {
  if (discovery_ != nullptr) {
    if (auto node = discovery_->known()) {
      return *std::move(node);
    }
  }
  const MutexLock lock(&mutex_);
  if (config_.uri.kind == SourceUri::Kind::kEmbedded && server_ == nullptr) {
    if (auto live = embedded::LiveEmbeddedAddress(config_.uri.path)) {
      address_ = *std::move(live);
    } else if (!owning_ && !closing_) {
      owning_ = true;
      worker_->Post([this] { Own(); });
    }
  }
  return address_;
}

Prober::Pace LogAddress::probe_pace() const {
  Prober::Pace pace;
  if (config_.uri.discover) {
    const ConnectionSettings& settings = config_.uri.settings;
    pace.quick = {settings.discovery_interval, 2 * settings.discovery_interval};
    pace.slow = {kSlowPace, 2 * kSlowPace};
    pace.quick_for = std::chrono::nanoseconds::max();
    pace.quick_tries = settings.max_discover_attempts;
  }
  return pace;
}

Result<std::string> LogAddress::ToWrite(const std::string& lost) {
  Discovery* const discovery = leaders_ != nullptr ? leaders_.get() : discovery_.get();
  if (discovery == nullptr) {
    return Now();
  }
  if (!lost.empty()) {
    discovery->Lost(lost);
  }
  if (auto node = discovery->known()) {
    return *std::move(node);
  }
  discovery->Find([](const Answer<std::string>&) {});
  return Status::Unavailable("a node of " + config_.uri.targets() + " is being looked for");
}

// On the worker: opening a log takes as long as its disk.
void LogAddress::Own() {
  if (closing_) {
    return;
  }
  auto endpoint = embedded::OpenEmbedded(EmbeddedOptions(config_), kOwnerPatience);
  const MutexLock lock(&mutex_);
  owning_ = false;
  if (!endpoint.ok()) {
    Log(LogLevel::kWarn, "Embedded log not opened", "Host.OwnEmbeddedLog", "",
        {{"reason", endpoint.status().message()}});
    return;
  }
  address_ = endpoint->address;
  server_ = std::move(endpoint->server);
  if (server_ != nullptr) {
    Log(LogLevel::kInfo, "Embedded log opened: its owner has ended", "Host.OwnEmbeddedLog", "",
        {{"source", address_}});
  }
}

Result<std::unique_ptr<Source>> LogAddress::Connect(const std::string& address,
                                                    const std::string& name) const {
  return ConnectWithin(patience_.Of(address), address, name);
}

Result<std::unique_ptr<Source>> LogAddress::ConnectWithin(std::chrono::milliseconds limit,
                                                          const std::string& address,
                                                          const std::string& name) const {
  ConnectionOptions options = ServerConnection(config_.uri.settings, address, name, credentials_);
  options.connect_timeout = limit;
  return OpenKurrentSource(options, threads_);
}

bool LogAddress::may_lag() const {
  return config_.uri.settings.node_preference != NodePreference::kLeader;
}

Result<std::unique_ptr<Source>> LogAddress::ConnectToLeader(const std::string& address,
                                                            const std::string& name) const {
  ConnectionOptions options = ServerConnection(config_.uri.settings, address, name, credentials_);
  options.requires_leader = true;
  options.connect_timeout = patience_.Of(address);
  return OpenKurrentSource(options, threads_);
}

void LogAddress::Close() {
  discovery_.reset();
  leaders_.reset();
  threads_.reset();
  const MutexLock lock(&mutex_);
  server_.reset();
}

}  // namespace catchup
