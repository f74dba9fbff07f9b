// What each customer has ordered, exactly once: effects and position in one SQLite transaction.
//
// Configuration: `database`, whose relative path counts from the working directory. Events:
//
//   order-placed    {"orderId": "7", "customerId": "ann", "amountCents": 1250}
//   order-cancelled {"orderId": "7"}
//
// Other types are ignored. The result is the table
// order_totals(customer_id TEXT PRIMARY KEY, orders INTEGER, cents INTEGER). totals_store.h says
// what happens to orders that are placed or cancelled twice.

#include <catchup/plugin.hpp>
#include <optional>
#include <string>

#include "database.h"
#include "order_events.h"
#include "totals_store.h"

namespace order_totals {
namespace {

class OrderTotals : public catchup::PositionProjection {
 public:
  // A commit costs about what handling ten events does; the lock is held this long.
  static constexpr std::uint32_t kMaxEvents = 512;

  explicit OrderTotals(catchup::Host host) : host_(host), path_(host.RequirePath("database")) {
    host.RequireOnly({"database"});
  }

  void Start() override { store_.emplace(path_); }
  void Stop() override { store_.reset(); }

  std::optional<catchup_position> LoadPosition(std::uint64_t token) override {
    Transaction transaction(store_->database());
    const auto position = store_->Load(host_.group(), token);
    transaction.Commit();
    return position;
  }

  void HandleAt(catchup::Events events, std::optional<catchup_position> previous,
                catchup_position position, std::uint64_t token) override {
    Transaction transaction(store_->database());
    // The position goes first: if an earlier try was committed and only its answer was lost, its
    // effects are in the tables and must not be applied again.
    if (!store_->Move(host_.group(), previous, position, token)) return;
    Apply(events);
    transaction.Commit();
  }

  void SetPosition(std::optional<catchup_position> position, std::uint64_t token) override {
    Transaction transaction(store_->database());
    store_->Set(host_.group(), position, token);
    transaction.Commit();
  }

  // Without a position, for trying the plugin on a file. At least once, but the same totals, since
  // an order that comes twice counts once.
  void Handle(const catchup::Event& event) {
    const catchup_event* const one = &event.raw();
    Transaction transaction(store_->database());
    Apply(catchup::Events(&one, 1));
    transaction.Commit();
  }

 private:
  void Apply(catchup::Events events) {
    store_->DropTotals();  // What a call that failed left behind.
    for (const catchup::Event event : events) {
      if (event.type() == "order-placed") {
        store_->Place(ParseOrderPlaced(event.data()));
      } else if (event.type() == "order-cancelled") {
        if (!store_->Cancel(ParseOrderCancelled(event.data()))) {
          host_.Debug("order-cancelled: found no such order to cancel, changed nothing");
        }
      }
    }
    store_->WriteTotals();
  }

  catchup::Host host_;
  std::string path_;
  std::optional<TotalsStore> store_;  // While started.
};

}  // namespace
}  // namespace order_totals

CATCHUP_PLUGIN("order_totals", "1.0.0", catchup::Offer<order_totals::OrderTotals>("order-totals"))
