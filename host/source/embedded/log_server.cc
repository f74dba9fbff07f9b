#include "host/source/embedded/log_server.h"

#include <fmt/core.h>
#include <grpcpp/alarm.h>
#include <grpcpp/server_posix.h>

#include <optional>
#include <utility>
#include <vector>

#include "host/base/mutex.h"
#include "host/source/embedded/connections.h"
#include "host/source/embedded/data_directory.h"
#include "host/source/embedded/listener.h"
#include "host/source/embedded/log/event_log.h"
#include "host/source/embedded/wire/grpc_call.h"

namespace catchup::embedded {
namespace {

// Two, so that a long scan for one client does not keep all the others waiting.
constexpr int kWorkers = 2;

// CallWorker refuses with a node's words what is between.
constexpr int kTransportReceiveLimit = 64 << 20;
static_assert(kTransportReceiveLimit > kMaxRequestBytes);

// A node's own limit.
constexpr int kMaxCallsPerConnection = 100;

// For gRPC to notice that its connections are reset. Of one that it has not by then it ends the
// calls, with a status.
constexpr std::chrono::seconds kResetPatience{5};

// Two processes may open one directory at the same moment; one of them then finds the other.
constexpr int kOwnAttempts = 3;

// Where clients are told to connect: a wildcard is no address to connect to.
std::string AdvertisedHost(const std::string& host) {
  if (host == "0.0.0.0") {
    return "127.0.0.1";
  }
  return BracketedHost(host == "::" ? "::1" : host);
}

void Configure(std::chrono::milliseconds keepalive, grpc::ServerBuilder* builder) {
  const auto silence = static_cast<int>(keepalive.count());
  builder->SetMaxReceiveMessageSize(kTransportReceiveLimit);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxCallsPerConnection);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, silence);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, silence);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Clients may ping as often as they like, also while nothing is sent.
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 0);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
}

}  // namespace

class EmbeddedServer::Impl {
 public:
  ~Impl() { Shutdown(); }

  Status Start(const ServerOptions& options) {
    CATCHUP_RETURN_IF_ERROR(CheckListenable(options.listen));
    CATCHUP_ASSIGN_OR_RETURN(DataDirectory directory, DataDirectory::Own(options.directory));
    directory_.emplace(std::move(directory));
    CATCHUP_ASSIGN_OR_RETURN(log_, EventLog::Open(directory_->log_file()));
    writer_ = std::make_unique<LogWriter>(*log_, hub_);
    CATCHUP_RETURN_IF_ERROR(writer_->Start());
    grace_ = options.shutdown_grace;
    core_.reset(new ServerCore{*writer_, hub_, AdvertisedHost(options.listen.host), 0, RandomUuid(),
                               options.max_append_bytes, options.live_frames});
    return Listen(options);
  }

  void Shutdown() {
    if (directory_) {
      directory_->RemoveEndpoint();
    }
    // It goes before the server, which must not be given a connection any more.
    listener_.reset();
    if (server_ != nullptr) {
      EndCalls();
    }
    // The writer's answers go to the workers' threads, so it ends first.
    writer_.reset();
    workers_.clear();
    server_.reset();
    log_.reset();
    directory_.reset();
  }

  Status Seed(const std::string& stream, std::vector<NewEvent> events) {
    Mutex mutex;
    CondVar changed;
    std::optional<Status> status;
    writer_->Submit({LogWriter::Append{stream, ExpectedRevision{}, std::move(events)},
                     [&](const Result<WriteOutcome>& outcome) {
                       const MutexLock lock(&mutex);
                       status = outcome.status();
                       changed.NotifyOne();
                     }});
    const MutexLock lock(&mutex);
    while (!status.has_value()) {
      changed.Wait(&mutex);
    }
    return *status;
  }

  const std::string& address() const { return address_; }
  const std::string& endpoint() const { return endpoint_; }

