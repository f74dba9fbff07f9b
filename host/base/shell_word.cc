#include "host/base/shell_word.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "host/base/ascii.h"

namespace catchup {
namespace {

bool IsPlain(char c) {
  constexpr std::string_view kHarmless = "/._-+,:@%=";
  return IsLetterOrDigit(c) || kHarmless.find(c) != std::string_view::npos;
}

}  // namespace

std::string ShellWord(std::string_view text) {
  if (!text.empty() && std::all_of(text.begin(), text.end(), IsPlain)) {
    return std::string(text);
  }
  std::string word = "'";
  for (const char c : text) {
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return word + "'";
}

std::string CommandToRead(const std::filesystem::path& path) {
  std::filesystem::path part;
  for (const std::filesystem::path& name : path) {
    part /= name;
    struct stat info {};
    if (::stat(part.c_str(), &info) != 0) {
      return {};
    }
    const bool is_directory = S_ISDIR(info.st_mode);
    const int wanted = part == path ? (is_directory ? R_OK | X_OK : R_OK) : X_OK;
    if (::faccessat(AT_FDCWD, part.c_str(), wanted, AT_EACCESS) != 0) {
      const char* const rights = wanted == R_OK ? "a+r " : wanted == X_OK ? "a+x " : "a+rx ";
      return std::string("chmod ") + rights + ShellWord(part.string());
    }
  }
  return {};
}

}  // namespace catchup
