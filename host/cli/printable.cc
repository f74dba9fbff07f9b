#include "host/cli/printable.h"

#include "host/base/text.h"

namespace catchup {

std::string Printable(std::string_view text) {
  std::string quoted;
  AppendJsonString(text, &quoted);
  std::string line;
  for (std::size_t i = 1; i + 1 < quoted.size(); ++i) {
    // A quote needs no escape here, as nothing is put around the text.
    if (quoted[i] == '\\' && quoted[i + 1] == '"') {
      ++i;
    } else if (quoted[i] == '\\') {
      line += quoted[i++];
    }
    line += quoted[i];
  }
  return line;
}

std::string ShowPath(std::string text, std::string_view path, std::string_view shown) {
  for (std::size_t at = text.find(path); at != std::string::npos;
       at = text.find(path, at + shown.size())) {
    text.replace(at, path.size(), shown);
  }
  return text;
}

}  // namespace catchup
