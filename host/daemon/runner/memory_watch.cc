#include "host/daemon/runner/memory_watch.h"

#include <fmt/core.h>

#include <algorithm>
#include <utility>

#include "host/config/table_reader.h"
#include "host/plugins/control_group.h"

namespace catchup {
namespace {

constexpr std::chrono::milliseconds kShortestPause{20};
constexpr std::chrono::milliseconds kLongestPause{2000};

// So many looks in a row are left out at the most: half a minute where they are rarest.
constexpr std::uint32_t kMostLeftOut = 15;

// What a process can fill in a millisecond: twice and a half what is asked for, 100 MiB/s.
constexpr std::uint64_t kGrowthPerMs = (256ull << 20) / 1000;

std::string InMiB(std::uint64_t bytes) { return fmt::format("{} MiB", (bytes + (1u << 19)) >> 20); }

}  // namespace

MemoryWatch::MemoryWatch(std::uint64_t limit_bytes)
    : limit_(limit_bytes), usual_(limit_bytes / 10 * 8), retire_at_(usual_) {}

bool MemoryWatch::WantsLook(std::optional<std::chrono::nanoseconds> ran) {
  if (knows_start_ && fine_ && last_.processes == 1 && ran.has_value() && ran == last_.ran &&
      left_out_ < kMostLeftOut) {
    ++left_out_;
    return false;
  }
  return true;
}

MemoryWatch::Verdict MemoryWatch::Judge(const MemoryUse& use, bool started) {
  last_ = use;
  left_out_ = 0;
  if (started && !std::exchange(knows_start_, true)) {
    if (use.bytes >= usual_ && use.bytes < limit_) {
      retire_at_ = use.bytes + (limit_ - use.bytes) / 2;
    }
  }
  const bool full = started && use.bytes >= retire_at_;
  const std::uint64_t next = full || !started ? limit_ : retire_at_;
  const std::uint64_t left = next > use.bytes ? next - use.bytes : 0;
  pause_ = std::clamp(
      std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(left / kGrowthPerMs)),
      kShortestPause, kLongestPause);
  fine_ = use.bytes < limit_ && !full;
  if (use.bytes >= limit_) {
    return Verdict::kKill;
  }
  return full ? Verdict::kRetire : Verdict::kFine;
}

std::string MemoryWatch::Describe() const {
  const std::string limit = "limits.memory = " + DescribeSize(limit_);
  std::string text = "it has " + InMiB(last_.bytes) + " of memory";
  if (last_.processes > 1) {
    text += fmt::format(" in {} processes", last_.processes);
  }
  if (last_.bytes >= limit_) {
    return text + ", " + limit;
  }
  const char* const share = starts_full() ? "as it began with much, the bound below " : "80 % of ";
  return text + ", " + share + limit + " is " + InMiB(retire_at_);
}

std::string MemoryWatch::DescribeKernels() const {
  return fmt::format(
      "by the kernel, as its control group had used up limits.memory = {} and the {} beyond it for "
      "files",
      DescribeSize(limit_), InMiB(ControlGroups::kMemoryBeyond));
}

}  // namespace catchup
