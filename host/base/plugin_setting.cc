#include "host/base/plugin_setting.h"

#include <algorithm>

#include "host/base/ascii.h"
#include "host/base/text.h"

namespace catchup {
namespace {

bool IsBare(char c) { return IsLetterOrDigit(c) || c == '_' || c == '-'; }

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }

// Writes keys in their one form, as far as there is room.
class KeyWriter {
 public:
  KeyWriter(std::size_t limit, std::string* out) : limit_(limit), out_(out) {}

  void Put(char c) {
    if (out_->size() < limit_) {
      *out_ += c;
    }
  }

  void PutInQuotes(char c) {
    static constexpr char kHex[] = "0123456789ABCDEF";
    if (IsControl(c)) {
      for (const char fixed : std::string_view("\\u00")) {
        Put(fixed);
      }
      Put(kHex[static_cast<unsigned char>(c) >> 4]);
      Put(kHex[static_cast<unsigned char>(c) & 15]);
      return;
    }
    if (c == '"' || c == '\\') {
      Put('\\');
    }
    Put(c);
  }

 private:
  const std::size_t limit_;
  std::string* const out_;
};

// Reads a dotted key from left to right. Every function returns false where TOML does not allow
// what stands there.
class PathReader {
 public:
  PathReader(std::string_view text, std::size_t limit, std::string* out)
      : text_(text), writer_(limit, out) {}

  bool Read() {
    while (true) {
      SkipBlanks();
      if (!ReadKey()) {
        return false;
      }
      SkipBlanks();
      if (at_ == text_.size()) {
        return true;
      }
      if (text_[at_++] != '.') {
        return false;
      }
      writer_.Put('.');
    }
  }

 private:
  void SkipBlanks() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) {
      ++at_;
    }
  }

  bool ReadKey() {
    if (at_ == text_.size()) {
      return false;
    }
    const char first = text_[at_];
    if (first != '"' && first != '\'') {
      const std::size_t start = at_;
      for (; at_ < text_.size() && IsBare(text_[at_]); ++at_) {
        writer_.Put(text_[at_]);
      }
      return at_ != start;
    }
    // Whether a key in quotes needs them shows only at its end, so it is gone through twice.
    const std::size_t start = at_;
    bool bare = true;
    std::size_t size = 0;
    if (!ReadQuoted([&](char c) {
          bare = bare && IsBare(c);
          ++size;
        })) {
      return false;
    }
    at_ = start;
    if (bare && size != 0) {
      return ReadQuoted([this](char c) { writer_.Put(c); });
    }
    writer_.Put('"');
    const bool read = ReadQuoted([this](char c) { writer_.PutInQuotes(c); });
    writer_.Put('"');
    return read;
  }

  template <typename Take>
  bool ReadQuoted(Take take) {
    const char quote = text_[at_++];
    while (at_ < text_.size()) {
      const char c = text_[at_++];
      if (c == quote) {
        return true;
      }
      if (IsControl(c) && c != '\t') {
        return false;
      }
      if (c != '\\' || quote == '\'') {
        take(c);
      } else if (!ReadEscape(take)) {
        return false;
      }
    }
    return false;
  }

  template <typename Take>
  bool ReadEscape(Take take) {
    static constexpr std::string_view kNames = "btnfr\"\\";
    static constexpr std::string_view kMeanings = "\b\t\n\f\r\"\\";
    if (at_ == text_.size()) {
      return false;
    }
    const char name = text_[at_++];
    if (const std::size_t which = kNames.find(name); which != std::string_view::npos) {
      take(kMeanings[which]);
      return true;
    }
    std::uint32_t code = 0;
    if (name == 'u' ? !ReadHex(4, &code) : name != 'U' || !ReadHex(8, &code)) {
      return false;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
      return false;
    }
    TakeUtf8(code, take);
    return true;
  }

  bool ReadHex(std::size_t digits, std::uint32_t* code) {
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      const int value = at_ < text_.size() ? HexValue(text_[at_]) : -1;
      if (value < 0) {
        return false;
      }
      *code = *code * 16 + static_cast<std::uint32_t>(value);
    }
    return true;
  }

  template <typename Take>
  static void TakeUtf8(std::uint32_t code, Take take) {
    if (code < 0x80) {
      take(static_cast<char>(code));
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr std::uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
    take(static_cast<char>(kLead[more] | code >> (6 * more)));
    for (int i = more - 1; i >= 0; --i) {
      take(static_cast<char>(0x80 | (code >> (6 * i) & 0x3F)));
    }
  }

  const std::string_view text_;
  std::size_t at_ = 0;
  KeyWriter writer_;
};

}  // namespace

void AppendSettingKey(std::string_view key, std::string* path) {
  if (!path->empty()) {
    *path += '.';
  }
  if (!key.empty() && std::all_of(key.begin(), key.end(), IsBare)) {
    path->append(key);
    return;
  }
  KeyWriter writer(path->max_size(), path);
  writer.Put('"');
  for (const char c : key) {
    writer.PutInQuotes(c);
  }
  writer.Put('"');
}

bool NormalizeSettingPath(std::string_view dotted, std::size_t limit, std::string* out) {
  out->clear();
  return PathReader(dotted, limit, out).Read();
}

}  // namespace catchup
