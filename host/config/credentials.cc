#include "host/config/credentials.h"

#include <fmt/core.h>
#include <string.h>
#include <sys/stat.h>

#include <algorithm>
#include <catchup/json_bytes.hpp>
#include <catchup/path_text.hpp>
#include <cstdlib>
#include <system_error>
#include <utility>

#include "host/base/text.h"
#include "host/config/small_file.h"

namespace catchup {
namespace {

namespace fs = std::filesystem;

constexpr char kVariable[] = "CATCHUP_CREDENTIALS";
// A service manager puts what it was given for a service there (systemd.exec(5), LoadCredential=).
constexpr char kDirectoryVariable[] = "CREDENTIALS_DIRECTORY";
constexpr std::string_view kNameInDirectory = "kurrentdb";

constexpr std::string_view kWantedLine = "one line user:password";

constexpr SmallFile kFile{Credentials::kMaxBytes, S_IWGRP | S_IXGRP | S_IRWXO,
                          "no access for others and no writing by the group, as by chmod 0400",
                          kWantedLine};

// Whether a connection to `host` stays on this machine.
bool IsLoopback(std::string_view host) {
  const std::string name = LowerCase(host);
  return name == "localhost" || name.ends_with(".localhost") || name == "::1" ||
         (name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string::npos);
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }

// Why `line` is no user and password; empty if it is. Says nothing of what stands in it.
std::string FaultOf(std::string_view line) {
  const auto colon = line.find(':');
  if (line.empty()) {
    return "nothing in it";
  }
  if (line.starts_with("\xef\xbb\xbf")) {
    return "a byte order mark before the user";
  }
  if (line.find_first_of("\r\n") != std::string_view::npos) {
    return "more than one line";
  }
  if (std::any_of(line.begin(), line.end(), IsControl)) {
    return "a control character in it";
  }
  for (std::string_view rest = line; !rest.empty();) {
    const std::size_t size = Utf8SequenceSize(rest);
    if (size == 0) {
      return "bytes in it that are not UTF-8";
    }
    rest.remove_prefix(size);
  }
  if (colon == std::string_view::npos) {
    return "no \":\" in it";
  }
  if (colon == 0) {
    return "no user before the \":\"";
  }
  return colon + 1 == line.size() ? "no password behind the \":\"" : "";
}

// As an editor ends it.
std::string_view WithoutLineEnd(std::string_view line) {
  if (line.ends_with('\n')) {
    line.remove_suffix(1);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
  }
  return line;
}

Result<Secret> ReadLine(std::string_view text) {
  const std::string_view line = WithoutLineEnd(text);
  if (const std::string fault = FaultOf(line); !fault.empty()) {
    return Status::Invalid(fmt::format("{}: wanted {}", fault, kWantedLine));
  }
  return Secret(line);
}

std::string BasicAuthorization(std::string_view line) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string header = "Basic ";
  header.reserve(header.size() + (line.size() + 2) / 3 * 4);
  while (!line.empty()) {
    const auto byte = [&](std::size_t at) {
      return at < line.size() ? static_cast<unsigned char>(line[at]) : 0u;
    };
    const unsigned bits = byte(0) << 16 | byte(1) << 8 | byte(2);
    const std::size_t taken = std::min<std::size_t>(line.size(), 3);
    for (std::size_t digit = 0; digit < 4; ++digit) {
      header.push_back(digit <= taken ? kDigits[bits >> (18 - 6 * digit) & 63] : '=');
    }
    line.remove_prefix(taken);
  }
  return header;
}

// Out of our environment, and out of the memory that /proc shows it from.
Secret TakeVariable() {
  char* const value = ::getenv(kVariable);
  if (value == nullptr) {
    return {};
  }
  Secret taken{std::string_view(value)};
  ::explicit_bzero(value, ::strlen(value));
  ::unsetenv(kVariable);
  return taken;
}

}  // namespace

Credentials::Credentials(fs::path file, Secret given, std::string origin)
    : file_(std::move(file)), given_(std::move(given)), origin_(std::move(origin)) {}

std::shared_ptr<Credentials> Credentials::OfFile(fs::path file, std::string origin) {
  return std::shared_ptr<Credentials>(
      new Credentials(std::move(file), Secret(), std::move(origin)));
}

std::shared_ptr<Credentials> Credentials::OfLine(std::string_view line, std::string origin) {
  return std::shared_ptr<Credentials>(new Credentials({}, Secret(line), std::move(origin)));
}

Result<Secret> Credentials::Find() const {
  if (file_.empty()) {
    return ReadLine(given_.text());
  }
  auto text = ReadSmallFile(file_, kFile);
  if (!text.ok()) {
    return text.status();
  }
  auto line = ReadLine(*text);
  Wipe(&*text);
  return line;
}

Result<std::string> Credentials::Authorization() {
  const auto line = Find();
  if (!line.ok()) {
    return Status::Denied(origin_ + ": " + line.status().message());
  }
  return BasicAuthorization(line->text());
}

std::uint64_t Credentials::LookForChange() {
  auto line = Find();
  const std::string fault = line.ok() ? std::string() : line.status().message();
  const MutexLock lock(&mutex_);
  if (fault != last_fault_ || (line.ok() && line->text() != last_.text())) {
    ++changes_;
    last_fault_ = fault;
    last_ = line.ok() ? *std::move(line) : Secret();
  }
  return changes_;
}

Result<CredentialsFile> NameCredentialsFile(std::string_view key, const std::string& written) {
  constexpr std::string_view kWanted = "wanted the path of a file that holds user:password";
  // The name of a file in the same folder could as well be a password.
  const bool is_shown = written.find('/') != std::string::npos;
  if (written.empty() || written.find(':') != std::string::npos) {
    return Status::Invalid(fmt::format("{}: {}", key, kWanted));
  }
  if (const std::string fault = PathFault(written); !fault.empty()) {
    return Status::Invalid(
        is_shown ? fmt::format("{}: {}: wanted {}", key, Quoted(written, kMaxShown), fault)
                 : fmt::format("{}: {}", key, kWanted));
  }
  return CredentialsFile{written, is_shown ? fmt::format("{} {}", key, written) : std::string(key)};
}

Result<std::shared_ptr<Credentials>> FindCredentials(const SourceUri& uri,
                                                     const CredentialsFile& named) {
  const Secret variable = TakeVariable();
  std::shared_ptr<Credentials> found;
  if (uri.kind == SourceUri::Kind::kEmbedded) {
    return found;
  }
  if (!named.path.empty()) {
    found = Credentials::OfFile(named.path, named.origin);
  } else if (const char* const folder = ::getenv(kDirectoryVariable)) {
    const fs::path file = fs::path(folder) / kNameInDirectory;
    std::error_code error;
    if (fs::symlink_status(file, error).type() != fs::file_type::not_found) {
      found =
          Credentials::OfFile(file, fmt::format("${}/{}", kDirectoryVariable, kNameInDirectory));
    }
  }
  if (found == nullptr && !variable.text().empty()) {
    found = Credentials::OfLine(variable.text(), kVariable);
  }
  if (found != nullptr) {
    CATCHUP_RETURN_IF_ERROR(found->Authorization().status());
    (void)found->LookForChange();
  }
  return found;
}

std::string WarnOfReadablePassword(const SourceUri& uri) {
  if (uri.settings.tls) {
    return {};
  }
  for (const ServerAddress& server : uri.servers) {
    if (!IsLoopback(server.host)) {
      return fmt::format(
          "tls=false: the password is sent to {} readable for everybody on the way; wanted TLS",
          server.target());
    }
  }
  return {};
}

}  // namespace catchup
