# Writes sample events of a small shop, one event line each:
#
#   awk -v count=30000 -f sample_events.awk > events.jsonl
#
# The same events every time. Of ten events six are orders, one cancels an earlier order that was not
# cancelled yet, two are stock counts and one is a new customer.

function event(stream, type, data) {
  printf "{\"stream\":\"%s\",\"type\":\"%s\",\"data\":%s}\n", stream, type, data
}

BEGIN {
  for (n = 0; n < count; ++n) {
    kind = n % 10
    if (kind == 0) {
      customer = n / 10
      event("customer-" customer, "customer-registered", "{\"customerId\":\"c" customer % 200 "\"}")
    } else if (kind <= 6) {
      ++orders
      # Two steps that share no factor with the sizes walk through all customers and prices.
      event("order-" orders, "order-placed",
            sprintf("{\"orderId\":\"%d\",\"customerId\":\"c%d\",\"amountCents\":%d}",
                    orders, orders * 7 % 200, 100 + orders * 37 % 9900))
    } else if (kind == 7) {
      # The oldest of the six just placed: each is cancelled once at most.
      event("order-" orders - 5, "order-cancelled", sprintf("{\"orderId\":\"%d\"}", orders - 5))
    } else {
      event("stock-" n % 50, "stock-counted", sprintf("{\"sku\":\"s%d\",\"pieces\":%d}",
                                                      n % 50, n % 97))
    }
  }
}
