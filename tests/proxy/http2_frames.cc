#include "tests/proxy/http2_frames.h"

#include <algorithm>

namespace catchup {
namespace {

constexpr std::size_t kHeadBytes = 9;

// Types and a flag (section 6).
constexpr std::uint32_t kData = 0;
constexpr std::uint32_t kHeaders = 1;
constexpr std::uint32_t kResetStream = 3;
constexpr std::uint32_t kEndStream = 1;

// Big-endian, as all numbers there.
std::uint32_t Number(std::string_view bytes) {
  std::uint32_t number = 0;
  for (const char byte : bytes) {
    number = number << 8 | static_cast<unsigned char>(byte);
  }
  return number;
}

void AddNumber(std::uint32_t number, std::string* bytes) {
  for (const unsigned shift : {24u, 16u, 8u, 0u}) {
    bytes->push_back(static_cast<char>(number >> shift & 0xff));
  }
}

}  // namespace

void Http2Frames::Take(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), left() == 0 ? kHeadBytes : left());
    if (payload_left_ > 0) {
      payload_left_ -= count;
    } else {
      head_.append(bytes.substr(0, count));
      if (head_.size() == kHeadBytes) {
        OnHead();
        head_.clear();
      }
    }
    bytes.remove_prefix(count);
  }
}

std::size_t Http2Frames::left() const {
  return head_.empty() ? payload_left_ : kHeadBytes - head_.size();
}

void Http2Frames::OnHead() {
  const std::string_view head = head_;
  payload_left_ = Number(head.substr(0, 3));
  const std::uint32_t type = Number(head.substr(3, 1));
  const bool ends = (Number(head.substr(4, 1)) & kEndStream) != 0;
  const std::uint32_t stream = Number(head.substr(5)) & 0x7fffffff;
  if (type == kResetStream || ((type == kData || type == kHeaders) && ends)) {
    answered_.erase(stream);
  } else if (type == kHeaders) {
    answered_.insert(stream);
  }
}

std::string Http2Frames::Reset(std::uint32_t stream, std::uint32_t code) {
  std::string frame = {0, 0, 4, static_cast<char>(kResetStream), 0};
  AddNumber(stream, &frame);
  AddNumber(code, &frame);
  return frame;
}

}  // namespace catchup
