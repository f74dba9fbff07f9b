#ifndef ORDER_TOTALS_ORDER_EVENTS_H_
#define ORDER_TOTALS_ORDER_EVENTS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace order_totals {

// An amount above this is a mistake, and without a limit a sum could leave 64 bits.
inline constexpr std::int64_t kMaxCents = 1'000'000'000'000;

// order-placed {"orderId", "customerId", "amountCents"}
struct OrderPlaced {
  std::string order_id;
  std::string customer_id;
  std::int64_t cents = 0;  // 0 .. kMaxCents
};

// order-cancelled {"orderId"}
struct OrderCancelled {
  std::string order_id;
};

// Both read the JSON of an event's data and ignore members they do not know. An id is text, or a
// whole number, which stands for its digits. Anything else throws catchup::DomainError, which names
// the member, what was found and what was wanted, but repeats nothing of the payload, since the
// text goes into logs.
OrderPlaced ParseOrderPlaced(std::string_view data);
OrderCancelled ParseOrderCancelled(std::string_view data);

}  // namespace order_totals

#endif  // ORDER_TOTALS_ORDER_EVENTS_H_
