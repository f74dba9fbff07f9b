// A plugin that misbehaves as the data of its events says, so that any trouble can be ordered from
// a file of events: see order.h for what stands there and misdeeds.h for what it can do.
//
// Its one setting, `journal`, is a file that gets a line for each delivery (journal.h).
//
//     [groups.a.config]
//     journal = "journal"
//
//     {"stream":"s","type":"t","data":{"do":"segv","times":2}}
//
// Two projections: `trouble` gets one event a call, `trouble-batch` up to 256.
#include <catchup/plugin.hpp>
#include <cstdint>
#include <string>

#include "tests/plugins/trouble/journal.h"
#include "tests/plugins/trouble/misdeeds.h"
#include "tests/plugins/trouble/order.h"

namespace trouble {
namespace {

void Handle(const catchup::Event& event, Journal* journal, const catchup::Host& host) {
  const Order order = ReadOrder(event.data());
  const std::uint64_t delivery = journal->Note(event, order.what);
  if (order.Due(delivery)) Do(order, host);
}

std::string JournalOf(const catchup::Host& host) {
  host.RequireOnly({"journal"});
  return host.Get("journal", std::string());
}

class Trouble : public catchup::Projection {
 public:
  explicit Trouble(catchup::Host host) : host_(host), journal_(JournalOf(host)) {}
  void Handle(const catchup::Event& event) override { trouble::Handle(event, &journal_, host_); }

 private:
  const catchup::Host host_;
  Journal journal_;
};

class TroubleBatch : public catchup::BatchProjection {
 public:
  explicit TroubleBatch(catchup::Host host) : host_(host), journal_(JournalOf(host)) {}
  void Handle(const catchup::Event& event) override { trouble::Handle(event, &journal_, host_); }
  void HandleBatch(catchup::Events events, std::uint64_t& applied) override {
    for (const catchup::Event& event : events) {
      Handle(event);
      ++applied;
    }
  }

 private:
  const catchup::Host host_;
  Journal journal_;
};

}  // namespace
}  // namespace trouble

CATCHUP_PLUGIN("trouble", "1.0.0", catchup::Offer<trouble::Trouble>("trouble"),
               catchup::Offer<trouble::TroubleBatch>("trouble-batch"))
