#include "host/admin/admin_server.h"

#include <fcntl.h>
#include <fmt/core.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/system/system_error.hpp>
#include <list>
#include <optional>
#include <thread>
#include <utility>

#include "host/admin/admin_socket.h"
#include "host/admin/limits.h"
#include "host/base/build.h"
#include "host/base/log.h"
#include "host/base/mutex.h"
#include "host/base/shortage.h"

namespace catchup {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Local = net::local::stream_protocol;
using boost::system::error_code;

// How often is looked whether the socket's name is still there, or tried to make one.
constexpr std::chrono::seconds kLookEvery{2};

// The pause before the next connection is taken, where the system had no descriptor for the last
// one.
constexpr std::chrono::milliseconds kAcceptPause{200};

// The way back to the server's thread for answers that come from others, even after its end.
class Mailbox {
 public:
  explicit Mailbox(net::io_context* context) : context_(context) {}

  template <typename Task>
  void Post(Task task) {
    const MutexLock lock(&mutex_);
    if (context_ != nullptr) {
      net::post(*context_, std::move(task));
    }
  }
  void Close() {
    const MutexLock lock(&mutex_);
    context_ = nullptr;
  }

 private:
  Mutex mutex_;
  net::io_context* context_ CATCHUP_GUARDED_BY(mutex_);
};

// What is wrong with a request that could not be read; no answer for one that never came.
std::optional<HttpResponse> AnswerTo(const error_code& error) {
  if (error == http::error::body_limit) {
    return ErrorResponse(
        413, fmt::format("the request is too long, wanted at most {} bytes", kMaxRequestBytes));
  }
  if (error == http::error::header_limit) {
    return ErrorResponse(431,
                         fmt::format("the head of the request is too long, wanted at most {} bytes",
                                     kMaxRequestHeadBytes));
  }
  // What the parser says; all else is the connection's, a timeout too: it closes it.
  if (error.category() == make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return ErrorResponse(
        400, fmt::format("found no HTTP/1.1 request ({}), wanted one", error.message()));
  }
  return std::nullopt;
}

// One connection: a request, an answer, the end. On the server's thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Local::socket socket, std::shared_ptr<Mailbox> mailbox)
      : stream_(std::move(socket)), mailbox_(std::move(mailbox)), buffer_(kMaxRequestBytes) {}

  // `ended` is called once.
  void Serve(const Router* router, gid_t group, std::function<void()> ended) {
    router_ = router;
    group_ = group;
    ended_ = std::move(ended);
    parser_.header_limit(kMaxRequestHeadBytes);
    parser_.body_limit(kMaxRequestBytes - kMaxRequestHeadBytes);
    stream_.expires_after(kRequestLimit);
    http::async_read(
        stream_, buffer_, parser_,
        [self = shared_from_this()](const error_code& error, std::size_t) { self->OnRead(error); });
  }

  bool reading() const { return reading_; }

  void Close() {
    if (ended_ != nullptr) {
      error_code ignored;
      stream_.socket().close(ignored);
      std::exchange(ended_, nullptr)();
    }
  }

 private:
  void OnRead(const error_code& error) {
    reading_ = false;
    if (ended_ == nullptr) {
      return;
    }
    if (error) {
      if (auto answer = AnswerTo(error)) {
        Answer(std::move(*answer));
      } else {
        Close();
      }
      return;
    }
    // No deadline of ours from here on: whoever answers has one.
    stream_.expires_never();
    const auto peer = PeerOf(stream_.socket().native_handle());
    const Status allowed = peer.ok() ? CheckPeer(*peer, group_) : peer.status();
    if (!allowed.ok()) {
      Answer(ErrorResponse(403, allowed.message()));
      return;
    }
    const auto& message = parser_.get();
    request_ = {std::string(message.method_string()), std::string(message.target()), message.body(),
                *peer};
    router_->Route(request_, [weak = weak_from_this(), mailbox = mailbox_](HttpResponse response) {
      mailbox->Post([weak, response = std::move(response)]() mutable {
        if (const auto self = weak.lock()) {
          self->Answer(std::move(response));
        }
      });
    });
  }

  void Answer(HttpResponse response) {
    if (ended_ == nullptr || std::exchange(answered_, true)) {
      return;
    }
    response_.version(11);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::server, "catchup/" + std::string(BuildVersion()));
    response_.set(http::field::content_type, "application/json");
    response_.set(http::field::cache_control, "no-store");
    if (!response.allow.empty()) {
      response_.set(http::field::allow, response.allow);
    }
    response_.body() = std::move(response.body) + "\n";
    response_.keep_alive(false);
    response_.prepare_payload();
    stream_.expires_after(kRequestLimit);
    http::async_write(
        stream_, response_,
        [self = shared_from_this()](const error_code&, std::size_t) { self->Close(); });
  }

  beast::basic_stream<Local> stream_;
  const std::shared_ptr<Mailbox> mailbox_;
  beast::flat_buffer buffer_;
  http::request_parser<http::string_body> parser_;
  HttpRequest request_;
  http::response<http::string_body> response_;
  const Router* router_ = nullptr;
  gid_t group_ = 0;
  std::function<void()> ended_;
  bool reading_ = true;
  bool answered_ = false;
};

}  // namespace

