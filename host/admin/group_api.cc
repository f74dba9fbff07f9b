#include "host/admin/group_api.h"

#include <string>

#include "host/admin/api_json.h"

namespace catchup {
namespace {

using Json = nlohmann::json;

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
