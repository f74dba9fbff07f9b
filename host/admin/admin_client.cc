#include "host/admin/admin_client.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <string>
#include <utility>

#include "host/admin/admin_socket.h"
#include "host/admin/limits.h"
#include "host/base/time_text.h"

namespace catchup {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Local = net::local::stream_protocol;
using boost::system::error_code;

// One exchange, on the thread that runs the context.
class Exchange {
 public:
  Exchange(net::io_context* context, UniqueFd fd) : stream_(*context) {
    stream_.socket().assign(Local(), fd.Release());
  }

  void Begin(const HttpRequest& request, std::chrono::milliseconds limit) {
    request_.version(11);
    request_.method_string(request.method);
    request_.target(request.target);
    // HTTP wants one; it names no host here.
    request_.set(http::field::host, "catchup");
    request_.body() = request.body;
    request_.prepare_payload();
    parser_.body_limit(kMaxResponseBytes);
    stream_.expires_after(limit);
    http::async_write(stream_, request_, [this](const error_code&, std::size_t) {
      // A server that refuses has answered before it has read everything.
      http::async_read(stream_, buffer_, parser_,
                       [this](const error_code& error, std::size_t) { error_ = error; });
    });
  }

  const error_code& error() const { return error_; }
  HttpResponse TakeResponse() {
    auto message = parser_.release();
    return {static_cast<int>(message.result_int()), std::move(message.body()), {}};
  }

 private:
  beast::basic_stream<Local> stream_;
  http::request<http::string_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
  error_code error_;
};

}  // namespace

Result<HttpResponse> AskHost(const std::filesystem::path& directory, const HttpRequest& request,
                             std::chrono::milliseconds limit) {
  CATCHUP_ASSIGN_OR_RETURN(auto fd, ConnectToAdminSocket(directory));
  net::io_context context{1};
  Exchange exchange(&context, std::move(fd));
  exchange.Begin(request, limit);
  context.run();
  if (exchange.error() == beast::error::timeout) {
    return Status::Exhausted("the host did not answer within " + FormatDuration(limit));
  }
  if (exchange.error()) {
    return Status::Cancelled("the host ended before it answered (" + exchange.error().message() +
                             ")");
  }
  return exchange.TakeResponse();
}

}  // namespace catchup
