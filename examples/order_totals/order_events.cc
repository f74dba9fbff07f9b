#include "order_events.h"

#include <catchup/plugin.hpp>
#include <nlohmann/json.hpp>
#include <utility>

namespace order_totals {
namespace {

using Json = nlohmann::json;

[[noreturn]] void Refuse(std::string_view type, std::string_view member, std::string_view found,
                         std::string_view wanted) {
  std::string text(type);
  text.append(": \"").append(member).append("\": found ").append(found);
  text.append(", wanted ").append(wanted);
  throw catchup::Reject(text);
}

Json ParseObject(std::string_view type, std::string_view data) {
  Json json = Json::parse(data, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    throw catchup::Reject(std::string(type) + ": found data that is not JSON, wanted an object");
  }
  if (!json.is_object()) {
    throw catchup::Reject(std::string(type) + ": found " + json.type_name() + ", wanted an object");
  }
  return json;
}

std::string TakeId(std::string_view type, Json& json, const char* member) {
  constexpr std::string_view kWanted = "a text that is not empty";
  const auto found = json.find(member);
  if (found == json.end()) Refuse(type, member, "nothing", kWanted);
  if (found->is_number_unsigned()) return std::to_string(found->get<std::uint64_t>());
  if (found->is_number_integer()) return std::to_string(found->get<std::int64_t>());
  if (!found->is_string()) Refuse(type, member, found->type_name(), kWanted);
  std::string id = std::move(found->get_ref<std::string&>());
  if (id.empty()) Refuse(type, member, "an empty text", kWanted);
  return id;
}

}  // namespace

OrderPlaced ParseOrderPlaced(std::string_view data) {
  constexpr std::string_view kType = "order-placed";
  constexpr std::string_view kWanted = "a whole number of cents from 0 to 1000000000000";
  Json json = ParseObject(kType, data);
  OrderPlaced order;
  order.order_id = TakeId(kType, json, "orderId");
  order.customer_id = TakeId(kType, json, "customerId");
  const auto cents = json.find("amountCents");
  if (cents == json.end()) Refuse(kType, "amountCents", "nothing", kWanted);
  // The parser calls a number without sign unsigned, so every number in range is of that kind.
  if (!cents->is_number_unsigned()) {
    Refuse(kType, "amountCents",
           cents->is_number() ? "a negative number or a fraction" : cents->type_name(), kWanted);
  }
  if (cents->get<std::uint64_t>() > static_cast<std::uint64_t>(kMaxCents)) {
    Refuse(kType, "amountCents", "a larger number", kWanted);
  }
  order.cents = cents->get<std::int64_t>();
  return order;
}

OrderCancelled ParseOrderCancelled(std::string_view data) {
  constexpr std::string_view kType = "order-cancelled";
  Json json = ParseObject(kType, data);
  return {TakeId(kType, json, "orderId")};
}

}  // namespace order_totals
