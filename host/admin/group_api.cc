#include "host/admin/group_api.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/base/text.h"

namespace catchup {
namespace {

using Json = nlohmann::json;

// Of a member's name in a message.
constexpr std::size_t kMaxShown = 80;

int StatusOf(ControlAnswer::Kind kind) {
  switch (kind) {
    case ControlAnswer::Kind::kDone:
      return 200;
    case ControlAnswer::Kind::kNoSuchGroup:
      return 404;
    case ControlAnswer::Kind::kRefused:
      return 409;
    case ControlAnswer::Kind::kFailed:
    case ControlAnswer::Kind::kEnding:
      return 503;
    case ControlAnswer::Kind::kTimedOut:
      break;
  }
  return 504;
}

// Reasons hold what plugins and servers say, so any bytes.
std::string Text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpResponse ResponseOf(const ControlAnswer& answer) {
  if (answer.kind == ControlAnswer::Kind::kNoSuchGroup) {
    return ErrorResponse(404, answer.text);
  }
  Json json;
  if (answer.kind != ControlAnswer::Kind::kDone) {
    json["error"] = answer.text;
    if (answer.expected) {
      json["expected"] = true;
    }
  } else if (!answer.text.empty()) {
    json["note"] = answer.text;
  }
  json["group"] = answer.group;
  json["state"] = std::string(GroupStateName(answer.state));
  json["reason"] = answer.reason;
  return {StatusOf(answer.kind), Text(json), {}};
}

ControlReply ReplyBy(const HttpReply& reply) {
  return [reply](const ControlAnswer& answer) { reply(ResponseOf(answer)); };
}

// The members of a body that may be left out. Kept as an object: the library takes no exceptions
// across its borders with `allow_exceptions` false.
Result<Json> ReadObject(const std::string& body) {
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Json::object();
  }
  Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) {
    return Status::Invalid(std::string("the body is ") +
                           (json.is_discarded() ? "no JSON" : json.type_name()) +
                           ", wanted a JSON object");
  }
  return json;
}

// Takes a member out of `json`, so that what is left is known by nobody.
Status TakeBool(std::string_view name, Json* json, bool* out) {
  const auto at = json->find(name);
  if (at == json->end()) {
    return {};
  }
  if (!at->is_boolean()) {
    return Status::Invalid("member \"" + std::string(name) + "\" is " + at->type_name() +
                           ", wanted true or false");
  }
  *out = at->get<bool>();
  json->erase(at);
  return {};
}

Status RefuseOthers(const Json& json, std::string_view known) {
  if (json.empty()) {
    return {};
  }
  return Status::Invalid("unknown member " + Quoted(json.begin().key(), kMaxShown) + ", wanted " +
                         std::string(known));
}

Status ReadStart(const std::string& body, StartOrder* order) {
  CATCHUP_ASSIGN_OR_RETURN(auto json, ReadObject(body));
  CATCHUP_RETURN_IF_ERROR(TakeBool("acceptFilter", &json, &order->accept_filter));
  CATCHUP_RETURN_IF_ERROR(TakeBool("takeOver", &json, &order->take_over));
  return RefuseOthers(json, "acceptFilter or takeOver");
}

Result<ResetTarget> ReadReset(const std::string& body) {
  CATCHUP_ASSIGN_OR_RETURN(auto json, ReadObject(body));
  const auto to = json.find("to");
  if (to == json.end() || !to->is_string()) {
    return Status::Invalid(
        "member \"to\" is missing or no text, wanted \"beginning\", "
        "\"last-good\" or \"commit:prepare\"");
  }
  auto target = ParseResetTarget(to->get<std::string>());
  if (!target.ok()) {
    return target.status().Within("member \"to\"");
  }
  json.erase(to);
  CATCHUP_RETURN_IF_ERROR(RefuseOthers(json, "to"));
  return target;
}

std::string AskedBy(const HttpRequest& request) {
  return "user " + std::to_string(request.peer.user) + ", pid " + std::to_string(request.peer.pid);
}

}  // namespace

void AddGroupRoutes(HostControl* control, Router* router) {
  router->Add("POST", "/api/groups/{group}/stop",
              [control](const Router::Call& call, const HttpReply& reply) {
                const auto json = ReadObject(call.request.body);
                const Status read = json.ok() ? RefuseOthers(*json, "none") : json.status();
                if (!read.ok()) {
                  reply(ErrorResponse(400, read.message()));
                  return;
                }
                control->StopGroup(call.path.at("group"), AskedBy(call.request), ReplyBy(reply));
              });
  router->Add("POST", "/api/groups/{group}/start",
              [control](const Router::Call& call, const HttpReply& reply) {
                StartOrder order;
                if (const Status read = ReadStart(call.request.body, &order); !read.ok()) {
                  reply(ErrorResponse(400, read.message()));
                  return;
                }
                control->StartGroup(call.path.at("group"), order, AskedBy(call.request),
                                    ReplyBy(reply));
              });
  router->Add("POST", "/api/groups/{group}/reset",
              [control](const Router::Call& call, const HttpReply& reply) {
                const auto target = ReadReset(call.request.body);
                if (!target.ok()) {
                  reply(ErrorResponse(400, target.status().message()));
                  return;
                }
                control->ResetGroup(call.path.at("group"), *target, AskedBy(call.request),
                                    ReplyBy(reply));
              });
}

}  // namespace catchup
