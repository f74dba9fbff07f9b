// JSON text as bytes: whether it is exactly one JSON value, where that ends, what a string says.
//
// For code that must pass JSON on without changing a byte of it, and so cannot go through a parser
// that builds values and writes them anew. The grammar is RFC 8259 to the letter: no comments, no
// trailing commas, no NaN, no byte order mark; the text must be UTF-8, so overlong forms,
// surrogates and values above U+10FFFF are refused. An escape such as \ud800 is grammar, and
// accepted where bytes are only passed over; it is refused where the string's text is wanted.
//
// Nesting has no limit of its own: the cursor does not recurse and keeps one bit a level.
//
// Needs the standard library only. Nothing here has state beyond its arguments, so any thread may
// call it. The only exception it lets out is std::bad_alloc.
#ifndef CATCHUP_JSON_TEXT_HPP_
#define CATCHUP_JSON_TEXT_HPP_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "catchup/json_bytes.hpp"

namespace catchup {

// A place in JSON text that moves forward over what it recognises.
//
// Borrows the text. Every function that can fail returns false, leaves the cursor where the trouble
// is, and fault() then says where that is, what stands there and what was wanted. After a failure
// only fault() may be called.
class JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) : text_(text) {}

  std::size_t offset() const { return at_; }
  bool at_end() const { return at_ == text_.size(); }

  // Whether the next byte is `c`.
  bool next_is(char c) const { return at_ < text_.size() && text_[at_] == c; }

  // Goes past blanks, tabs and line breaks.
  void SkipSpace() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  // Goes past `c`. `wanted` is for the fault and must outlive the cursor, as in the functions
  // below.
  bool Take(char c, const char* wanted) {
    if (!next_is(c)) return Fail(wanted);
    ++at_;
    return true;
  }

  // Fails unless nothing is left.
  bool RequireEnd(const char* wanted) { return at_end() || Fail(wanted); }

  // Goes past one value of any kind, which starts right here.
  bool SkipValue() {
    json_text_internal::BracketStack open;
    if (!EnterValue(&open)) return false;
    while (!open.empty()) {
      if (!Continue(&open)) return false;
    }
    return true;
  }

  // Goes past one string, which starts right here.
  bool SkipString() {
    if (!Take('"', "a string")) return false;
    for (;;) {
      at_ += json_text_internal::PlainPrefix(text_.substr(at_));
      if (next_is('"')) {
        ++at_;
        return true;
      }
      if (!next_is('\\')) {
        if (!SkipWide()) return false;
      } else if (std::uint32_t unused; !TakeEscape(&unused)) {
        return false;
      }
    }
  }

  // Goes past one string, which starts right here, and puts its text into *out in UTF-8.
  bool ReadString(std::string* out) {
    out->clear();
    if (!Take('"', "a string")) return false;
    for (;;) {
      const std::size_t plain = json_text_internal::PlainPrefix(text_.substr(at_));
      out->append(text_, at_, plain);
      at_ += plain;
      if (next_is('"')) {
        ++at_;
        return true;
      }
      if (next_is('\\')) {
        if (!ReadEscape(out)) return false;
        continue;
      }
      const std::size_t start = at_;
      if (!SkipWide()) return false;
      out->append(text_, start, at_ - start);
    }
  }

  // "column 7: found 'x', wanted a string". Columns count bytes from 1.
  std::string fault() const { return FaultAt(at_, FoundHere(), wanted_); }

  // The text of the same form for trouble that only the caller can see.
  static std::string FaultAt(std::size_t offset, std::string_view found, std::string_view wanted) {
    std::string text = "column " + std::to_string(offset + 1) + ": found ";
    text.append(found).append(", wanted ").append(wanted);
    return text;
  }

 private:
  bool Fail(const char* wanted) {
    wanted_ = wanted;
    return false;
  }

  // Goes past a scalar or an empty bracket, or into an open one: then the cursor is before its
  // first value.
  bool EnterValue(json_text_internal::BracketStack* open) {
    for (;;) {
      if (next_is('[')) {
        ++at_;
        SkipSpace();
        if (next_is(']')) {
          ++at_;
          return true;
        }
        open->Push(false);
      } else if (next_is('{')) {
        ++at_;
        SkipSpace();
        if (next_is('}')) {
          ++at_;
          return true;
        }
        open->Push(true);
        if (!SkipName()) return false;
      } else {
        return SkipScalar();
      }
    }
  }

  // After a value inside the innermost bracket, goes past its end, or past the next value.
  bool Continue(json_text_internal::BracketStack* open) {
    SkipSpace();
    const bool object = open->top_is_object();
    if (next_is(object ? '}' : ']')) {
      ++at_;
      open->Pop();
      return true;
    }
    if (!Take(',', object ? "',' or '}'" : "',' or ']'")) return false;
    SkipSpace();
    if (object && !SkipName()) return false;
    return EnterValue(open);
  }

  bool SkipName() {
    if (!next_is('"')) return Fail("the name of a member in quotes");
    if (!SkipString()) return false;
    SkipSpace();
    if (!Take(':', "':' after the name of a member")) return false;
    SkipSpace();
    return true;
  }

  bool SkipScalar() {
    if (at_end()) return Fail("a JSON value");
    switch (text_[at_]) {
      case '"':
        return SkipString();
      case 't':
        return SkipWord("true");
      case 'f':
        return SkipWord("false");
      case 'n':
        return SkipWord("null");
      default:
        return SkipNumber();
    }
  }

  bool SkipWord(std::string_view word) {
    if (text_.substr(at_, word.size()) != word) return Fail("a JSON value");
    at_ += word.size();
    return true;
  }

  bool next_is_digit() const {
    return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9';
  }

  bool SkipDigits(const char* wanted) {
    if (!next_is_digit()) return Fail(wanted);
    while (next_is_digit()) ++at_;
    return true;
  }

  bool SkipNumber() {
    const bool negative = next_is('-');
    if (negative) ++at_;
    if (next_is('0')) {
      ++at_;
    } else if (!SkipDigits(negative ? "a digit after '-'" : "a JSON value")) {
      return false;
    }
    if (next_is('.')) {
      ++at_;
      if (!SkipDigits("a digit after '.'")) return false;
    }
    if (next_is('e') || next_is('E')) {
      ++at_;
      if (next_is('+') || next_is('-')) ++at_;
      if (!SkipDigits("a digit of the exponent")) return false;
    }
    return true;
  }

  // Goes past one character above U+007F inside a string.
  bool SkipWide() {
    if (at_end()) return Fail("'\"' at the end of the string");
    if (static_cast<unsigned char>(text_[at_]) < 0x20) return Fail("an escaped control character");
    const std::size_t size = Utf8SequenceSize(text_.substr(at_));
    if (size == 0) return Fail("UTF-8");
    at_ += size;
    return true;
  }

  // Goes past one escape; *code is the UTF-16 unit it stands for.
  bool TakeEscape(std::uint32_t* code) {
    static constexpr std::string_view kNames = "\"\\/bfnrt";
    static constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    ++at_;
    if (next_is('u')) {
      ++at_;
      return TakeHex(code);
    }
    const std::size_t which = at_end() ? std::string_view::npos : kNames.find(text_[at_]);
    if (which == std::string_view::npos) return Fail("one of \"\\/bfnrtu after '\\'");
    *code = static_cast<unsigned char>(kMeanings[which]);
    ++at_;
    return true;
  }

  bool TakeHex(std::uint32_t* code) {
    *code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      static constexpr std::string_view kDigits = "0123456789abcdef0123456789ABCDEF";
      const std::size_t which = at_end() ? std::string_view::npos : kDigits.find(text_[at_]);
      if (which == std::string_view::npos) return Fail("four hexadecimal digits after '\\u'");
      *code = *code * 16 + static_cast<std::uint32_t>(which % 16);
    }
    return true;
  }

  bool ReadEscape(std::string* out) {
    const std::size_t start = at_;
    std::uint32_t code = 0;
    if (!TakeEscape(&code)) return false;
    if (code >= 0xD800 && code <= 0xDBFF && text_.substr(at_, 2) == "\\u") {
      std::uint32_t low = 0;
      if (!TakeEscape(&low)) return false;
      if (low >= 0xDC00 && low <= 0xDFFF) code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    if (code >= 0xD800 && code <= 0xDFFF) {
      at_ = start;
      return Fail("a pair of surrogates");
    }
    json_text_internal::AppendUtf8(out, code);
    return true;
  }

  std::string FoundHere() const {
    if (at_end()) return "the end";
    const auto byte = static_cast<unsigned char>(text_[at_]);
    if (byte >= 0x20 && byte < 0x7F) return std::string("'") + text_[at_] + "'";
    static constexpr char kHex[] = "0123456789ABCDEF";
    return std::string("byte 0x") + kHex[byte >> 4] + kHex[byte & 15];
  }

  std::string_view text_;
  std::size_t at_ = 0;
  const char* wanted_ = "";
};

