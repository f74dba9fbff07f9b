// Any text as the source of a configuration. What is accepted is whole, what is refused says why on
// one line, and a user or password is never repeated.
#include <array>
#include <string>
#include <string_view>

#include "host/base/check.h"
#include "host/base/host_port.h"
#include "host/config/source_uri.h"
#include "tests/fuzz/input.h"

namespace catchup {
namespace {

void CheckRefusal(const Status& status) {
  CATCHUP_CHECK(status.code() == Status::Code::kInvalid);
  CATCHUP_CHECK(!status.message().empty() && fuzz::IsOneLine(status.message()));
}

void CheckServers(const SourceUri& uri) {
  CATCHUP_CHECK(!uri.servers.empty() && uri.servers.size() <= kMaxServers);
  CATCHUP_CHECK(uri.discover || uri.servers.size() == 1);
  for (const ServerAddress& server : uri.servers) {
    const auto again = ParseHostPort(server.target());
    CATCHUP_CHECK(again.ok() && again->host == server.host && again->port == server.port);
  }
  const ConnectionSettings& settings = uri.settings;
  CATCHUP_CHECK(settings.certificate_file.empty() == settings.key_file.empty());
  CATCHUP_CHECK(settings.deadline.count() > 0 && settings.gossip_timeout.count() > 0);
  CATCHUP_CHECK(settings.connection_name.size() <= ConnectionSettings::kMaxName);
  CATCHUP_CHECK(fuzz::IsOneLine(settings.connection_name));
}

// A secret where connection strings have it, whatever stands around it.
void CheckSecret(std::string_view input) {
  constexpr std::string_view kSecret = "zQ9~secret~Qz";
  std::array<std::string, 3> parts;
  for (std::size_t i = 0; i < input.size(); ++i) {
    parts[3 * i / input.size()].push_back(input[i]);
  }
  for (const std::string_view mark : {"@", "%40"}) {
    // An "@" in its other form is one only where no option can be.
    if (mark != "@" && input.find('?') != std::string_view::npos) {
      break;
    }
    std::string text = "kdb://user:" + parts[0];
    text.append(kSecret).append(parts[1]).append(mark).append(parts[2]);
    const auto uri = ParseSourceUri(text);
    CATCHUP_CHECK(uri.ok() || uri.status().message().find(kSecret) == std::string::npos);
  }
}

}  // namespace
}  // namespace catchup

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace catchup;
  const std::string_view text = fuzz::AsText(bytes, size);
  const auto uri = ParseSourceUri(text);
  if (!uri.ok()) {
    CheckRefusal(uri.status());
  } else if (uri->kind == SourceUri::Kind::kServer) {
    CheckServers(*uri);
  } else {
    CATCHUP_CHECK(!uri->path.empty());
  }
  CheckSecret(text);
  return 0;
}
