// Whether a text from a configuration is meant as a path. People write paths in the style of
// shells, templates, URLs and other systems; taken to the letter, those make odd folders, and what
// they should have named stays empty. The host reads its own file by this, and `Host::RequirePath`
// a plugin's.
//
//     PathFault("~/x")      "a whole path, because only a shell replaces \"~\"", and that path
//     PathFault("{{dir}}")  "a whole path, because nothing is put in the place of \"{{dir}}\""
//     PathFault("a~b %x")   "": a name may have any of these characters alone
//
// Needs the standard library only. Nothing here has state, so any thread may call it. The only
// exception it lets out is std::bad_alloc.
#ifndef CATCHUP_PATH_TEXT_HPP_
#define CATCHUP_PATH_TEXT_HPP_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <string_view>

#include "catchup/json_text.hpp"

namespace catchup {

// Why `text` cannot be taken as a path, worded as what was wanted in its place; empty if it can.
inline std::string PathFault(std::string_view text);

// Whether a shell would replace something in `text`: "$NAME", "${NAME}", "$(command)".
inline bool HasShellVariable(std::string_view text);

// The first part of `text` that is there for another program to replace, or empty:
//
//     {{x}}  {% x %}  {x}  [[x]]  ((x))  <x>  `x`   templates, manuals, shells
//     %(x)s  %{x}  %x%  @x@                         configurations, Windows, build systems
//     %h                                            systemd and strftime: one letter, as a word
//     __X__  ...  …                                 as the whole name of a folder or file
//
// A variable of a shell is none of these. One character of a pair alone is a part of a name, and so
// are "%" behind a digit ("50%of%it") and "__x__" in small letters.
inline std::string_view Placeholder(std::string_view text);

namespace path_text_internal {

inline bool IsCapital(char c) { return c >= 'A' && c <= 'Z'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }
inline bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || IsCapital(c); }
inline bool IsWordCharacter(char c) { return IsLetter(c) || IsDigit(c) || c == '_'; }

inline std::string Quote(std::string_view text) {
  std::string quoted;
  AppendJsonString(&quoted, text);
  return quoted;
}

// The first `open` that a `close` follows, with something between them.
inline std::string_view Between(std::string_view text, std::string_view open,
                                std::string_view close) {
  for (auto begin = text.find(open); begin != std::string_view::npos;
       begin = text.find(open, begin + 1)) {
    const auto end = text.find(close, begin + open.size());
    if (end == std::string_view::npos) return {};
    if (end > begin + open.size()) return text.substr(begin, end + close.size() - begin);
  }
  return {};
}

// "%x%" and "@x@", x the name of a variable. Behind a digit "%" counts something, and behind a word
// "@" names a place, as in "copy@home@monday".
inline std::string_view BetweenMarks(std::string_view text, char mark) {
  for (auto begin = text.find(mark); begin != std::string_view::npos;
       begin = text.find(mark, begin + 1)) {
    std::size_t end = begin + 1;
    while (end < text.size() && IsWordCharacter(text[end])) ++end;
    const char before = begin == 0 ? '/' : text[begin - 1];
    const bool part = mark == '%' ? IsDigit(before) : IsWordCharacter(before);
    if (!part && end < text.size() && text[end] == mark && end > begin + 1 &&
        !IsDigit(text[begin + 1])) {
      return text.substr(begin, end + 1 - begin);
    }
  }
  return {};
}

// "%h" as a word of its own.
inline std::string_view Specifier(std::string_view text) {
  for (auto at = text.find('%'); at + 1 < text.size() && at != std::string_view::npos;
       at = text.find('%', at + 1)) {
    const bool begins = at == 0 || !(IsWordCharacter(text[at - 1]) || text[at - 1] == '%');
    const bool ends = at + 2 == text.size() || !IsWordCharacter(text[at + 2]);
    if (begins && ends && IsLetter(text[at + 1])) return text.substr(at, 2);
  }
  return {};
}

inline bool IsPlaceholderName(std::string_view name) {
  constexpr std::string_view kMark = "__";
  if (name == "\u2026") return true;
  if (name.size() > 2 && name.find_first_not_of('.') == std::string_view::npos) return true;
  return name.size() > 2 * kMark.size() && name.substr(0, kMark.size()) == kMark &&
         name.substr(name.size() - kMark.size()) == kMark && IsCapital(name[kMark.size()]) &&
         std::all_of(name.begin(), name.end(),
                     [](char c) { return IsCapital(c) || IsDigit(c) || c == '_'; });
}

// "~" and "~/x", with the folder that a shell would take, and "~user/x".
inline std::string HomeFault(std::string_view text) {
  // Nobody changes the environment while a configuration is read.
  const char* home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe)
  const bool own = text.size() == 1 || text[1] == '/';
  const std::string fault = "a whole path, because only a shell replaces \"~\"";
  return own && home != nullptr && home[0] == '/'
             ? fault + ", as " + Quote(std::string(home) + std::string(text.substr(1)))
             : fault;
}

