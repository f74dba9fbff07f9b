#include "host/base/host_port.h"

#include <arpa/inet.h>

#include <algorithm>

#include "host/base/ascii.h"
#include "host/base/number.h"
#include "host/base/str_cat.h"
#include "host/base/text.h"

namespace catchup {
namespace {

constexpr std::size_t kMaxHost = 253;  // The longest name DNS can carry.

// Enough of a wrong text to find it by.
std::string Quote(std::string_view text) { return Quoted(WithoutUserInfo(text), 80); }

bool IsHostName(std::string_view text) {
  return !text.empty() && text.size() <= kMaxHost &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsLetterOrDigit(c) || c == '-' || c == '.' || c == '_'; });
}

bool IsAddress6(std::string_view text) {
  in6_addr ignored;
  return text.find('\0') == std::string_view::npos &&
         inet_pton(AF_INET6, std::string(text).c_str(), &ignored) == 1;
}

// How an IPv6 address that stands without its brackets may be meant, by itself or with a port
// behind it; empty for what is none.
std::string BracketedForms(std::string_view text) {
  std::string forms;
  const std::string_view address = text.substr(0, text.rfind(':'));
  const auto port =
      ParseNumber<std::uint16_t>(text.substr(std::min(address.size() + 1, text.size())));
  if (port && IsAddress6(address)) {
    forms = Quote(StrCat("[", address, "]:", *port));
  }
  if (IsAddress6(text)) {
    forms += (forms.empty() ? "" : " or ") + Quote("[" + std::string(text) + "]:PORT");
  }
  return forms;
}

}  // namespace

Result<HostPort> ParseHostPort(std::string_view text) {
  HostPort found;
  std::string_view rest;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    const auto percent = text.find('%');
    if (close != std::string_view::npos && percent < close &&
        IsAddress6(text.substr(1, percent - 1))) {
      return Status::Invalid(StrCat("zone ", Quote(text.substr(percent, close - percent)),
                                    " behind the address in ", Quote(text),
                                    ": wanted an address without one, or a name"));
    }
    if (close == std::string_view::npos || !IsAddress6(text.substr(1, close - 1))) {
      return Status::Invalid(
          StrCat("host in ", Quote(text), ": wanted an IPv6 address in brackets"));
    }
    found.host = text.substr(1, close - 1);
    rest = text.substr(close + 1);
  } else {
    if (const std::string forms = BracketedForms(text); !forms.empty()) {
      return Status::Invalid("IPv6 address without brackets in " + Quote(text) + ": wanted " +
                             forms);
    }
    const auto colon = text.find(':');
    found.host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
    if (!IsHostName(found.host)) {
      return Status::Invalid(StrCat("host ", Quote(found.host),
                                    ": wanted a name, an IPv4 address or an IPv6 one in brackets"));
    }
  }
  if (!rest.empty()) {
    const auto port = ParseNumber<std::uint16_t>(rest.substr(1));
    if (rest.front() != ':' || !port) {
      return Status::Invalid(StrCat("port in ", Quote(text), ": wanted a number from 0 to 65535"));
    }
    found.port = port;
  }
  return found;
}

std::string BracketedHost(const std::string& host) {
  const bool has_brackets = host.starts_with('[');
  return has_brackets || host.find(':') == std::string::npos ? host : StrCat("[", host, "]");
}

std::string ListenAddress::text() const { return StrCat(BracketedHost(host), ":", port); }

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  CATCHUP_ASSIGN_OR_RETURN(auto found, ParseHostPort(text));
  if (!found.port.has_value()) {
    return Status::Invalid(StrCat("no port in ", Quote(text), ": wanted HOST:PORT"));
  }
  return ListenAddress{std::move(found.host), *found.port};
}

}  // namespace catchup
