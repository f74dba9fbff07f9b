#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>

namespace catchup {

// One piece of StrCat: text, or an integer in decimal digits. Borrows the text, so it lives no
// longer than the expression that it stands in.
class TextPiece {
 public:
  explicit TextPiece(std::string_view text) : text_(text) {}
  template <std::integral T>
  requires(!std::same_as<T, bool> && !std::same_as<T, char>) explicit TextPiece(T number) {
    char* const begin = digits_.data();
    text_ = {begin, std::to_chars(begin, begin + digits_.size(), number).ptr};
  }
  TextPiece(const TextPiece&) = delete;
  TextPiece& operator=(const TextPiece&) = delete;

  std::string_view text() const { return text_; }

 private:
  std::array<char, 20> digits_{};  // As many as 2^64 - 1 has, or -2^63 with its sign.
  std::string_view text_;
};

std::string JoinPieces(std::initializer_list<TextPiece> pieces);

// The arguments one after another: `StrCat("signal ", number, ": wanted ", name)`. This is for
// base, ring and runner, as the runner may link no shared library; the folders above use
// <fmt/core.h>. A character is written as a text of one, and a truth value in words, by the caller.
template <typename... Args>
std::string StrCat(const Args&... args) {
  return JoinPieces({TextPiece(args)...});
}

}  // namespace catchup
