#include "tests/source/client/raw_server.h"

#include <sys/socket.h>

namespace catchup {
namespace {

// Frame types and flags of HTTP/2 (RFC 9113, section 6).
constexpr char kData = 0;
constexpr char kHeaders = 1;
constexpr char kSettings = 4;
constexpr char kPing = 6;
constexpr char kEndStream = 1;
constexpr char kAck = 1;
constexpr char kEndHeaders = 4;

constexpr std::size_t kPrefaceBytes = 24;
constexpr std::size_t kFrameHeadBytes = 9;

void SendAll(int fd, const std::string& bytes) {
  std::size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) {
      return;
    }
    sent += static_cast<std::size_t>(n);
  }
}

bool ReceiveAll(int fd, std::size_t size, std::string* bytes) {
  bytes->resize(size);
  std::size_t got = 0;
  while (got < size) {
    const ssize_t n = ::recv(fd, bytes->data() + got, size - got, 0);
    if (n <= 0) {
      return false;
    }
    got += static_cast<std::size_t>(n);
  }
  return true;
}

// All frames here are shorter than 64 KiB, and the only stream is the client's first, number 1.
std::string Frame(char type, char flags, char stream, const std::string& payload) {
  std::string frame;
  frame.push_back(0);
  frame.push_back(static_cast<char>(payload.size() >> 8));
  frame.push_back(static_cast<char>(payload.size()));
  frame.push_back(type);
  frame.push_back(flags);
  frame.append(3, '\0');
  frame.push_back(stream);
  return frame + payload;
}

// ":status: 200" from the static table, then "content-type: application/grpc" with the name from it
// (RFC 7541, appendix A: entries 8 and 31).
std::string ResponseHeaders() {
  const std::string value = "application/grpc";
  std::string block = "\x88\x0f\x10";
  block.push_back(static_cast<char>(value.size()));
  return block + value;
}

// ":status: 500", entry 14.
constexpr char kInternalServerError[] = "\x8e";

}  // namespace

DeafListener::DeafListener() : listener_(test::ListenOnLoopback()) {}

RawServer::RawServer(Script script)
    : script_(std::move(script)), listener_(test::ListenOnLoopback()) {
  thread_ = std::thread([this] { Serve(); });
}

RawServer::RawServer() : RawServer(nullptr) {}

RawServer::~RawServer() {
  // Wakes an accept that nobody came for.
  ::shutdown(listener_.get(), SHUT_RDWR);
  thread_.join();
}

void RawServer::Serve() {
  const UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!peer.valid()) {
    return;
  }
  const int fd = peer.get();
  SendAll(fd, Frame(kSettings, 0, 0, ""));
  if (!AwaitRequest(fd)) {
    return;
  }
  Answer answer;
  answer.send = [fd](const std::string& body) { SendAll(fd, Frame(kData, 0, 1, body)); };
  answer.peer_gone = [fd] {
    for (std::string byte; ReceiveAll(fd, 1, &byte);) {
    }
  };
  if (script_ == nullptr) {
    SendAll(fd, Frame(kHeaders, kEndHeaders | kEndStream, 1, kInternalServerError));
    answer.peer_gone();
    return;
  }
  SendAll(fd, Frame(kHeaders, kEndHeaders, 1, ResponseHeaders()));
  script_(answer);
}

bool RawServer::AwaitRequest(int fd) {
  std::string head;
  std::string payload;
  if (!ReceiveAll(fd, kPrefaceBytes, &head)) {
    return false;
  }
  while (ReceiveAll(fd, kFrameHeadBytes, &head)) {
    const auto byte = [&head](std::size_t i) { return static_cast<unsigned char>(head[i]); };
    const std::size_t size =
        static_cast<std::size_t>(byte(0)) << 16 | static_cast<std::size_t>(byte(1)) << 8 | byte(2);
    if (!ReceiveAll(fd, size, &payload)) {
      return false;
    }
    const char type = head[3];
    const char flags = head[4];
    if (type == kSettings && (flags & kAck) == 0) {
      SendAll(fd, Frame(kSettings, kAck, 0, ""));
    } else if (type == kPing && (flags & kAck) == 0) {
      SendAll(fd, Frame(kPing, kAck, 0, payload));
    } else if (type == kData && (flags & kEndStream) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace catchup
