// The bytes below catchup/json_text.hpp: UTF-8, runs of plain characters, open brackets. Part of
// that header; only Utf8SequenceSize is for others.
#ifndef CATCHUP_JSON_BYTES_HPP_
#define CATCHUP_JSON_BYTES_HPP_

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace catchup {

// How many bytes the well-formed UTF-8 sequence at the start of `text` has, or 0 if it starts with
// none.
inline std::size_t Utf8SequenceSize(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto in = [&](std::size_t i, unsigned low, unsigned high) {
    return byte(i) >= low && byte(i) <= high;
  };
  const unsigned first = byte(0);
  if (text.empty()) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return in(1, 0x80, 0xBF) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    // The bounds of the second byte keep out overlong forms and surrogates.
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const unsigned low = first == 0xF0 ? 0x90 : 0x80;
    const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
    return in(1, low, high) && in(2, 0x80, 0xBF) && in(3, 0x80, 0xBF) ? 4 : 0;
  }
  return 0;
}

namespace json_text_internal {

// Bytes that stand for themselves inside a JSON string and are one character each.
inline constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t i = 0x20; i < 0x80; ++i) plain[i] = i != '"' && i != '\\';
  return plain;
}();

// How many bytes at the start of `text` are plain. Eight at a time, as payloads are mostly this.
inline std::size_t PlainPrefix(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x8080808080808080;
  // The classic test for a zero byte. It may also flag a byte above a true hit, which only sends
  // that word through the exact loop below.
  const auto has_zero = [](std::uint64_t word) { return (word - kOnes) & ~word & kHigh; };
  std::size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    const std::uint64_t below_space = (word - kOnes * 0x20) & ~word & kHigh;
    if (((word & kHigh) | below_space | has_zero(word ^ (kOnes * '"')) |
         has_zero(word ^ (kOnes * '\\'))) != 0) {
      break;
    }
  }
  while (i < text.size() && kPlain[static_cast<unsigned char>(text[i])]) ++i;
  return i;
}

// The kinds of the open brackets, innermost on top: true for an object.
class BracketStack {
 public:
  bool empty() const { return depth_ == 0; }
  bool top_is_object() const { return (word_ & 1) != 0; }

  void Push(bool object) {
    if (depth_ != 0 && depth_ % 64 == 0) spilled_.push_back(word_);
    word_ = (word_ << 1) | (object ? 1u : 0u);
    ++depth_;
  }

  void Pop() {
    word_ >>= 1;
    --depth_;
    if (depth_ != 0 && depth_ % 64 == 0) {
      word_ = spilled_.back();
      spilled_.pop_back();
    }
  }

 private:
  std::uint64_t word_ = 0;  // The innermost levels, the last one in bit 0.
  std::size_t depth_ = 0;
  std::vector<std::uint64_t> spilled_;  // Full words of outer levels.
};

inline void AppendUtf8(std::string* out, std::uint32_t code) {
  const auto put = [&](std::uint32_t byte) { out->push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

}  // namespace json_text_internal

}  // namespace catchup

#endif  // CATCHUP_JSON_BYTES_HPP_
