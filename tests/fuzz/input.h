#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

// The entry of every target here, called by libFuzzer or by replay.cc.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size);

namespace catchup::fuzz {

inline std::string_view AsText(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

// Takes values off the front of an input; zeros and nothing once it is used up.
class Input {
 public:
  Input(const std::uint8_t* bytes, std::size_t size) : rest_(AsText(bytes, size)) {}

  bool empty() const { return rest_.empty(); }

  template <typename Number>
  Number Take() {
    Number number{};
    const std::size_t size = std::min(sizeof number, rest_.size());
    std::memcpy(&number, rest_.data(), size);
    rest_.remove_prefix(size);
    return number;
  }

  // A length of one byte and as many bytes.
  std::string_view TakeText() {
    const std::size_t size = std::min<std::size_t>(Take<std::uint8_t>(), rest_.size());
    const std::string_view text = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return text;
  }

  std::string_view TakeRest() {
    const std::string_view rest = rest_;
    rest_ = {};
    return rest;
  }

 private:
  std::string_view rest_;
};

// Whether `text` fits on one line of a log, as every message must.
inline bool IsOneLine(std::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
}

}  // namespace catchup::fuzz