// "file:///x" and "file:x" name "/x" and "x", and "embedded:x" stands in a source only; what other
// schemes name is no path.
inline std::string SchemeFault(std::string_view text) {
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
        return IsLetter(c) || IsDigit(c) || c == '+' || c == '-' || c == '.';
      });
  return scheme ? "a path, not a URL" : "";
}

}  // namespace path_text_internal

inline bool HasShellVariable(std::string_view text) {
  for (std::size_t at = text.find('$'); at + 1 < text.size() && at != std::string_view::npos;
       at = text.find('$', at + 1)) {
    const char next = text[at + 1];
    if (next == '{' || next == '(' || next == '_' || path_text_internal::IsLetter(next)) {
      return true;
    }
  }
  return false;
}

inline std::string_view Placeholder(std::string_view text) {
  using namespace path_text_internal;
  struct Pair {
    std::string_view open;
    std::string_view close;
  };
  // The longer of two that begin alike comes first, so that the whole of it is named.
  constexpr std::array<Pair, 9> kPairs = {{{"{{", "}}"},
                                           {"{%", "%}"},
                                           {"[[", "]]"},
                                           {"((", "))"},
                                           {"%(", ")"},
                                           {"%{", "}"},
                                           {"{", "}"},
                                           {"<", ">"},
                                           {"`", "`"}}};
  for (const Pair& pair : kPairs) {
    if (const auto found = Between(text, pair.open, pair.close); !found.empty()) return found;
  }
  for (const char mark : {'%', '@'}) {
    if (const auto found = BetweenMarks(text, mark); !found.empty()) return found;
  }
  if (const auto found = Specifier(text); !found.empty()) return found;
  while (!text.empty()) {
    const std::string_view name = text.substr(0, text.find('/'));
    if (IsPlaceholderName(name)) return name;
    text.remove_prefix(std::min(name.size() + 1, text.size()));
  }
  return {};
}

inline std::string PathFault(std::string_view text) {
  using namespace path_text_internal;
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (text.empty()) return "a path that is not empty";
  if (std::any_of(text.begin(), text.end(), is_control)) return "a path without control characters";
  if (text.front() == ' ' || text.back() == ' ') return "a path without spaces around it";
  if (text.front() == '~') return HomeFault(text);
  if (HasShellVariable(text)) return "a whole path, because variables are not replaced in it";
  if (const auto found = Placeholder(text); !found.empty()) {
    return "a whole path, because nothing is put in the place of " + Quote(found);
  }
  if (text.front() == '"' || text.front() == '\'' || text.front() == '`') {
    return "a path without quotes in it";
  }
  if (std::string fault = SchemeFault(text); !fault.empty()) return fault;
  const bool drive = text.size() > 1 && IsLetter(text[0]) && text[1] == ':' &&
                     (text.size() == 2 || text[2] == '/');
  if (drive || text.find('\\') != std::string_view::npos) {
    return "a path of this system, with \"/\" between its folders";
  }
  if (text.find('*') != std::string_view::npos) {
    return "one path, because \"*\" stands for nothing else in it";
  }
  return {};
}

}  // namespace catchup

#endif  // CATCHUP_PATH_TEXT_HPP_
