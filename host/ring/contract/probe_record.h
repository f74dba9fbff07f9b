#pragma once

#include <sys/types.h>

#include <cstddef>
#include <optional>
#include <string>

namespace catchup {

// What `catchup-runner --probe` says of a plugin, and how it travels: as records on a descriptor of
// its own, because a plugin may write anything to its standard output. One record for the loading,
// then one for each projection that was asked about.
//
// A record counts only as a whole, and only when it comes from the process that was spawned: a
// plugin that forks while it is loaded leaves two that go on from there.

struct ProbeRecord {
  bool ok = false;
  std::string text;  // "NAME VERSION", the projection's name, or why not.
};

// A longer text is cut.
inline constexpr std::size_t kMaxProbeText = 4096;

std::string EncodeProbeRecord(const ProbeRecord& record, pid_t sender);

// Takes the first whole record of `sender` off `bytes`, with what lies before it and is none.
std::optional<ProbeRecord> TakeProbeRecord(std::string* bytes, pid_t sender);

}  // namespace catchup
