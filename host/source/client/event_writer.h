#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/status.h"
#include "host/source/client/appender.h"

namespace catchup {

// Writes a file's events in file order with as few appends as that order allows: consecutive events
// of one stream go together, up to the limits below, and one append ends before the next begins, so
// that the log holds them in the order of their lines.
//
// One thread. After a failure nothing more is written: Add and Flush return the same failure.
class EventWriter {
 public:
  // A server's default limit on one append is 1 MiB; staying below it needs no question.
  static constexpr std::uint64_t kMaxBatchBytes = (1u << 20) - 1;
  static constexpr std::size_t kMaxBatchEvents = 1000;

  // `appender` must outlive this.
  explicit EventWriter(Appender* appender) : appender_(appender) {}

  // Takes an event that stood at `line`. May write the ones before it. A single event larger than
  // kMaxBatchBytes goes alone: whether it is too large is the server's word.
  Status Add(std::string_view stream, NewEvent event, std::uint64_t line);

  // Writes what Add has taken and not yet written.
  Status Flush();

  // Events confirmed by the server, and the line of the last of them, 0 for none.
  std::uint64_t written() const { return written_; }
  std::uint64_t last_line() const { return last_line_; }

 private:
  Appender* appender_;
  std::string stream_;
  std::vector<NewEvent> batch_;
  std::uint64_t batch_bytes_ = 0;
  std::uint64_t batch_line_ = 0;  // Line of the batch's last event.
  std::uint64_t written_ = 0;
  std::uint64_t last_line_ = 0;
  Status failure_;
};

}  // namespace catchup
