#pragma once

#include <cstdint>
#include <string_view>

namespace catchup {

// Walks over the fields of one protobuf message in place. Every step is checked against the end of
// the bytes; after the first fault ok() is false and nothing more is read.
//
// Usage:
//   WireReader reader(bytes);
//   while (reader.NextTag()) {
//     switch (reader.tag()) {
//       case LengthTag(1): name = reader.Bytes(); break;
//       default: reader.Skip();
//     }
//   }
//   if (!reader.ok()) ...
//
// A known field in an unexpected encoding has another tag and so falls into Skip(), as protobuf's
// own parsers do it. Groups, which no version 3 message has, are a fault.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes)
      : next_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // Whether there is another field; then tag() names it, and its value must be read or skipped.
  bool NextTag() {
    if (next_ == end_ || !ok_) {
      return false;
    }
    const std::uint64_t tag = Varint();
    if (tag > kMaxTag || tag < kMinTag) {
      return Fail();
    }
    tag_ = static_cast<std::uint32_t>(tag);
    return ok_;
  }

  // Field number and encoding in one, as on the wire.
  std::uint32_t tag() const { return tag_; }
  bool ok() const { return ok_; }

  // 0 after a fault.
  std::uint64_t Varint() {
    if (next_ != end_ && (static_cast<std::uint8_t>(*next_) & 0x80) == 0) {
      return static_cast<std::uint8_t>(*next_++);
    }
    return LongVarint();
  }

  // Empty after a fault.
  std::string_view Bytes() {
    const std::uint64_t size = Varint();
    if (size > static_cast<std::uint64_t>(end_ - next_)) {
      Fail();
      return {};
    }
    const std::string_view bytes(next_, static_cast<std::size_t>(size));
    next_ += size;
    return bytes;
  }

  // Passes over the value of the field that tag() names.
  void Skip() {
    switch (tag_ & 7) {
      case 0:
        Varint();
        break;
      case 1:
        SkipFixed(8);
        break;
      case 2:
        Bytes();
        break;
      case 5:
        SkipFixed(4);
        break;
      default:
        Fail();
    }
  }

 private:
  static constexpr std::uint64_t kMinTag = 1u << 3;  // Field numbers start at 1.
  static constexpr std::uint64_t kMaxTag = 0xffffffffu;
  static constexpr int kMaxVarintBytes = 10;

  std::uint64_t LongVarint() {
    std::uint64_t value = 0;
    for (int i = 0; i < kMaxVarintBytes && next_ != end_; ++i) {
      const auto byte = static_cast<std::uint8_t>(*next_++);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
      if ((byte & 0x80) == 0) {
        return value;
      }
    }
    Fail();
    return 0;
  }

  void SkipFixed(std::ptrdiff_t size) {
    if (end_ - next_ < size) {
      Fail();
      return;
    }
    next_ += size;
  }

  bool Fail() {
    ok_ = false;
    next_ = end_;
    return false;
  }

  const char* next_;
  const char* end_;
  std::uint32_t tag_ = 0;
  bool ok_ = true;
};

constexpr std::uint32_t VarintTag(std::uint32_t field) { return field << 3; }
constexpr std::uint32_t LengthTag(std::uint32_t field) { return field << 3 | 2; }

}  // namespace catchup
