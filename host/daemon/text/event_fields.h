#pragma once

#include <string>
#include <vector>

#include "host/base/event.h"
#include "host/base/log_line.h"
#include "host/daemon/text/trace_ids.h"

namespace catchup {

// What a log line says about the event that it concerns: `event` for people, and its parts for
// programs. Holds what the fields borrow, so it must live until the line is written; the event
// itself must, too.
class EventFields {
 public:
  // No event, or one that is no longer at hand: `event` is "none" and there are no others.
  EventFields() = default;
  explicit EventFields(const EventView& event);

  void AddTo(std::vector<LogField>* fields) const;
  // "ID STREAM@REVISION TYPE at POSITION", or "none".
  const std::string& text() const { return text_; }
  // " of ID STREAM@REVISION TYPE at POSITION", to follow the name of a call, or nothing.
  std::string of() const { return known_ ? " of " + text_ : std::string(); }

 private:
  EventView event_{};
  bool known_ = false;
  std::string text_ = "none";
  std::string id_;
  std::string position_;
  TraceIds trace_;
};

}  // namespace catchup