 private:
  void EndCalls() {
    const auto reset_at = std::chrono::system_clock::now() + grace_;
    reset_alarm_.Set(workers_.front()->queue(), reset_at, &on_reset_);
    server_->Shutdown(reset_at + kResetPatience);
    reset_alarm_.Cancel();
  }
  void OnReset(bool is_due) {
    if (is_due) {
      connections_.Reset();
    }
  }

  Status Listen(const ServerOptions& options) {
    const ListenAddress& address = options.listen;
    CATCHUP_ASSIGN_OR_RETURN(auto listener, Listener::Open(address));
    core_->port = listener->port();
    CATCHUP_RETURN_IF_ERROR(StartServer(options.keepalive));
    for (const auto& worker : workers_) {
      CATCHUP_RETURN_IF_ERROR(worker->Start());
    }
    listener_ = std::move(listener);
    CATCHUP_RETURN_IF_ERROR(listener_->Start([this](UniqueFd connection) {
      connections_.Add(connection.get());
      // The server owns the descriptor from here on, and closes it with the connection.
      grpc::AddInsecureChannelFromFd(server_.get(), connection.Release());
    }));
    address_ = ListenAddress{address.host, core_->port}.text();
    endpoint_ = fmt::format("{}:{}", core_->host, core_->port);
    return directory_->WriteEndpoint(endpoint_);
  }

  // The server has no port of its own: listener.h says why.
  Status StartServer(std::chrono::milliseconds keepalive) {
    grpc::ServerBuilder builder;
    Configure(keepalive, &builder);
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
    return server_ != nullptr ? Status() : Status::Internal("gRPC cannot start a server");
  }

  std::optional<DataDirectory> directory_;
  std::unique_ptr<EventLog> log_;
  LiveHub hub_;
  std::unique_ptr<LogWriter> writer_;
  std::unique_ptr<ServerCore> core_;
  grpc::AsyncGenericService service_;
  std::vector<std::unique_ptr<CallWorker>> workers_;
  std::unique_ptr<grpc::Server> server_;
  Connections connections_;  // The listener's thread adds, and has ended before they are reset.
  std::unique_ptr<Listener> listener_;
  std::chrono::milliseconds grace_{};
  grpc::Alarm reset_alarm_;
  MemberCompletion<Impl, &Impl::OnReset> on_reset_{this};
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
  std::vector<NewEvent> events(1);
  events[0].id = RandomUuid();
  events[0].type = type;
  events[0].data = data;
  events[0].is_json = true;
  return impl_->Seed(stream, std::move(events));
}

// An append of no events is what leaves such a record behind.
Status EmbeddedServer::SeedHidden() { return impl_->Seed("$epoch-information", {}); }

Result<EmbeddedEndpoint> OpenEmbedded(const ServerOptions& options,
                                      std::chrono::milliseconds owner_patience) {
  for (int attempt = 1;; ++attempt) {
    CATCHUP_ASSIGN_OR_RETURN(std::optional<std::string> live,
                             DataDirectory::LiveEndpoint(options.directory, owner_patience));
    if (live.has_value()) {
      return EmbeddedEndpoint{*std::move(live), nullptr};
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
    look.note = fmt::format("event log {} is served at {}", options.directory.string(), **live);
    return look;
  }
  if (live.status().code() == Status::Code::kUnavailable) {
    look.note = live.status().message();
    return look;
  }
  look.log = live.ok() ? DataDirectory::LookAt(options.directory) : live.status();
  look.listen = CheckListenable(options.listen);
  return look;
}

bool LogExists(const std::filesystem::path& directory) { return DataDirectory::HasLog(directory); }

std::optional<std::string> LiveEmbeddedAddress(const std::filesystem::path& directory) {
  auto live = DataDirectory::LiveEndpoint(directory, std::chrono::milliseconds(0));
  return live.ok() ? *std::move(live) : std::nullopt;
}

}  // namespace catchup::embedded
