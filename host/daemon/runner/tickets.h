#pragma once

#include <cstddef>
#include <cstdint>

#include "host/base/check.h"
#include "host/base/fifo.h"
#include "host/ring/layout.h"

namespace catchup {

// Which items the tickets of one spawn's present epoch stand for. An item is whatever the giver
// counts, an event's sequence for one. Within an epoch tickets go up by one and items go up; those
// between that the runner is not given, a letter's followers for one, are left out. Holds one entry
// for each stretch of items side by side that is not settled. Pure; not thread safe.
class Tickets {
 public:
  // `item` was given under `ticket`: the next ticket, unless it is the first of the epoch.
  void Give(Ticket ticket, std::uint64_t item) {
    if (!stretches_.empty()) {
      Stretch& last = stretches_.back();
      CATCHUP_CHECK(ticket == last.ticket + last.count && item >= last.item + last.count);
      if (item == last.item + last.count) {
        ++last.count;
        return;
      }
    }
    stretches_.push_back({ticket, item, 1});
  }

  // What was given so far is dead, as another epoch begins, or of no interest any more.
  void Forget() {
    while (!stretches_.empty()) {
      stretches_.pop_front();
    }
  }
  // Nobody asks for what lies before this ticket any more.
  void ForgetBefore(Ticket ticket) {
    while (stretches_.size() > 1 && stretches_[1].ticket <= ticket) {
      stretches_.pop_front();
    }
  }

  // The ticket of the item given last; 0 if there is none.
  Ticket last() const {
    return stretches_.empty() ? 0 : stretches_.back().ticket + stretches_.back().count - 1;
  }

  // 0 for a ticket that was not given in this epoch.
  std::uint64_t ItemOf(Ticket ticket) const {
    for (std::size_t i = stretches_.size(); i > 0; --i) {
      const Stretch& stretch = stretches_[i - 1];
      if (ticket >= stretch.ticket) {
        return ticket - stretch.ticket < stretch.count ? stretch.item + (ticket - stretch.ticket)
                                                       : 0;
      }
    }
    return 0;
  }
  // That of the first item given that is not before `item`; 0 if there is none.
  Ticket TicketOf(std::uint64_t item) const {
    Ticket found = 0;
    for (std::size_t i = stretches_.size(); i > 0; --i) {
      const Stretch& stretch = stretches_[i - 1];
      if (item >= stretch.item + stretch.count) {
        break;
      }
      found = stretch.ticket + (item > stretch.item ? item - stretch.item : 0);
    }
    return found;
  }

 private:
  struct Stretch {
    Ticket ticket = 0;
    std::uint64_t item = 0;
    std::uint64_t count = 0;
  };

  Fifo<Stretch> stretches_;
};

}  // namespace catchup
