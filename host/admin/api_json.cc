#include "host/admin/api_json.h"

#include <fmt/core.h>

#include "host/base/position.h"
#include "host/base/text.h"

namespace catchup {
namespace {

using Json = nlohmann::json;

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

std::string_view NameOf(LetterOutcome::Kind kind) {
  switch (kind) {
    case LetterOutcome::Kind::kWaiting:
      return "waiting";
    case LetterOutcome::Kind::kHealed:
      return "healed";
    case LetterOutcome::Kind::kFailed:
      return "failed";
    case LetterOutcome::Kind::kDropped:
      return "dropped";
    case LetterOutcome::Kind::kRefused:
      return "refused";
    case LetterOutcome::Kind::kGone:
      break;
  }
  return "gone";
}

// What became of a retry.
Json OutcomeOf(const LetterOutcome& outcome) {
  Json json = {{"id", FormatPosition(outcome.position)},
               {"result", std::string(NameOf(outcome.kind))}};
  if (outcome.kind == LetterOutcome::Kind::kWaiting) {
    json["after"] = outcome.number;
  }
  if (outcome.kind == LetterOutcome::Kind::kFailed) {
    json["state"] = std::string(StoredStateName(outcome.state));
    json["class"] = std::string(StoredClassName(outcome.failed));
  }
  if (outcome.kind == LetterOutcome::Kind::kFailed || !outcome.text.empty()) {
    json["reason"] = outcome.text;
  }
  return json;
}

template <typename T>
Status Take(std::string_view name, bool (Json::*is)() const noexcept, const char* wanted,
            Json* json, T* out) {
  const auto at = json->find(name);
  if (at == json->end()) {
    return {};
  }
  if (!((*at).*is)()) {
    return Status::Invalid("member \"" + std::string(name) + "\" is " + at->type_name() +
                           ", wanted " + wanted);
  }
  *out = at->get<T>();
  json->erase(at);
  return {};
}

}  // namespace

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
  if (answer.letter.has_value()) {
    json["letter"] = OutcomeOf(*answer.letter);
  }
  json["group"] = answer.group;
  json["state"] = std::string(GroupStateName(answer.state));
  json["reason"] = answer.reason;
  return {StatusOf(answer.kind), Text(json), {}};
}

ControlReply ReplyBy(const HttpReply& reply) {
  return [reply](const ControlAnswer& answer) { reply(ResponseOf(answer)); };
}

// Kept as an object: the library takes no exceptions across its borders with `allow_exceptions`
// false.
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

Status TakeBool(std::string_view name, Json* json, bool* out) {
  return Take(name, &Json::is_boolean, "true or false", json, out);
}

Status TakeText(std::string_view name, Json* json, std::string* out) {
  return Take(name, &Json::is_string, "a text", json, out);
}

Status TakeNumber(std::string_view name, Json* json, std::uint64_t* out) {
  return Take(name, &Json::is_number_unsigned, "a number from 0", json, out);
}

Status RefuseOthers(const Json& json, std::string_view known) {
  if (json.empty()) {
    return {};
  }
  return Status::Invalid("unknown member " + Quoted(json.begin().key(), kMaxShown) + ", wanted " +
                         std::string(known));
}

std::string AskedBy(const HttpRequest& request) {
  return fmt::format("user {}, pid {}", request.peer.user, request.peer.pid);
}

}  // namespace catchup
