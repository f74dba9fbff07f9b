#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

// What a file must be to be read whole.
struct SmallFile {
  std::size_t max_bytes = 0;
  mode_t forbidden = 0;      // Bits of the mode that it must not have.
  std::string_view rights;   // What is wanted of it, as "no access for others".
  std::string_view content;  // What is wanted in it, as "certificates".
};

// The bytes of a regular file. The text of a failure does not name it.
Result<std::string> ReadSmallFile(const std::filesystem::path& file, const SmallFile& wanted);

}  // namespace catchup
