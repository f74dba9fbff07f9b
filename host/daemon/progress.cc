#include "host/daemon/progress.h"

#include <algorithm>
#include <cstdio>

#include "host/base/time_text.h"

namespace catchup {
namespace {

// How much the newest rate counts against those before it, so that the time left does not jump.
constexpr double kNewest = 0.3;

}  // namespace

std::string ProgressLine::Format(const GroupStatus& status,
                                 std::chrono::steady_clock::time_point now, std::size_t columns) {
  const std::uint64_t commit = status.position.value_or(Position{}).commit;
  Seen& seen = seen_[status.name];
  if (seen.at.time_since_epoch().count() != 0 && commit >= seen.commit) {
    const double seconds = std::chrono::duration<double>(now - seen.at).count();
    const double rate = seconds > 0 ? static_cast<double>(commit - seen.commit) / seconds : 0;
    seen.bytes_per_second =
        seen.bytes_per_second == 0 ? rate : (1 - kNewest) * seen.bytes_per_second + kNewest * rate;
  }
  seen.commit = commit;
  seen.at = now;
  std::string line = status.name + "  " + std::string(GroupStateName(status.state));
  const auto add = [&](const std::string& field) {
    if (line.size() + 2 + field.size() < columns) {
      line += "  " + field;
    }
  };
  add(FormatCount(status.processed) + " events");
  add(FormatCount(static_cast<std::uint64_t>(status.rate)) + "/s");
  if (status.head.has_value() && status.head->commit != 0) {
    const std::uint64_t head = std::max(status.head->commit, commit);
    char percent[16];
    std::snprintf(percent, sizeof percent, "%.1f %%",
                  100.0 * static_cast<double>(commit) / static_cast<double>(head));
    add(percent);
    if (commit < head && seen.bytes_per_second > 0) {
      const double left = static_cast<double>(head - commit) / seen.bytes_per_second;
      add("ETA " + FormatDuration(std::chrono::nanoseconds(
                       static_cast<std::int64_t>(std::min(left, 1e8) * 1e9))));
    }
    add("at " + FormatCount(commit) + " of " + FormatCount(head));
  }
  if (!status.reason.empty()) {
    line += "  " + status.reason;
  }
  return line;
}

}  // namespace catchup
