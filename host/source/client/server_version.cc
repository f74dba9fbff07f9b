#include <charconv>

#include "host/source/source.h"

namespace catchup {
namespace {

// Whether `version` is a number MAJOR.MINOR and more, and not below these.
bool IsAtLeast(std::string_view version, int wanted_major, int wanted_minor) {
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
  return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

}  // namespace

bool ResumesAnywhere(std::string_view version) { return IsAtLeast(version, 24, 2); }

bool SaysCaughtUp(std::string_view version) { return IsAtLeast(version, 23, 10); }

}  // namespace catchup
