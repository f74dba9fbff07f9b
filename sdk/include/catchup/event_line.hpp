// The event line: one event as one JSON object on one line of a file.
//
//     {"stream":"order-7","type":"order-placed","id":"…","revision":0,"commit":"812","prepare":"812",
//      "created":"2026-11-24T03:39:17.5720000Z","data":{"orderId":"7"},"metadata":{"by":"web"}}
//
// (without the line break). The host and its plugins use the same form, so each can read what the
// other wrote.
//
// `data` and `metadata` are JSON with the bytes of the source text, never parsed and written anew.
// Bytes that cannot stand there (not JSON, a line feed inside, blanks around it) go into the member
// `dataBase64` or `metadataBase64`. Where there are no bytes, the member is absent.
//
// An event's content type is application/json if there is a `data`, else application/octet-stream.
// If it is the other one, a member `contentType` says so.
//
// Needs the standard library only. Nothing here has state beyond its arguments, so any thread may
// call it. The only exception it lets out is std::bad_alloc.
#ifndef CATCHUP_EVENT_LINE_HPP_
#define CATCHUP_EVENT_LINE_HPP_

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "catchup/json_text.hpp"

namespace catchup {

// An event to write, borrowed.
struct EventLine {
  std::string_view stream;
  std::string_view type;
  std::string_view data;              // Any bytes.
  std::string_view metadata;          // Any bytes.
  std::array<std::uint8_t, 16> id{};  // The bytes of the UUID's text form, left to right.
  std::uint64_t revision = 0;
  std::uint64_t commit = 0;
  std::uint64_t prepare = 0;
  std::int64_t created_ticks = 0;  // 100 ns since 1970-01-01T00:00:00Z.
  bool is_json = false;            // The content type is application/json.
};

// An event that was read. Owns its bytes, so the line may go. Reuse it for the next line, which
// then costs no allocation.
struct ParsedEventLine {
  std::string stream;  // Never empty.
  std::string type;    // May be empty, as recorded types may: whoever appends refuses that.
  std::string data;    // The source text of `data`, or the bytes of `dataBase64`, or empty.
  std::string metadata;
  bool is_json = false;  // The content type is application/json.
  std::optional<std::array<std::uint8_t, 16>> id;
};

namespace event_line_internal {

inline void AppendNumber(std::string* out, std::uint64_t number) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out->append(digits, static_cast<std::size_t>(end - digits));
}

// Appends `number` in decimal with leading zeros.
inline void AppendPadded(std::string* out, std::uint64_t number, std::size_t width) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  const auto size = static_cast<std::size_t>(end - digits);
  if (size < width) out->append(width - size, '0');
  out->append(digits, size);
}

// "2026-11-24T03:39:17.5720000Z". Years outside 0 to 9999 get a sign or more digits, as needed.
inline void AppendTime(std::string* out, std::int64_t ticks) {
  // By hand, since the library's conversions overflow at the ends of the range.
  constexpr std::int64_t kTicksPerDay = 864'000'000'000;
  std::int64_t days = ticks / kTicksPerDay;
  std::int64_t rest = ticks % kTicksPerDay;
  if (rest < 0) {
    rest += kTicksPerDay;
    --days;
  }
  const std::chrono::year_month_day date{
      std::chrono::sys_days(std::chrono::days(static_cast<int>(days)))};
  const auto of_day = static_cast<std::uint64_t>(rest);
  const int year = static_cast<int>(date.year());
  if (year < 0) out->push_back('-');
  AppendPadded(out, static_cast<std::uint64_t>(year < 0 ? -year : year), 4);
  out->push_back('-');
  AppendPadded(out, static_cast<unsigned>(date.month()), 2);
  out->push_back('-');
  AppendPadded(out, static_cast<unsigned>(date.day()), 2);
  out->push_back('T');
  const std::uint64_t seconds = of_day / 10'000'000;
  AppendPadded(out, seconds / 3600, 2);
  out->push_back(':');
  AppendPadded(out, seconds / 60 % 60, 2);
  out->push_back(':');
  AppendPadded(out, seconds % 60, 2);
  out->push_back('.');
  AppendPadded(out, of_day % 10'000'000, 7);
  out->push_back('Z');
}

