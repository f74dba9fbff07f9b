#include "tests/plugins/trouble/order.h"

#include <unistd.h>

#include <catchup/plugin.hpp>
#include <nlohmann/json.hpp>

namespace trouble {
namespace {

using Json = nlohmann::json;

[[noreturn]] void Refuse(const char* key, const Json& found, const char* wanted) {
  throw catchup::Fatal(std::string("order: ") + key + " is " + found.dump() + ", wanted " + wanted);
}

void ReadText(const Json& order, const char* key, std::string* text) {
  const auto found = order.find(key);
  if (found == order.end()) return;
  if (!found->is_string()) Refuse(key, *found, "a text");
  *text = found->get<std::string>();
}

void ReadNumber(const Json& order, const char* key, std::optional<std::uint64_t>* number) {
  const auto found = order.find(key);
  if (found == order.end()) return;
  if (!found->is_number_unsigned()) Refuse(key, *found, "a number that is not negative");
  *number = found->get<std::uint64_t>();
}

}  // namespace

bool Order::Due(std::uint64_t delivery) const {
  return (!times.has_value() || delivery <= *times) &&
         (until.empty() || access(until.c_str(), F_OK) != 0);
}

Order ReadOrder(std::string_view data) {
  Order order;
  const Json read = Json::parse(data, nullptr, false);
  if (!read.is_object()) return order;
  ReadText(read, "do", &order.what);
  ReadText(read, "text", &order.text);
  ReadText(read, "until", &order.until);
  ReadNumber(read, "times", &order.times);
  ReadNumber(read, "bytes", &order.bytes);
  ReadNumber(read, "ms", &order.ms);
  return order;
}

}  // namespace trouble
