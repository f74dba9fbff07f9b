#include "host/admin/letter_api.h"

#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "host/admin/api_json.h"
#include "host/admin/letter_query.h"
#include "host/store/letter.h"
#include "host/store/letter_pages.h"

namespace catchup {
namespace {

constexpr std::string_view kNoReason = "member \"reason\" is missing or empty, wanted why";

Result<LetterView> TakeView(LetterOptions* options) {
  const auto view = options->extract("view");
  const std::string name = view ? view.mapped() : "list";
  if (name == "list") {
    return LetterView::kList;
  }
  if (name == "details") {
    return LetterView::kDetails;
  }
  if (name == "events") {
    return LetterView::kEvents;
  }
  return Status::Invalid("view " + name + ": wanted list, details or events");
}

// What was read, as the answer to a request.
HttpResponse Found(Result<std::string> body) {
  return body.ok() ? HttpResponse{200, *std::move(body), {}}
                   : ErrorResponse(503, body.status().message());
}

void ListLetters(HostControl* control, const Router::Call& call, const HttpReply& reply) {
  LetterOptions options(call.query.begin(), call.query.end());
  const auto view = TakeView(&options);
  const auto filter = view.ok() ? ReadLetterFilter(options) : view.status();
  if (!filter.ok()) {
    reply(ErrorResponse(400, filter.status().message()));
    return;
  }
  const std::string& group = call.path.at("group");
  control->ReadLetters(
      group,
      [group, filter = *filter, view = *view, reply](LetterReader* reader) {
        reply(Found(LetterPage(group, filter, view, reader)));
      },
      ReplyBy(reply));
}

void ShowLetter(HostControl* control, const Router::Call& call, const HttpReply& reply) {
  const auto id = ReadLetterId(call.path.at("id"));
  if (!id.ok()) {
    reply(ErrorResponse(400, id.status().message()));
    return;
  }
  const std::string& group = call.path.at("group");
  control->ReadLetters(
      group,
      [group, id = *id, reply](LetterReader* reader) {
        auto letter = OneLetter(group, id, reader);
        if (letter.ok() && !letter->has_value()) {
          // Not 404, which says that there is no such group.
          reply(ErrorResponse(409, NoLetterText(group, id)));
          return;
        }
        reply(Found(letter.ok() ? Result<std::string>(**std::move(letter)) : letter.status()));
      },
      ReplyBy(reply));
}

template <Result<std::string> (*read)(std::string_view, LetterReader*)>
void ShowAll(HostControl* control, const Router::Call& call, const HttpReply& reply) {
  const std::string& group = call.path.at("group");
  control->ReadLetters(
      group, [group, reply](LetterReader* reader) { reply(Found(read(group, reader))); },
      ReplyBy(reply));
}

Status TakeReason(nlohmann::json* json, LetterCommand* order) {
  CATCHUP_RETURN_IF_ERROR(TakeText("reason", json, &order->reason));
  if (order->reason.find_first_not_of(" \t\r\n") == std::string::npos) {
    return Status::Invalid(std::string(kNoReason));
  }
  return order->reason.size() <= kMaxOperatorReason
             ? Status()
             : Status::Invalid(fmt::format("member \"reason\" has {} bytes, wanted at most {}",
                                           order->reason.size(), kMaxOperatorReason));
}

Result<LetterCommand> ReadRetry(const Router::Call& call) {
  LetterCommand order;
  CATCHUP_ASSIGN_OR_RETURN(order.position, ReadLetterId(call.path.at("id")));
  CATCHUP_ASSIGN_OR_RETURN(auto json, ReadObject(call.request.body));
  CATCHUP_RETURN_IF_ERROR(TakeNumber("after", &json, &order.after));
  CATCHUP_RETURN_IF_ERROR(RefuseOthers(json, "after"));
  return order;
}

Result<LetterCommand> ReadDrop(const Router::Call& call) {
  LetterCommand order;
  order.kind = LetterCommand::Kind::kDrop;
  CATCHUP_ASSIGN_OR_RETURN(order.position, ReadLetterId(call.path.at("id")));
  CATCHUP_ASSIGN_OR_RETURN(auto json, ReadObject(call.request.body));
  CATCHUP_RETURN_IF_ERROR(TakeReason(&json, &order));
  CATCHUP_RETURN_IF_ERROR(RefuseOthers(json, "reason"));
  return order;
}

Result<LetterCommand> ReadPark(const Router::Call& call) {
  LetterCommand order;
  std::string event;
  CATCHUP_ASSIGN_OR_RETURN(auto json, ReadObject(call.request.body));
  CATCHUP_RETURN_IF_ERROR(TakeText("event", &json, &event));
  CATCHUP_RETURN_IF_ERROR(TakeText("type", &json, &order.type));
  CATCHUP_RETURN_IF_ERROR(TakeReason(&json, &order));
  CATCHUP_RETURN_IF_ERROR(RefuseOthers(json, "event or type, and reason"));
  if (event.empty() == order.type.empty()) {
    return Status::Invalid("found " + std::string(event.empty() ? "neither" : "both") +
                           " of the members \"event\" and \"type\", wanted one of them");
  }
  order.kind = event.empty() ? LetterCommand::Kind::kParkType : LetterCommand::Kind::kParkEvent;
  if (!event.empty()) {
    CATCHUP_ASSIGN_OR_RETURN(order.position, ReadLetterId(event));
  }
  return order;
}

Result<LetterCommand> ReadUnpark(const Router::Call& call) {
  LetterCommand order;
  order.kind = LetterCommand::Kind::kUnparkType;
  CATCHUP_ASSIGN_OR_RETURN(auto json, ReadObject(call.request.body));
  CATCHUP_RETURN_IF_ERROR(TakeText("type", &json, &order.type));
  CATCHUP_RETURN_IF_ERROR(RefuseOthers(json, "type"));
  if (order.type.empty()) {
    return Status::Invalid("member \"type\" is missing or empty, wanted an event type");
  }
  return order;
}

}  // namespace

void AddLetterRoutes(HostControl* control, Router* router) {
  using Read = void (*)(HostControl*, const Router::Call&, const HttpReply&);
  const auto get = [&](std::string_view pattern, Read read) {
    router->Add("GET", pattern, [control, read](const Router::Call& call, const HttpReply& reply) {
      read(control, call, reply);
    });
  };
  get("/api/groups/{group}/letters", ListLetters);
  get("/api/groups/{group}/letters/{id}", ShowLetter);
  get("/api/groups/{group}/dropped", ShowAll<DroppedLetters>);
  get("/api/groups/{group}/held", ShowAll<HeldTypes>);

  using Parse = Result<LetterCommand> (*)(const Router::Call&);
  const auto post = [&](std::string_view pattern, Parse parse) {
    router->Add("POST", pattern,
                [control, parse](const Router::Call& call, const HttpReply& reply) {
                  const auto order = parse(call);
                  if (!order.ok()) {
                    reply(ErrorResponse(400, order.status().message()));
                    return;
                  }
                  control->OrderLetter(call.path.at("group"), *order, AskedBy(call.request),
                                       ReplyBy(reply));
                });
  };
  post("/api/groups/{group}/letters/{id}/retry", ReadRetry);
  post("/api/groups/{group}/letters/{id}/drop", ReadDrop);
  post("/api/groups/{group}/park", ReadPark);
  post("/api/groups/{group}/unpark", ReadUnpark);
}

}  // namespace catchup