inline void AppendUuid(std::string* out, const std::array<std::uint8_t, 16>& id) {
  static constexpr char kHex[] = "0123456789abcdef";
  char text[36];
  std::size_t at = 0;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text[at++] = '-';
    text[at++] = kHex[id[i] >> 4];
    text[at++] = kHex[id[i] & 15];
  }
  out->append(text, sizeof text);
}

// The 8-4-4-4-12 form in either case; nothing else.
inline std::optional<std::array<std::uint8_t, 16>> ParseUuidText(std::string_view text) {
  if (text.size() != 36) return std::nullopt;
  std::array<std::uint8_t, 16> id{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if ((i == 4 || i == 6 || i == 8 || i == 10) && text[at++] != '-') return std::nullopt;
    const char* const end = text.data() + at + 2;
    if (std::from_chars(text.data() + at, end, id[i], 16).ptr != end) return std::nullopt;
    at += 2;
  }
  return id;
}

inline constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// RFC 4648, section 4: with padding, without line breaks.
inline void AppendBase64(std::string* out, std::string_view bytes) {
  const std::size_t start = out->size();
  out->resize(start + (bytes.size() + 2) / 3 * 4);
  char* to = out->data() + start;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      group <<= 8;
      if (i + k < bytes.size()) group |= static_cast<unsigned char>(bytes[i + k]);
    }
    for (unsigned shift = 18;; shift -= 6) {
      *to++ = kBase64Digits[(group >> shift) & 63];
      if (shift == 0) break;
    }
  }
  const std::size_t rest = bytes.size() % 3;
  if (rest != 0) out->back() = '=';
  if (rest == 1) (*out)[out->size() - 2] = '=';
}

inline constexpr std::array<std::int8_t, 256> kBase64Values = [] {
  std::array<std::int8_t, 256> values{};
  values.fill(-1);
  for (std::size_t i = 0; i < kBase64Digits.size(); ++i) {
    values[static_cast<unsigned char>(kBase64Digits[i])] = static_cast<std::int8_t>(i);
  }
  return values;
}();

// Strict: the one encoding that AppendBase64 gives for some bytes, and nothing else, so that what
// is read and written again is the same text.
inline bool DecodeBase64(std::string_view text, std::string* out) {
  out->clear();
  if (text.size() % 4 != 0) return false;
  out->reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const std::string_view group = text.substr(i, 4);
    std::size_t digits = 4;
    if (i + 4 == text.size()) {
      while (digits > 2 && group[digits - 1] == '=') --digits;
    }
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const int value = k < digits ? kBase64Values[static_cast<unsigned char>(group[k])] : 0;
      if (value < 0) return false;
      bits = bits << 6 | static_cast<std::uint32_t>(value);
    }
    const std::uint32_t unused = digits == 4 ? 0 : digits == 3 ? 0xFF : 0xFFFF;
    if ((bits & unused) != 0) return false;
    for (std::size_t k = 0; k + 1 < digits; ++k) {
      out->push_back(static_cast<char>(bits >> (16 - 8 * k) & 0xFF));
    }
  }
  return true;
}

inline constexpr std::string_view kJsonContent = "application/json";
inline constexpr std::string_view kOtherContent = "application/octet-stream";

// A member for bytes: `name` with the source text, or `nameBase64`, or nothing. True for the first.
inline bool AppendPayload(std::string* out, std::string_view name, std::string_view bytes) {
  if (bytes.empty()) return false;
  out->append(",\"").append(name);
  if (IsJsonOnOneLine(bytes)) {
    out->append("\":").append(bytes);
    return true;
  }
  out->append("Base64\":\"");
  AppendBase64(out, bytes);
  out->push_back('"');
  return false;
}

