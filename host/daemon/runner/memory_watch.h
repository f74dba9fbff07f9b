#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "host/plugins/memory_use.h"

namespace catchup {

// What the memory of one runner means under its group's limits.memory, and when to look again.
// Pure: it is told what was seen. One thread.
//
// At 80 % of the limit the runner is to be replaced once its call is over, which costs no event; at
// the limit it is to be killed. One that has 80 % right after its start would gain nothing by that
// and never get anywhere: it is replaced half way between there and the limit.
class MemoryWatch {
 public:
  explicit MemoryWatch(std::uint64_t limit_bytes);

  // Whether a look can find anything new, as most cannot where hundreds of runners are idle: `ran`
  // is the processor time that the runner has had by now. What has not run has filled nothing; but
  // before its start is known, where it has other processes below it, or a verdict waits to be
  // carried out, or the last looks were all left out (the kernel may make pages huge by itself), it
  // is looked at all the same.
  bool WantsLook(std::optional<std::chrono::nanoseconds> ran);

  enum class Verdict : std::uint8_t { kFine, kRetire, kKill };
  // `started`: its plugin is set up. Before that there is nothing to be gained by another runner.
  Verdict Judge(const MemoryUse& use, bool started);

  // It has been seen since it had started;
  bool knows_start() const { return knows_start_; }
  // and had 80 % of the limit then.
  bool starts_full() const { return retire_at_ > usual_; }

  // Until the next look: so short that what grows by 256 MiB/s is seen before it has grown past the
  // next bound, so long that hundreds of idle runners cost next to nothing.
  std::chrono::milliseconds pause() const { return pause_; }

  // What Judge saw last, in words: "it has 430 MiB of memory, 80 % of limits.memory = 512MiB is
  // 410 MiB".
  std::string Describe() const;
  // The same where the kernel was quicker.
  std::string DescribeKernels() const;

 private:
  std::uint64_t limit_;
  std::uint64_t usual_;  // 80 % of it.
  std::uint64_t retire_at_;
  bool knows_start_ = false;
  MemoryUse last_;
  bool fine_ = false;                    // So it was judged.
  std::uint32_t left_out_ = 0;           // Looks since then.
  std::chrono::milliseconds pause_{20};  // Before the first look.
};

}  // namespace catchup
