#include "host/daemon/log_address.h"

#include <chrono>
#include <utility>

#include "host/base/log.h"
#include "host/daemon/server_connection.h"
#include "host/source/client/kurrent_source.h"
#include "host/source/embedded/log_server.h"

namespace catchup {
namespace {

// The time for another process that is just becoming the owner of a log; the next reconnect asks
// again.
constexpr std::chrono::milliseconds kOwnerPatience{200};

embedded::ServerOptions EmbeddedOptions(const SourceConfig& config) {
  embedded::ServerOptions options;
  options.directory = config.uri.path;
  options.listen = config.embedded_listen;
  return options;
}

}  // namespace

LogAddress::LogAddress(const SourceConfig& config, std::shared_ptr<Credentials> credentials)
    : config_(config), credentials_(std::move(credentials)) {}

LogAddress::~LogAddress() = default;

Status LogAddress::Open(int threads, WorkerPool* worker) {
  worker_ = worker;
  if (threads_ == nullptr) {
    CATCHUP_ASSIGN_OR_RETURN(threads_, SourceThreads::Start(threads));
  }
  if (config_.uri.kind != SourceUri::Kind::kEmbedded) {
    const MutexLock lock(&mutex_);
    address_ = config_.uri.target();
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
  return OpenKurrentSource(ServerConnection(config_.uri.settings, address, name, credentials_),
                           threads_);
}

void LogAddress::Close() {
  threads_.reset();
  const MutexLock lock(&mutex_);
  server_.reset();
}

}  // namespace catchup