// Whether the bytes are exactly one JSON value, with nothing before or after it and no line break
// inside: they can stand in a line of a file and be found there unchanged.
inline bool IsJsonOnOneLine(std::string_view bytes) {
  JsonCursor cursor(bytes);
  if (!cursor.SkipValue() || !cursor.at_end()) return false;
  return bytes.find('\n') == std::string_view::npos && bytes.find('\r') == std::string_view::npos;
}

// Walks the members of the JSON object that `text` is, with blanks around it or not, and calls
// visit(name, value) for each in order: `name` decoded, `value` the source text of the value. False
// if the text is not one JSON object; *fault then says where and why, and some members may have
// been visited. A name that comes twice is visited twice.
template <typename Visit>
bool VisitJsonMembers(std::string_view text, Visit&& visit, std::string* fault) {
  JsonCursor cursor(text);
  std::string name;
  const auto walk = [&] {
    cursor.SkipSpace();
    if (!cursor.Take('{', "an object")) return false;
    cursor.SkipSpace();
    for (bool first = true; !cursor.next_is('}'); first = false) {
      if (!first && !cursor.Take(',', "',' or '}'")) return false;
      cursor.SkipSpace();
      if (!cursor.ReadString(&name)) return false;
      cursor.SkipSpace();
      if (!cursor.Take(':', "':' after the name of a member")) return false;
      cursor.SkipSpace();
      const std::size_t start = cursor.offset();
      if (!cursor.SkipValue()) return false;
      visit(static_cast<const std::string&>(name), text.substr(start, cursor.offset() - start));
      cursor.SkipSpace();
    }
    if (!cursor.Take('}', "'}'")) return false;
    cursor.SkipSpace();
    return cursor.RequireEnd("the end after the object");
  };
  if (walk()) return true;
  *fault = cursor.fault();
  return false;
}

// Appends `text` in quotes. Total: whatever the bytes are, the result is a JSON string. A byte that
// is not part of well-formed UTF-8 becomes U+FFFD, the only loss.
inline void AppendJsonString(std::string* out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out->push_back('"');
  while (!text.empty()) {
    const std::size_t plain = json_text_internal::PlainPrefix(text);
    out->append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) break;
    const auto byte = static_cast<unsigned char>(text.front());
    std::size_t taken = 1;
    if (byte == '"' || byte == '\\') {
      out->push_back('\\');
      out->push_back(text.front());
    } else if (byte < 0x20) {
      out->append("\\u00");
      out->push_back(kHex[byte >> 4]);
      out->push_back(kHex[byte & 15]);
    } else if (const std::size_t size = Utf8SequenceSize(text); size != 0) {
      out->append(text.substr(0, size));
      taken = size;
    } else {
      out->append("\xEF\xBF\xBD");
    }
    text.remove_prefix(taken);
  }
  out->push_back('"');
}

}  // namespace catchup

#endif  // CATCHUP_JSON_TEXT_HPP_
