#include "host/base/uuid.h"

#include <algorithm>
#include <boost/uuid/name_generator_sha1.hpp>
#include <boost/uuid/uuid.hpp>
#include <cstring>

#include "host/base/random.h"
#include "host/base/text.h"

namespace catchup {
namespace {

// Drawn once for this product. Never change it: ids derived from it are stored in event logs.
constexpr boost::uuids::uuid kNamespace = {{0x6f, 0x0d, 0x6e, 0x1c, 0x5b, 0x0a, 0x4e, 0x53, 0x9c,
                                            0x5e, 0x21, 0x77, 0x1b, 0x5f, 0xc4, 0x2e}};

constexpr std::size_t kTextSize = 36;

bool IsDash(std::size_t index) { return index == 8 || index == 13 || index == 18 || index == 23; }

Uuid FromBoost(const boost::uuids::uuid& from) {
  Uuid uuid;
  std::copy(from.begin(), from.end(), uuid.bytes.begin());
  return uuid;
}

std::uint64_t BigEndian(const std::uint8_t* bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) {
    value = value << 8 | bytes[i];
  }
  return value;
}

}  // namespace

Uuid Uuid::FromHalves(std::uint64_t most_significant, std::uint64_t least_significant) {
  Uuid uuid;
  for (std::size_t i = 0; i < 8; ++i) {
    uuid.bytes[i] = static_cast<std::uint8_t>(most_significant >> (56 - 8 * i));
    uuid.bytes[8 + i] = static_cast<std::uint8_t>(least_significant >> (56 - 8 * i));
  }
  return uuid;
}

std::uint64_t Uuid::most_significant() const { return BigEndian(bytes.data()); }

std::uint64_t Uuid::least_significant() const { return BigEndian(bytes.data() + 8); }

std::string FormatUuid(const Uuid& uuid) {
  std::string text;
  text.reserve(kTextSize);
  for (const std::uint8_t byte : uuid.bytes) {
    if (IsDash(text.size())) {
      text += '-';
    }
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 0xf];
  }
  return text;
}

std::optional<Uuid> ParseUuid(std::string_view text) {
  if (text.size() != kTextSize) {
    return std::nullopt;
  }
  Uuid uuid;
  std::size_t digit = 0;
  for (std::size_t i = 0; i < kTextSize; ++i) {
    if (IsDash(i)) {
      if (text[i] != '-') {
        return std::nullopt;
      }
      continue;
    }
    const int value = HexValue(text[i]);
    if (value < 0) {
      return std::nullopt;
    }
    std::uint8_t& byte = uuid.bytes[digit / 2];
    byte = static_cast<std::uint8_t>(byte << 4 | value);
    ++digit;
  }
  return uuid;
}

Uuid NameUuid(std::string_view name) {
  boost::uuids::name_generator_sha1 generator(kNamespace);
  return FromBoost(generator(name.data(), name.size()));
}

Uuid RandomUuid() {
  Uuid uuid;
  std::size_t drawn = 0;
  while (drawn < uuid.bytes.size()) {
    const std::uint64_t number = RandomNumber();
    std::memcpy(uuid.bytes.data() + drawn, &number, sizeof number);
    drawn += sizeof number;
  }
  // Version 4, variant of RFC 4122.
  uuid.bytes[6] = static_cast<std::uint8_t>((uuid.bytes[6] & 0x0f) | 0x40);
  uuid.bytes[8] = static_cast<std::uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
  return uuid;
}

}  // namespace catchup