class AdminServer::Impl {
 public:
  Impl(std::filesystem::path directory, Router router)
      : directory_(std::move(directory)),
        router_(std::move(router)),
        mailbox_(std::make_shared<Mailbox>(&context_)),
        acceptor_(context_),
        look_timer_(context_),
        accept_timer_(context_) {}

  Status Start();
  ~Impl();
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

 private:
  void Look();
  void Listen();
  void Accept();
  void OnAccepted(const error_code& error, Local::socket socket);
  void Take(Local::socket socket);
  bool MakeRoom();

  const std::filesystem::path directory_;
  const Router router_;
  net::io_context context_{1};
  const std::shared_ptr<Mailbox> mailbox_;

  // Touched on the server's thread alone.
  std::optional<AdminSocket> socket_;
  Local::acceptor acceptor_;
  net::steady_timer look_timer_;
  net::steady_timer accept_timer_;
  std::list<std::shared_ptr<Connection>> connections_;  // The oldest first.
  std::string told_;                                    // Why there is no socket.

  std::thread thread_;
};

Status AdminServer::Impl::Start() {
  net::post(context_, [this] { Look(); });
  CATCHUP_ASSIGN_OR_RETURN(thread_, StartThread([this] { context_.run(); }));
  return {};
}

AdminServer::Impl::~Impl() {
  mailbox_->Close();
  if (thread_.joinable()) {
    net::post(context_, [this] {
      error_code ignored;
      acceptor_.close(ignored);
      look_timer_.cancel();
      accept_timer_.cancel();
      while (!connections_.empty()) {
        // An answer that is on its way is a line, and lies with the kernel already.
        const std::shared_ptr<Connection> first = connections_.front();
        first->Close();
      }
      context_.stop();
    });
    thread_.join();
  }
}

void AdminServer::Impl::Look() {
  if (!socket_.has_value() || !socket_->StillThere()) {
    Listen();
  }
  look_timer_.expires_after(kLookEvery);
  look_timer_.async_wait([this](const error_code& error) {
    if (!error) {
      Look();
    }
  });
}

void AdminServer::Impl::Listen() {
  const bool lost = socket_.has_value();
  auto socket = AdminSocket::Listen(directory_);
  if (!socket.ok()) {
    if (told_ != socket.status().message()) {
      told_ = socket.status().message();
      Log(LogLevel::kWarn, "Control socket not served", "AdminServer.Listen", "",
          {{"reason", told_}});
    }
    return;
  }
  error_code ignored;
  acceptor_.close(ignored);
  socket_ = std::move(*socket);
  error_code error;
  // The acceptor closes what it is given.
  const int fd = ::fcntl(socket_->fd(), F_DUPFD_CLOEXEC, 0);
  acceptor_.assign(Local(), fd, error);
  if (fd < 0 || error) {
    socket_.reset();
    return;
  }
  Log(lost || !told_.empty() ? LogLevel::kWarn : LogLevel::kDebug,
      lost ? "Control socket made again: it was removed" : "Control socket served",
      "AdminServer.Listen", "", {{"directory", directory_.string()}});
  told_.clear();
  Accept();
}

void AdminServer::Impl::Accept() {
  acceptor_.async_accept([this](const error_code& error, Local::socket socket) {
    OnAccepted(error, std::move(socket));
  });
}

void AdminServer::Impl::OnAccepted(const error_code& error, Local::socket socket) {
  if (error == net::error::operation_aborted) {
    return;
  }
  if (!error) {
    Take(std::move(socket));
    Accept();
    return;
  }
  // Out of descriptors or memory: the connection stays with the kernel.
  accept_timer_.expires_after(kAcceptPause);
  accept_timer_.async_wait([this](const error_code& cancelled) {
    if (!cancelled && acceptor_.is_open()) {
      Accept();
    }
  });
}

void AdminServer::Impl::Take(Local::socket socket) {
  if (!MakeRoom()) {
    return;  // Closed: as many commands are under way as there may be.
  }
  const auto connection = std::make_shared<Connection>(std::move(socket), mailbox_);
  const auto at = connections_.insert(connections_.end(), connection);
  connection->Serve(&router_, socket_->group(), [this, at] { connections_.erase(at); });
}

// Whoever has had the most time to send a request goes first; one that waits for its answer stays.
bool AdminServer::Impl::MakeRoom() {
  if (connections_.size() < kMaxConnections) {
    return true;
  }
  for (const auto& connection : connections_) {
    if (connection->reading()) {
      const auto slowest = connection;
      slowest->Close();
      return true;
    }
  }
  return false;
}

AdminServer::AdminServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdminServer::~AdminServer() = default;

Result<std::unique_ptr<AdminServer>> AdminServer::Start(std::filesystem::path directory,
                                                        Router router) {
  try {
    auto impl = std::make_unique<Impl>(std::move(directory), std::move(router));
    CATCHUP_RETURN_IF_ERROR(impl->Start());
    return std::unique_ptr<AdminServer>(new AdminServer(std::move(impl)));
  } catch (const boost::system::system_error& error) {
    // Its event loop needs descriptors.
    return Status::Exhausted(std::string("no event loop for the control socket: ") + error.what());
  }
}

}  // namespace catchup
