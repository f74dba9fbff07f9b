#include "host/source/embedded/log_server.h"

#include <netdb.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "host/source/embedded/data_directory.h"
#include "host/source/embedded/event_log.h"
#include "host/source/embedded/grpc_call.h"

namespace catchup::embedded {
namespace {

// Two, so that a long scan for one client does not keep all the others waiting.
constexpr int kWorkers = 2;

// Above kMaxRequestBytes of grpc_call.cc, which refuses with a node's words what is between.
constexpr int kTransportReceiveLimit = 64 << 20;

// A node's own keepalive and its limit of calls on one connection.
constexpr int kKeepaliveMs = 10'000;
constexpr int kMaxCallsPerConnection = 100;

// For calls that are about to end anyway when the server stops.
constexpr std::chrono::milliseconds kShutdownGrace{50};

// Two processes may open one directory at the same moment; one of them then finds the other.
constexpr int kOwnAttempts = 3;

struct Address {
  std::string host;
  std::uint16_t port = 0;
};

Result<Address> ParseAddress(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  Address address;
  if (colon != std::string::npos && colon > 0) {
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, address.port);
    if (error == std::errc() && stop == end && colon + 1 < text.size()) {
      address.host = text.substr(0, colon);
      return address;
    }
  }
  return Status::Invalid("listen address '" + text + "': want HOST:PORT");
}

// Where clients are told to connect: a wildcard is no address to connect to.
std::string AdvertisedHost(const std::string& host) {
  if (host == "0.0.0.0") {
    return "127.0.0.1";
  }
  return host == "[::]" ? "[::1]" : host;
}

// Tries the address before gRPC does, which would only say in its own log why it failed.
Status CheckListenable(const std::string& listen, const Address& address) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  std::string host = address.host;
  if (host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  addrinfo* found = nullptr;
  const int error =
      ::getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
  if (error != 0) {
    return Status::Invalid("listen address '" + listen + "': " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owned(found, ::freeaddrinfo);
  const UniqueFd socket(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (!socket.valid() ||
      ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      ::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    const int number = errno;
    return Status::Unavailable(Status::FromErrno("listen on " + listen, number).message());
  }
  return {};
}

void Configure(grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kTransportReceiveLimit);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Clients may ping as often as they like, also while nothing is sent.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
  // Two servers on one port would each get half of the calls.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

}  // namespace

class EmbeddedServer::Impl {
 public:
  ~Impl() { Shutdown(); }

  Status Start(const ServerOptions& options) {
    Result<Address> address = ParseAddress(options.listen);
    if (!address.ok()) {
      return address.status();
    }
    CATCHUP_RETURN_IF_ERROR(CheckListenable(options.listen, *address));
    Result<DataDirectory> directory = DataDirectory::Own(options.directory);
    if (!directory.ok()) {
      return directory.status();
    }
    directory_.emplace(*std::move(directory));
    Result<std::unique_ptr<EventLog>> log = EventLog::Open(directory_->log_file());
    if (!log.ok()) {
      return log.status();
    }
    log_ = *std::move(log);
    writer_ = std::make_unique<LogWriter>(*log_, hub_);
    CATCHUP_RETURN_IF_ERROR(writer_->Start());
    core_.reset(new ServerCore{*writer_, hub_, AdvertisedHost(address->host), 0, RandomUuid(),
                               options.max_append_bytes, options.live_frames});
    return Listen(options.listen, address->host);
  }

  void Shutdown() {
    if (directory_) {
      directory_->RemoveEndpoint();
    }
    if (server_ != nullptr) {
      server_->Shutdown(std::chrono::system_clock::now() + kShutdownGrace);
    }
    // The writer's answers go to the workers' threads, so it ends first.
    writer_.reset();
    workers_.clear();
    server_.reset();
    log_.reset();
    directory_.reset();
  }

  Status Seed(const std::string& stream, NewEvent event) {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Status> status;
    std::vector<NewEvent> events;
    events.push_back(std::move(event));
    writer_->Submit({LogWriter::Append{stream, ExpectedRevision{}, std::move(events)},
                     [&](const Result<WriteOutcome>& outcome) {
                       const std::lock_guard lock(mutex);
                       status = outcome.status();
                       changed.notify_one();
                     }});
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return status.has_value(); });
    return *status;
  }

  const std::string& address() const { return address_; }
  const std::string& endpoint() const { return endpoint_; }

 private:
  Status Listen(const std::string& listen, const std::string& host) {
    grpc::ServerBuilder builder;
    Configure(&builder);
    int port = 0;
    builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
    builder.RegisterAsyncGenericService(&service_);
    for (int i = 0; i < kWorkers; ++i) {
      Result<LogReader> reader = LogReader::Open(directory_->log_file());
      std::unique_ptr<grpc::ServerCompletionQueue> queue = builder.AddCompletionQueue();
      if (!reader.ok()) {
        queue->Shutdown();
        return reader.status();
      }
      workers_.push_back(
          std::make_unique<CallWorker>(service_, std::move(queue), *std::move(reader), *core_));
    }
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port == 0) {
      return Status::Unavailable("listen on " + listen + ": the address is in use or not ours");
    }
    core_->port = static_cast<std::uint16_t>(port);
    address_ = host + ":" + std::to_string(port);
    for (const auto& worker : workers_) {
      CATCHUP_RETURN_IF_ERROR(worker->Start());
    }
    endpoint_ = AdvertisedHost(host) + ":" + std::to_string(port);
    return directory_->WriteEndpoint(endpoint_);
  }

