#include "host/source/client/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <map>
#include <string>
#include <tuple>

#include "host/base/mutex.h"

namespace catchup {
namespace {

namespace tls = grpc::experimental;

// The shortest that gRPC knows.
constexpr unsigned kLookEverySeconds = 1;

// One for each set of files in the process: a watcher is a thread.
std::shared_ptr<tls::FileWatcherCertificateProvider> WatcherOf(const TlsOptions& options) {
  using Files = std::tuple<std::string, std::string, std::string>;
  using Watchers = std::map<Files, std::weak_ptr<tls::FileWatcherCertificateProvider>>;
  static Mutex mutex;
  static Watchers& watchers = *new Watchers;
  const Files files{options.key_file.string(), options.certificate_file.string(),
                    options.ca_file.string()};
  const MutexLock lock(&mutex);
  std::erase_if(watchers, [](const auto& entry) { return entry.second.expired(); });
  auto watcher = watchers[files].lock();
  if (watcher == nullptr) {
    watcher = std::make_shared<tls::FileWatcherCertificateProvider>(
        std::get<0>(files), std::get<1>(files), std::get<2>(files), kLookEverySeconds);
    watchers[files] = watcher;
  }
  return watcher;
}

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> MakeChannelCredentials(const ConnectionOptions& options) {
  if (!options.tls.has_value()) {
    return grpc::InsecureChannelCredentials();
  }
  const TlsOptions& files = *options.tls;
  tls::TlsChannelCredentialsOptions how;
  if (!files.ca_file.empty() || !files.certificate_file.empty()) {
    how.set_certificate_provider(WatcherOf(files));
  }
  // Without a CA of its own gRPC takes the system's.
  if (!files.ca_file.empty()) {
    how.watch_root_certs();
  }
  if (!files.certificate_file.empty()) {
    how.watch_identity_key_cert_pairs();
  }
  how.set_verify_server_certs(files.verify_server);
  how.set_check_call_host(files.verify_server);
  if (files.verify_server) {
    how.set_certificate_verifier(std::make_shared<tls::HostNameCertificateVerifier>());
  } else {
    how.set_certificate_verifier(std::make_shared<tls::NoOpCertificateVerifier>());
  }
  return tls::TlsCredentials(how);
}

}  // namespace catchup
