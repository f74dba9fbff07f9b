#include "host/config/source_uri.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <catchup/path_text.hpp>

#include "host/base/host_port.h"
#include "host/base/number.h"
#include "host/base/text.h"

namespace catchup {
namespace {

constexpr std::array<std::string_view, 4> kSchemes = {"kurrentdb", "esdb", "kurrent", "kdb"};
constexpr std::string_view kDiscover = "+discover";
constexpr std::string_view kEmbedded = "embedded:";
constexpr std::string_view kWanted = "wanted \"kurrentdb://HOST:PORT\" or \"embedded:PATH\"";
// Every character of a scheme.
constexpr std::string_view kSchemeCharacters = "abcdefghijklmnopqrstuvwxyz0123456789+-.";

// Enough of a wrong text to find it by.
std::string Quote(std::string_view text) { return Quoted(text, 80); }

// What stands before such a character may be a user and a password.
bool HasUserMark(std::string_view text) {
  return text.find('@') != std::string_view::npos ||
         LowerCase(text).find("%40") != std::string::npos;
}

// No host belongs in it, and no more slashes than the path itself has.
Status CheckEmbeddedPath(std::string_view path) {
  const auto slashes = std::min(path.find_first_not_of('/'), path.size());
  if (slashes > 1) {
    // A server's string whose scheme was changed has its secrets still.
    const std::string_view meant = path.substr(slashes > 2 ? slashes - 1 : slashes);
    return Status::Invalid("\"//\" behind \"embedded:\": wanted \"embedded:PATH\"" +
                           (meant.empty() || HasUserMark(meant)
                                ? ""
                                : ", as " + Quote("embedded:" + std::string(meant))));
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

// What stands before an "@" may be secret, and a password may hold any of the characters that
// separate the parts; so this comes before anything is put into a message.
Status CheckSecrets(std::string_view rest, std::string_view authority) {
  constexpr std::string_view kNone =
      "a user or password stands in it: wanted none, because secrets come from a file or the "
      "environment only";
  if (HasUserMark(authority)) {
    return Status::Invalid(std::string(kNone));
  }
  if (rest.find('@') != std::string_view::npos) {
    return Status::Invalid(std::string(kNone) +
                           "; an \"@\" that belongs to an option is written \"%40\"");
  }
  return {};
}

// "admin:changeit" is a host and a wrong port by the grammar, and perhaps a user and a password by
// intention. An IPv6 address without its brackets is left to who says so.
Status CheckPort(std::string_view server) {
  const auto bracket = server.starts_with('[') ? server.find("]:") : std::string_view::npos;
  const auto colon = bracket == std::string_view::npos ? server.find(':') : bracket + 1;
  const bool is_address6 =
      server.find_first_not_of("0123456789abcdefABCDEF:.") == std::string_view::npos &&
      (server.find("::") != std::string_view::npos ||
       std::count(server.begin(), server.end(), ':') >= 7);
  if (colon == std::string_view::npos || is_address6 ||
      (server.starts_with('[') && bracket == std::string_view::npos)) {
    return {};
  }
  const std::string_view port = server.substr(colon + 1);
  if (ParseNumber<std::uint16_t>(port).value_or(0) != 0) {
    return {};
  }
  return Status::Invalid(fmt::format("port of host {}: wanted a number from 1 to 65535",
                                     Quote(server.substr(0, colon))));
}

Result<ServerAddress> ParseServer(std::string_view text) {
  CATCHUP_RETURN_IF_ERROR(CheckPort(text));
  CATCHUP_ASSIGN_OR_RETURN(auto found, ParseHostPort(text));
  return ServerAddress{std::move(found.host), found.port.value_or(kDefaultServerPort)};
}

Status ParseServers(std::string_view authority, std::vector<ServerAddress>* servers) {
  for (bool last = false; !last;) {
    const auto comma = authority.find(',');
    last = comma == std::string_view::npos;
    CATCHUP_ASSIGN_OR_RETURN(ServerAddress server, ParseServer(authority.substr(0, comma)));
    authority.remove_prefix(last ? authority.size() : comma + 1);
    if (std::any_of(servers->begin(), servers->end(), [&](const ServerAddress& known) {
          return known.port == server.port && LowerCase(known.host) == LowerCase(server.host);
        })) {
      return Status::Invalid(
          fmt::format("host {} twice: wanted each once", Quote(server.target())));
    }
    if (servers->size() == kMaxServers) {
      return Status::Invalid(
          fmt::format("more than {} hosts: wanted some nodes of a cluster, which know the others",
                      kMaxServers));
    }
    servers->push_back(std::move(server));
  }
  return {};
}

// What stands behind "SCHEME://".
Result<SourceUri> ParseServerUri(std::string_view rest, bool discover) {
  const auto question = rest.find('?');
  std::string_view authority = rest.substr(0, question);
  CATCHUP_RETURN_IF_ERROR(CheckSecrets(rest, authority));
  CATCHUP_RETURN_IF_ERROR(CheckVariables(authority));
  if (const auto slash = authority.find('/'); slash != std::string_view::npos) {
    if (slash + 1 != authority.size()) {
      return Status::Invalid("a path behind the host: wanted none or \"/\"");
    }
    authority = authority.substr(0, slash);
  }
  SourceUri uri;
  CATCHUP_RETURN_IF_ERROR(ParseServers(authority, &uri.servers));
  if (discover && uri.servers.size() > 1) {
    return Status::Invalid(
        fmt::format("several hosts {} behind \"+discover\": wanted one, whose name stands for all "
                    "nodes, or the scheme without \"+discover\"",
                    Quote(authority)));
  }
  uri.discover = discover || uri.servers.size() > 1;
  if (question != std::string_view::npos) {
    CATCHUP_RETURN_IF_ERROR(
        ReadConnectionSettings(rest.substr(question + 1), &uri.settings, &uri.warnings));
  }
  return uri;
}

}  // namespace

std::string ServerAddress::target() const {
  return fmt::format("{}:{}", BracketedHost(host), port);
}

std::string SourceUri::target() const {
  return servers.empty() ? std::string() : servers.front().target();
}

std::string SourceUri::targets() const {
  std::string all;
  for (const ServerAddress& server : servers) {
    all += (all.empty() ? "" : ", ") + server.target();
  }
  return all;
}

Result<SourceUri> ParseSourceUri(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) {
    return Status::Invalid("a zero byte stands in it: " + std::string(kWanted));
  }
  if (text.substr(0, kEmbedded.size()) == kEmbedded) {
    SourceUri uri;
    uri.kind = SourceUri::Kind::kEmbedded;
    uri.settings.tls = false;
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
  const std::string scheme = LowerCase(text.substr(0, colon));
  std::string_view base = scheme;
  const bool discover = base.ends_with(kDiscover);
  if (discover) {
    base.remove_suffix(kDiscover.size());
  }
  if (scheme.find_first_not_of(kSchemeCharacters) != std::string::npos) {
    // Perhaps a user and password that lack theirs. Not repeated.
    return Status::Invalid("no scheme before \"://\": " + std::string(kWanted));
  }
  if (std::find(kSchemes.begin(), kSchemes.end(), base) == kSchemes.end()) {
    return Status::Invalid(fmt::format("scheme {}: {}", Quote(scheme), kWanted));
  }
  return ParseServerUri(text.substr(colon + 3), discover);
}

}  // namespace catchup
