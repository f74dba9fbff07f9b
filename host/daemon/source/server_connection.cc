#include "host/daemon/source/server_connection.h"

#include <utility>

#include "host/base/random.h"
#include "host/base/str_cat.h"
#include "host/daemon/source/connect_patience.h"

namespace catchup {

ConnectionOptions ServerConnection(const ConnectionSettings& settings, std::string address,
                                   std::string_view purpose,
                                   const std::shared_ptr<Credentials>& credentials) {
  ConnectionOptions options;
  options.address = std::move(address);
  options.connection_name =
      StrCat(settings.connection_name.empty() ? "catchup" : settings.connection_name, "-", purpose);
  if (settings.tls) {
    options.tls = TlsOptions{settings.verify_certificate, settings.ca_file,
                             settings.certificate_file, settings.key_file};
  }
  if (credentials != nullptr) {
    options.authorization = [credentials] { return credentials->Authorization(); };
    options.credentials_origin = credentials->origin();
  }
  options.requires_leader = settings.node_preference == NodePreference::kLeader;
  options.keepalive_time = settings.keepalive_interval;
  options.keepalive_timeout = settings.keepalive_timeout;
  options.deadline = settings.deadline;
  options.connect_timeout = settings.deadline;
  return options;
}

Discovery::Services AskNodes(const SourceUri& uri, NodePreference preference,
                             const std::shared_ptr<Credentials>& credentials,
                             const std::shared_ptr<SourceThreads>& threads) {
  Discovery::Services services;
  for (const ServerAddress& server : uri.servers) {
    services.seeds.push_back(server.target());
  }
  services.preference = preference;
  services.attempts = uri.settings.max_discover_attempts;
  services.interval = uri.settings.discovery_interval;
  const auto patience = std::make_shared<ConnectPatience>(uri.settings.gossip_timeout);
  services.ask = [settings = uri.settings, credentials, threads, patience](
                     const std::string& address,
                     std::function<void(const Discovery::Members&)> answer) {
    ConnectionOptions options = ServerConnection(settings, address, "gossip", credentials);
    options.deadline = settings.gossip_timeout;
    options.connect_timeout = patience->Of(address);
    return std::make_shared<GossipQuestion>(
        options, threads,
        [patience, address, answer = std::move(answer)](const Discovery::Members& members) {
          if (!members.ok() && !members.end().answered) {
            patience->Alternate(address);
          }
          answer(members);
        });
  };
  services.random = RandomNumber;
  return services;
}

}  // namespace catchup