// Reads one line into a ParsedEventLine. Lives for one call of ParseEventLine.
class LineReader {
 public:
  LineReader(std::string_view line, ParsedEventLine* out) : line_(line), cursor_(line), out_(out) {}

  bool Read() {
    cursor_.SkipSpace();
    const std::size_t start = cursor_.offset();
    if (!cursor_.Take('{', "an object that holds one event")) return false;
    cursor_.SkipSpace();
    if (cursor_.next_is('}')) {
      if (!cursor_.Take('}', "'}'")) return false;
    } else if (!ReadMembers()) {
      return false;
    }
    cursor_.SkipSpace();
    if (!cursor_.RequireEnd("the end of the line after the object")) return false;
    if (!seen_[kStream]) return Fail(start, "an object without \"stream\"", "the stream's name");
    if (!seen_[kType]) return Fail(start, "an object without \"type\"", "the event's type");
    out_->is_json = seen_[kContentType] ? text_is_json_ : seen_[kData];
    return true;
  }

  std::string error() const { return error_.empty() ? cursor_.fault() : error_; }

 private:
  enum Member {
    kStream,
    kType,
    kData,
    kData64,
    kMetadata,
    kMetadata64,
    kId,
    kContentType,
    kMembers
  };
  static constexpr std::array<std::string_view, kMembers> kNames = {
      "stream", "type", "data", "dataBase64", "metadata", "metadataBase64", "id", "contentType"};

  bool Fail(std::size_t offset, std::string_view found, std::string_view wanted) {
    error_ = JsonCursor::FaultAt(offset, found, wanted);
    return false;
  }

  bool ReadMembers() {
    for (;;) {
      cursor_.SkipSpace();
      const std::size_t at = cursor_.offset();
      if (!cursor_.next_is('"')) return cursor_.Take('"', "the name of a member in quotes");
      if (!cursor_.ReadString(&text_)) return false;
      const auto name = std::find(kNames.begin(), kNames.end(), text_);
      cursor_.SkipSpace();
      if (!cursor_.Take(':', "':' after the name of a member")) return false;
      cursor_.SkipSpace();
      const bool known = name != kNames.end();
      if (known && !Note(static_cast<Member>(name - kNames.begin()), at)) return false;
      if (!(known ? ReadValue(static_cast<Member>(name - kNames.begin())) : cursor_.SkipValue())) {
        return false;
      }
      cursor_.SkipSpace();
      if (cursor_.next_is('}')) return cursor_.Take('}', "'}'");
      if (!cursor_.Take(',', "',' or '}'")) return false;
    }
  }

  // A member comes once, and bytes in one form only.
  bool Note(Member member, std::size_t at) {
    const auto both = [&](Member one, Member other) {
      return (member == one && seen_[other]) || (member == other && seen_[one]);
    };
    if (seen_[member]) return Fail(at, Quoted(member) + " a second time", "each member once");
    if (both(kData, kData64)) return Fail(at, "\"data\" and \"dataBase64\"", "one of the two");
    if (both(kMetadata, kMetadata64)) {
      return Fail(at, "\"metadata\" and \"metadataBase64\"", "one of the two");
    }
    seen_[member] = true;
    return true;
  }

  static std::string Quoted(Member member) { return "\"" + std::string(kNames[member]) + "\""; }

