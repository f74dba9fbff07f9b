# Writes sample events of a small shop, one event line each:
#
#   awk -v count=30000 -f sample_events.awk > events.jsonl
#
# The same events every time. They come in tens: a customer visits, places six orders and cancels the
# first of them, then two articles are counted.

function event(stream, type, data) {
  printf "{\"stream\":\"%s\",\"type\":\"%s\",\"data\":%s}\n", stream, type, data
}

BEGIN {
  for (n = 0; n < count; ++n) {
    kind = n % 10
    visit = (n - kind) / 10
    customer = "c" visit % 200
    if (kind == 0) {
      event("customer-" customer, visit < 200 ? "customer-registered" : "customer-visited",
            "{\"customerId\":\"" customer "\"}")
    } else if (kind <= 6) {
      ++orders
      # A step that shares no factor with the number of prices walks through all of them.
      event("customer-" customer, "order-placed",
            sprintf("{\"orderId\":\"%d\",\"customerId\":\"%s\",\"amountCents\":%d}",
                    orders, customer, 100 + orders * 37 % 9900))
    } else if (kind == 7) {
      event("customer-" customer, "order-cancelled", sprintf("{\"orderId\":\"%d\"}", orders - 5))
    } else {
      event("warehouse", "stock-counted",
            sprintf("{\"sku\":\"s%d\",\"pieces\":%d}", visit * 2 % 50 + kind - 8, n % 97))
    }
  }
}