  std::optional<DataDirectory> directory_;
  std::unique_ptr<EventLog> log_;
  LiveHub hub_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<ServerCore> core_;
  grpc::AsyncGenericService service_;
  std::vector<std::unique_ptr<CallWorker>> workers_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::string endpoint_;
};

EmbeddedServer::EmbeddedServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

EmbeddedServer::~EmbeddedServer() = default;

Result<std::unique_ptr<EmbeddedServer>> EmbeddedServer::Start(const ServerOptions& options) {
  auto impl = std::make_unique<Impl>();
  CATCHUP_RETURN_IF_ERROR(impl->Start(options));
  return std::unique_ptr<EmbeddedServer>(new EmbeddedServer(std::move(impl)));
}

const std::string& EmbeddedServer::address() const { return impl_->address(); }
const std::string& EmbeddedServer::endpoint() const { return impl_->endpoint(); }

void EmbeddedServer::Shutdown() { impl_->Shutdown(); }

Status EmbeddedServer::Seed(const std::string& stream, const std::string& type,
                            const std::string& data) {
  NewEvent event;
  event.id = RandomUuid();
  event.type = type;
  event.data = data;
  event.is_json = true;
  return impl_->Seed(stream, std::move(event));
}

Result<EmbeddedEndpoint> OpenEmbedded(const ServerOptions& options,
                                      std::chrono::milliseconds owner_patience) {
  for (int attempt = 1;; ++attempt) {
    Result<std::optional<std::string>> live =
        DataDirectory::LiveEndpoint(options.directory, owner_patience);
    if (!live.ok()) {
      return live.status();
    }
    if (live->has_value()) {
      return EmbeddedEndpoint{**std::move(live), nullptr};
    }
    Result<std::unique_ptr<EmbeddedServer>> server = EmbeddedServer::Start(options);
    if (server.ok()) {
      std::string address = (*server)->endpoint();
      return EmbeddedEndpoint{std::move(address), *std::move(server)};
    }
    if (server.status().code() != Status::Code::kInUse || attempt == kOwnAttempts) {
      return server.status();
    }
  }
}

EmbeddedLook LookAtEmbedded(const ServerOptions& options) {
  EmbeddedLook look;
  const auto live = DataDirectory::LiveEndpoint(options.directory, std::chrono::milliseconds(0));
  if (live.ok() && live->has_value()) {
    look.note = "event log " + options.directory.string() + " is served at " + **live;
    return look;
  }
  if (live.status().code() == Status::Code::kUnavailable) {
    look.note = live.status().message();
    return look;
  }
  look.log = live.ok() ? DataDirectory::LookAt(options.directory) : live.status();
  const Result<Address> address = ParseAddress(options.listen);
  look.listen = address.ok() ? CheckListenable(options.listen, *address) : address.status();
  return look;
}

std::optional<std::string> LiveEmbeddedAddress(const std::filesystem::path& directory) {
  auto live = DataDirectory::LiveEndpoint(directory, std::chrono::milliseconds(0));
  return live.ok() ? *std::move(live) : std::nullopt;
}

}  // namespace catchup::embedded
