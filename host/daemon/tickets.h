#pragma once

#include <cstdint>

#include "host/base/check.h"
#include "host/ring/layout.h"

namespace catchup {

// Which items the tickets of one spawn's present epoch stand for. An item is whatever the giver
// counts without gaps, an event's sequence for one; within an epoch items and tickets both go up by
// one. Pure; not thread safe.
class Tickets {
 public:
  // `item` was given under `ticket`: the next of both, unless it is the first of the epoch.
  void Give(Ticket ticket, std::uint64_t item) {
    if (count_ == 0) {
      first_ticket_ = ticket;
      first_item_ = item;
    }
    CATCHUP_CHECK(ticket == first_ticket_ + count_ && item == first_item_ + count_);
    ++count_;
  }

  // What was given so far is dead, as another epoch begins, or of no interest any more.
  void Forget() { count_ = 0; }

  // 0 for a ticket that was not given in this epoch.
  std::uint64_t ItemOf(Ticket ticket) const {
    return ticket - first_ticket_ < count_ ? first_item_ + (ticket - first_ticket_) : 0;
  }
  // 0 for an item that was not.
  Ticket TicketOf(std::uint64_t item) const {
    return item - first_item_ < count_ ? first_ticket_ + (item - first_item_) : 0;
  }

 private:
  Ticket first_ticket_ = 0;
  std::uint64_t first_item_ = 0;
  std::uint64_t count_ = 0;
};

}  // namespace catchup
