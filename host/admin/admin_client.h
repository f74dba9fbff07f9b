#pragma once

#include <chrono>
#include <filesystem>

#include "host/admin/http.h"
#include "host/base/status.h"

namespace catchup {

// Sends one request to the host that runs on `directory` and waits for its answer, of whatever
// status. Blocks.
//
// kNotFound, kDenied, kUnavailable: as ConnectToAdminSocket; nothing was asked. kCancelled: the
// host ended before it answered, and may have done what it was asked for or not. kExhausted: no
// answer within `limit`; it may come to be done all the same.
Result<HttpResponse> AskHost(const std::filesystem::path& directory, const HttpRequest& request,
                             std::chrono::milliseconds limit);

}  // namespace catchup
