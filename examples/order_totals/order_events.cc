#include "order_events.h"

#include <array>
#include <catchup/json_text.hpp>
#include <catchup/plugin.hpp>
#include <charconv>
#include <system_error>

namespace order_totals {
namespace {

// The source text of the members we know, in the order of the names asked for; empty if absent.
//
// Any JSON library would do. The SDK's cursor builds no values, which is several times as fast
// where three members of a larger object are wanted.
template <std::size_t Count>
std::array<std::string_view, Count> FindMembers(std::string_view type, std::string_view data,
                                                const std::array<std::string_view, Count>& names) {
  std::array<std::string_view, Count> values;
  std::string fault;
  const auto keep = [&](const std::string& name, std::string_view value) {
    for (std::size_t i = 0; i < Count; ++i) {
      if (names[i] == name) values[i] = value;
    }
  };
  if (!catchup::VisitJsonMembers(data, keep, &fault)) {
    throw catchup::DomainError(std::string(type) + ": the data is not a JSON object");
  }
  return values;
}

// What a value is, without repeating it.
std::string_view KindOf(std::string_view value) {
  switch (value.empty() ? '\0' : value.front()) {
    case '\0':
      return "nothing";
    case '{':
      return "an object";
    case '[':
      return "a list";
    case '"':
      return value == "\"\"" ? "an empty text" : "a text";
    case 't':
    case 'f':
      return "true or false";
    case 'n':
      return "null";
    default:
      return "a number";
  }
}

[[noreturn]] void Refuse(std::string_view type, std::string_view member, std::string_view value,
                         std::string_view wanted) {
  std::string text(type);
  text.append(": \"").append(member).append("\": found ").append(KindOf(value));
  text.append(", wanted ").append(wanted);
  throw catchup::DomainError(text);
}

// The number, if `value` is a whole one without fraction or exponent.
bool ReadWhole(std::string_view value, std::int64_t* number) {
  const char* const end = value.data() + value.size();
  const auto [stop, fault] = std::from_chars(value.data(), end, *number);
  return fault == std::errc() && stop == end;
}

std::string ReadId(std::string_view type, std::string_view member, std::string_view value) {
  std::string id;
  if (std::int64_t number = 0; ReadWhole(value, &number)) return std::to_string(number);
  // Fails on a text whose escapes have no meaning in UTF-8.
  if (!catchup::JsonCursor(value).ReadString(&id) || id.empty()) {
    Refuse(type, member, value, "a text of at least one character");
  }
  return id;
}

}  // namespace

OrderPlaced ParseOrderPlaced(std::string_view data) {
  constexpr std::string_view kType = "order-placed";
  const auto [order_id, customer_id, amount] =
      FindMembers<3>(kType, data, {"orderId", "customerId", "amountCents"});
  OrderPlaced order;
  order.order_id = ReadId(kType, "orderId", order_id);
  order.customer_id = ReadId(kType, "customerId", customer_id);
  if (!ReadWhole(amount, &order.cents) || order.cents < 0 || order.cents > kMaxCents) {
    Refuse(kType, "amountCents", amount,
           "a whole number of cents from 0 to " + std::to_string(kMaxCents));
  }
  return order;
}

OrderCancelled ParseOrderCancelled(std::string_view data) {
  constexpr std::string_view kType = "order-cancelled";
  const auto [order_id] = FindMembers<1>(kType, data, {"orderId"});
  return {ReadId(kType, "orderId", order_id)};
}

}  // namespace order_totals
