#include <charconv>

#include "host/source/source.h"

namespace catchup {

bool AnnouncementsAreSound(std::string_view version) {
  constexpr int kSoundMajor = 24;
  constexpr int kSoundMinor = 2;
  const char* const end = version.data() + version.size();
  int major = 0;
  const auto after_major = std::from_chars(version.data(), end, major);
  if (after_major.ec != std::errc() || after_major.ptr == end || *after_major.ptr != '.') {
    return false;
  }
  int minor = 0;
  if (std::from_chars(after_major.ptr + 1, end, minor).ec != std::errc()) {
    return false;
  }
  return major > kSoundMajor || (major == kSoundMajor && minor >= kSoundMinor);
}

}  // namespace catchup
