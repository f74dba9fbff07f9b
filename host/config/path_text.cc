#include "host/config/path_text.h"

#include <algorithm>
#include <cstdlib>

#include "host/base/log_line.h"

namespace catchup {
namespace {

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string Quote(std::string_view text) {
  std::string quoted;
  AppendJsonString(text, &quoted);
  return quoted;
}

// "~" and "~/x", with the folder that a shell would take, and "~user/x".
std::string HomeFault(std::string_view text) {
  const char* home = std::getenv("HOME");
  const bool own = text.size() == 1 || text[1] == '/';
  const std::string fault = "a whole path, because only a shell replaces \"~\"";
  return own && home != nullptr && home[0] == '/'
             ? fault + ", as " + Quote(std::string(home) + std::string(text.substr(1)))
             : fault;
}

// "file:///x" and "file:x" name "/x" and "x", and "embedded:x" stands in a source only; what other
// schemes name is no path.
std::string SchemeFault(std::string_view text) {
  constexpr std::string_view kEmbedded = "embedded:";
  if (text.substr(0, kEmbedded.size()) == kEmbedded) {
    const std::string_view rest = text.substr(kEmbedded.size());
    return "a path without \"embedded:\"" + (rest.empty() ? "" : ", as " + Quote(rest));
  }
  constexpr std::string_view kFile = "file:";
  if (text.substr(0, kFile.size()) == kFile) {
    std::string_view rest = text.substr(kFile.size());
    const auto slashes = std::min(rest.find_first_not_of('/'), rest.size());
    rest.remove_prefix(slashes > 1 ? slashes - 1 : 0);
    return "a path, not a URL" + (rest.empty() ? "" : ", as " + Quote(rest));
  }
  const auto colon = text.find("://");
  const bool scheme =
      colon != std::string_view::npos && colon > 0 &&
      std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon), [](char c) {
        return IsLetter(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
      });
  return scheme ? "a path, not a URL" : "";
}

}  // namespace

bool HasShellVariable(std::string_view text) {
  for (std::size_t at = text.find('$'); at + 1 < text.size() && at != std::string_view::npos;
       at = text.find('$', at + 1)) {
    const char next = text[at + 1];
    if (next == '{' || next == '(' || next == '_' || IsLetter(next)) {
      return true;
    }
  }
  return false;
}

std::string PathFault(std::string_view text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (text.empty()) {
    return "a path that is not empty";
  }
  if (std::any_of(text.begin(), text.end(), is_control)) {
    return "a path without control characters";
  }
  if (text.front() == ' ' || text.back() == ' ') {
    return "a path without spaces around it";
  }
  if (text.front() == '"' || text.front() == '\'' || text.front() == '`') {
    return "a path without quotes in it";
  }
  if (text.front() == '~') {
    return HomeFault(text);
  }
  if (HasShellVariable(text)) {
    return "a whole path, because variables are not replaced in it";
  }
  if (std::string fault = SchemeFault(text); !fault.empty()) {
    return fault;
  }
  if (text.find('\\') != std::string_view::npos ||
      (text.size() > 1 && IsLetter(text[0]) && text[1] == ':' &&
       (text.size() == 2 || text[2] == '/'))) {
    return "a path of this system, with \"/\" between its folders";
  }
  if (text.find('*') != std::string_view::npos) {
    return "one path, because \"*\" stands for nothing else in it";
  }
  return {};
}

}  // namespace catchup
