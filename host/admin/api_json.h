#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "host/admin/http.h"
#include "host/base/status.h"
#include "host/daemon/orders/host_control.h"

// Bodies of requests and answers, for the parts of the API.
namespace catchup {

// The answer of a host as that of the API: {"group", "state", "reason"} and "note", or "error".
HttpResponse ResponseOf(const ControlAnswer& answer);
ControlReply ReplyBy(const HttpReply& reply);

// The members of a body that may be left out.
Result<nlohmann::json> ReadObject(const std::string& body);

// Take a member out of `json`, so that what is left is known by nobody. One that is not there
// leaves *out as it is.
Status TakeBool(std::string_view name, nlohmann::json* json, bool* out);
Status TakeText(std::string_view name, nlohmann::json* json, std::string* out);
Status TakeNumber(std::string_view name, nlohmann::json* json, std::uint64_t* out);
// `known`: what there may be.
Status RefuseOthers(const nlohmann::json& json, std::string_view known);

// Who asks, in words for the log.
std::string AskedBy(const HttpRequest& request);

}  // namespace catchup
