#include "host/config/tls_files.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/unique_fd.h"

namespace catchup {
namespace {

// The system's own bundle of all CAs has a quarter of a MiB.
constexpr std::size_t kMaxBytes = 4u << 20;

constexpr mode_t kOthers = S_IRWXO;

enum class Content : std::uint8_t { kCertificates, kKey };

// Whether a block of PEM whose name ends so begins in `text` and ends.
bool HasBlock(std::string_view text, std::string_view name) {
  const std::string mark = fmt::format("{}-----", name);
  const auto begin = text.find(mark, std::min(text.find("-----BEGIN "), text.size()));
  return begin != std::string_view::npos && text.find("-----END ", begin) != std::string_view::npos;
}

Result<std::string> Read(const std::filesystem::path& file, Content content) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    return Status::FromErrno("cannot open it", errno);
  }
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return Status::FromErrno("cannot look at it", errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return Status::Invalid("it is no regular file: wanted one in PEM");
  }
  if (content == Content::kKey && (info.st_mode & kOthers) != 0) {
    return Status::Invalid(
        fmt::format("its mode is {:04o}: wanted no access for others, as by chmod "
                    "o-rwx",
                    info.st_mode & 07777u));
  }
  if (static_cast<std::uint64_t>(info.st_size) > kMaxBytes) {
    return Status::Invalid(fmt::format("more than {} MiB: wanted certificates", kMaxBytes >> 20));
  }
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(fd.get(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return Status::FromErrno("cannot read it", errno);
    }
    if (got == 0) {
      break;
    }
    size += static_cast<std::size_t>(got);
  }
  text.resize(size);
  return text;
}

Status CheckFile(std::string_view option, const std::filesystem::path& file, Content content) {
  if (file.empty()) {
    return {};
  }
  const auto fault = [&](const std::string& text) {
    return Status::Invalid(fmt::format("{}: {}: {}", option, file.string(), text));
  };
  const auto text = Read(file, content);
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