  bool ReadValue(Member member) {
    const std::size_t at = cursor_.offset();
    if (member == kData || member == kMetadata) {
      if (!cursor_.SkipValue()) return false;
      const std::string_view source = line_.substr(at, cursor_.offset() - at);
      (member == kData ? out_->data : out_->metadata).assign(source);
      return true;
    }
    if (!cursor_.next_is('"')) return cursor_.Take('"', WantedText(member));
    if (!cursor_.ReadString(&text_)) return false;
    switch (member) {
      case kStream:
        out_->stream = text_;
        return !text_.empty() || Fail(at, "an empty \"stream\"", "the stream's name");
      case kType:
        out_->type = text_;
        return true;
      case kId:
        out_->id = ParseUuidText(text_);
        return out_->id.has_value() ||
               Fail(at, "an \"id\" of another form", "a UUID as 8-4-4-4-12 hexadecimal digits");
      case kContentType:
        text_is_json_ = text_ == kJsonContent;
        return text_is_json_ || text_ == kOtherContent ||
               Fail(at, "another \"contentType\"",
                    "\"application/json\" or \"application/octet-stream\"");
      default:
        return DecodeBase64(text_, member == kData64 ? &out_->data : &out_->metadata) ||
               Fail(at, "other text in " + Quoted(member), "base64 with padding");
    }
  }

  static const char* WantedText(Member member) {
    switch (member) {
      case kStream:
        return "a string, the stream's name";
      case kType:
        return "a string, the event's type";
      case kId:
        return "a string, the event's UUID";
      case kContentType:
        return "a string, \"application/json\" or \"application/octet-stream\"";
      default:
        return "a string of base64";
    }
  }

  std::string_view line_;
  JsonCursor cursor_;
  ParsedEventLine* out_;
  std::array<bool, kMembers> seen_{};
  bool text_is_json_ = false;  // What `contentType` says.
  std::string text_;
  std::string error_;
};

}  // namespace event_line_internal

// Appends the line of `event` to *out, without a line feed. The members come in the order stream,
// type, id, revision, commit, prepare, created, data, contentType, metadata.
//
// Bytes stand as `data` or `metadata` if they are one JSON value that a line can hold: UTF-8, no
// line break, nothing around it. All others go into the base64 member, so every payload comes back
// to the byte, and its content type with it. Names are UTF-8 by the server's rule; a byte of one
// that is not becomes U+FFFD.
inline void AppendEventLine(std::string* out, const EventLine& event) {
  // Room for what is fixed, and for payloads that need no more than their own size.
  const std::size_t room = out->size() + event.stream.size() + event.type.size() +
                           event.data.size() + event.metadata.size() + 256;
  if (room > out->capacity()) out->reserve(std::max(room, out->capacity() * 2));
  out->append("{\"stream\":");
  AppendJsonString(out, event.stream);
  out->append(",\"type\":");
  AppendJsonString(out, event.type);
  out->append(",\"id\":\"");
  event_line_internal::AppendUuid(out, event.id);
  out->append("\",\"revision\":");
  event_line_internal::AppendNumber(out, event.revision);
  out->append(",\"commit\":\"");
  event_line_internal::AppendNumber(out, event.commit);
  out->append("\",\"prepare\":\"");
  event_line_internal::AppendNumber(out, event.prepare);
  out->append("\",\"created\":\"");
  event_line_internal::AppendTime(out, event.created_ticks);
  out->push_back('"');
  const bool plain = event_line_internal::AppendPayload(out, "data", event.data);
  if (plain != event.is_json) {
    out->append(",\"contentType\":\"");
    out->append(event.is_json ? event_line_internal::kJsonContent
                              : event_line_internal::kOtherContent);
    out->push_back('"');
  }
  event_line_internal::AppendPayload(out, "metadata", event.metadata);
  out->push_back('}');
}

// Reads `line`, which may end in a line break, into *out. Members that are not of this form are
// passed over, but must be JSON; a known member given twice is refused. On false *out is in no
// useful state and *error says "column 12: found 'x', wanted ':' after the name of a member", with
// columns counted in bytes from 1.
[[nodiscard]] inline bool ParseEventLine(std::string_view line, ParsedEventLine* out,
                                         std::string* error) {
  out->stream.clear();
  out->type.clear();
  out->data.clear();
  out->metadata.clear();
  out->is_json = false;
  out->id.reset();
  event_line_internal::LineReader reader(line, out);
  if (reader.Read()) return true;
  *error = reader.error();
  return false;
}

}  // namespace catchup

#endif  // CATCHUP_EVENT_LINE_HPP_
