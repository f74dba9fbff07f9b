#include "host/config/source_uri.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <catchup/path_text.hpp>

#include "host/base/host_port.h"
#include "host/base/text.h"

namespace catchup {
namespace {

constexpr std::array<std::string_view, 4> kSchemes = {"kurrentdb", "esdb", "kurrent", "kdb"};
constexpr std::string_view kEmbedded = "embedded:";
constexpr std::string_view kWanted =
    "wanted \"kurrentdb://HOST:PORT?tls=false\" or \"embedded:PATH\"";

// The options of the servers' own clients, in lower case. They come with TLS and discovery.
constexpr std::array<std::string_view, 13> kKnownOptions = {
    "tlsverifycert",       "tlscafile",           "usercertfile",      "userkeyfile",
    "nodepreference",      "maxdiscoverattempts", "discoveryinterval", "gossiptimeout",
    "keepaliveinterval",   "keepalivetimeout",    "defaultdeadline",   "connectionname",
    "throwonappendfailure"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

// Enough of a wrong text to find it by.
std::string Quote(std::string_view text) { return Quoted(text, 80); }

Status CheckOptions(std::string_view query) {
  bool plain = false;
  while (!query.empty()) {
    const auto end = query.find('&');
    const std::string_view option = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    const auto equals = option.find('=');
    const std::string key = Lower(option.substr(0, equals));
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
    if (key == "tls") {
      if (Lower(value) != "false") {
        return Status::Invalid(
            fmt::format("option tls={}: this version supports tls=false", Quote(value)));
      }
      plain = true;
    } else if (std::find(kKnownOptions.begin(), kKnownOptions.end(), key) != kKnownOptions.end()) {
      return Status::Invalid(fmt::format("option {}: this version supports tls=false and no other",
                                         Quote(option.substr(0, equals))));
    } else {
      return Status::Invalid(
          fmt::format("unknown option {}: wanted tls=false", Quote(option.substr(0, equals))));
    }
  }
  if (!plain) {
    return Status::Invalid(
        "TLS is on: this version supports connections without it, wanted "
        "\"?tls=false\" at the end");
  }
  return {};
}

// No host belongs in it, and no more slashes than the path itself has.
Status CheckEmbeddedPath(std::string_view path) {
  const auto slashes = std::min(path.find_first_not_of('/'), path.size());
  if (slashes > 1) {
    const std::string_view meant = path.substr(slashes > 2 ? slashes - 1 : slashes);
    return Status::Invalid(
        "\"//\" behind \"embedded:\": wanted \"embedded:PATH\"" +
        (meant.empty() ? "" : ", as " + Quote("embedded:" + std::string(meant))));
  }
  const std::string fault = PathFault(path);
  return fault.empty() ? Status()
                       : Status::Invalid(fmt::format("path {}: wanted {}", Quote(path), fault));
}

// Without the text, which may hold a password.
Status CheckVariables(std::string_view text) {
  return HasShellVariable(text) || !Placeholder(text).empty()
             ? Status::Invalid("a variable stands in it, which is not replaced: " +
                               std::string(kWanted))
             : Status();
}

Result<SourceUri> ParseServer(std::string_view rest) {
  const auto question = rest.find('?');
  const std::string_view query =
      question == std::string_view::npos ? std::string_view() : rest.substr(question + 1);
  std::string_view authority = rest.substr(0, question);
  // Before anything is put into a message: what stands before an "@" may be secret, and a password
  // may hold any of the characters that separate the parts.
  if (rest.find('@') != std::string_view::npos) {
    return Status::Invalid(
        "a user or password stands in it: wanted none, because secrets come from "
        "a file or the environment only");
  }
  CATCHUP_RETURN_IF_ERROR(CheckVariables(rest));
  if (const auto slash = authority.find('/'); slash != std::string_view::npos) {
    if (slash + 1 != authority.size()) {
      return Status::Invalid(
          fmt::format("path {}: wanted none or \"/\"", Quote(authority.substr(slash))));
    }
    authority = authority.substr(0, slash);
  }
  if (authority.find(',') != std::string_view::npos) {
    return Status::Invalid(
        fmt::format("several hosts {}: this version supports one", Quote(authority)));
  }
  CATCHUP_ASSIGN_OR_RETURN(auto server, ParseHostPort(authority));
  SourceUri uri;
  uri.host = std::move(server.host);
  uri.port = server.port.value_or(kDefaultServerPort);
  if (uri.port == 0) {
    return Status::Invalid("port 0: wanted a number from 1 to 65535");
  }
  CATCHUP_RETURN_IF_ERROR(CheckOptions(query));
  return uri;
}

}  // namespace

std::string SourceUri::target() const {
  if (kind == Kind::kEmbedded) {
    return {};
  }
  return fmt::format("{}:{}", BracketedHost(host), port);
}

Result<SourceUri> ParseSourceUri(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return Status::Invalid("a zero byte stands in it: " + std::string(kWanted));
  }
  if (text.substr(0, kEmbedded.size()) == kEmbedded) {
    SourceUri uri;
    uri.kind = SourceUri::Kind::kEmbedded;
    uri.path = text.substr(kEmbedded.size());
    if (uri.path.empty()) {
      return Status::Invalid("no path after \"embedded:\": wanted the directory of the log");
    }
    CATCHUP_RETURN_IF_ERROR(CheckEmbeddedPath(text.substr(kEmbedded.size())));
    return uri;
  }
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) {
    CATCHUP_RETURN_IF_ERROR(CheckVariables(text));
    return Status::Invalid("no scheme in it: " + std::string(kWanted));
  }
  const std::string scheme = Lower(text.substr(0, colon));
  std::string_view base = scheme;
  constexpr std::string_view kDiscover = "+discover";
  const bool discover =
      base.size() > kDiscover.size() && base.substr(base.size() - kDiscover.size()) == kDiscover;
  if (discover) {
    base.remove_suffix(kDiscover.size());
  }
  if (std::find(kSchemes.begin(), kSchemes.end(), base) == kSchemes.end()) {
    return Status::Invalid(fmt::format("scheme {}: {}", Quote(scheme), kWanted));
  }
  if (discover) {
    return Status::Invalid(
        fmt::format("scheme {}: this version supports no discovery, {}", Quote(scheme), kWanted));
  }
  return ParseServer(text.substr(colon + 3));
}

}  // namespace catchup
