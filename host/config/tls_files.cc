#include "host/config/tls_files.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/config/small_file.h"

namespace catchup {
namespace {

// The system's own bundle of all CAs has a quarter of a MiB.
constexpr std::size_t kMaxBytes = 4u << 20;

constexpr SmallFile kCertificateFile{kMaxBytes, 0, "", "certificates in PEM"};
constexpr SmallFile kKeyFile{kMaxBytes, S_IRWXO, "no access for others, as by chmod o-rwx",
                             "a private key in PEM"};

enum class Content : std::uint8_t { kCertificates, kKey };

// Whether a block of PEM whose name ends so begins in `text` and ends.
bool HasBlock(std::string_view text, std::string_view name) {
  const std::string mark = fmt::format("{}-----", name);
  const auto begin = text.find(mark, std::min(text.find("-----BEGIN "), text.size()));
  return begin != std::string_view::npos && text.find("-----END ", begin) != std::string_view::npos;
}

Status CheckFile(std::string_view option, const std::filesystem::path& file, Content content) {
  if (file.empty()) {
    return {};
  }
  const auto fault = [&](const std::string& text) {
    return Status::Invalid(fmt::format("{}: {}: {}", option, file.string(), text));
  };
  const auto text = ReadSmallFile(file, content == Content::kKey ? kKeyFile : kCertificateFile);
  if (!text.ok()) {
    return fault(text.status().message());
  }
  if (content == Content::kCertificates) {
    return HasBlock(*text, "CERTIFICATE")
               ? Status()
               : fault("no certificate in it: wanted \"-----BEGIN CERTIFICATE-----\" and its end");
  }
  if (text->find("ENCRYPTED") != std::string::npos) {
    return fault("the key has a passphrase: wanted one without, as by `openssl pkey`");
  }
  return HasBlock(*text, "PRIVATE KEY")
             ? Status()
             : fault("no private key in it: wanted \"-----BEGIN PRIVATE KEY-----\" and its end");
}

}  // namespace

Status CheckTlsFiles(const ConnectionSettings& settings) {
  if (!settings.tls) {
    return {};
  }
  CATCHUP_RETURN_IF_ERROR(CheckFile("tlsCaFile", settings.ca_file, Content::kCertificates));
  CATCHUP_RETURN_IF_ERROR(
      CheckFile("userCertFile", settings.certificate_file, Content::kCertificates));
  return CheckFile("userKeyFile", settings.key_file, Content::kKey);
}

}  // namespace catchup
