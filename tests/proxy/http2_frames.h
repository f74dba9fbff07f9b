#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace catchup {

// Follows the frames of HTTP/2 (RFC 9113, section 4.1) in the bytes that a server sends: where one
// ends, and which calls are being answered. Of bytes that are no HTTP/2 it says anything at all.
class Http2Frames {
 public:
  // The next bytes, however they are cut.
  void Take(std::string_view bytes);

  // So many bytes at least are left of the frame under way; 0 between two frames.
  std::size_t left() const;
  // The streams that the server has begun to answer and neither side has ended.
  const std::set<std::uint32_t>& answered() const { return answered_; }

  // The frame RST_STREAM.
  static std::string Reset(std::uint32_t stream, std::uint32_t code);

 private:
  void OnHead();

  std::string head_;  // What there is of it.
  std::size_t payload_left_ = 0;
  std::set<std::uint32_t> answered_;
};

}  // namespace catchup
