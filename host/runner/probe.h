#pragma once

#include <cstddef>

#include "host/ring/contract/descriptors.h"
#include "host/ring/contract/probe_record.h"

namespace catchup {

// Loads `path` and checks header and descriptor, then the tables of each of `projections` (empty:
// the only one of the file), without making an instance. Answers on kProbeAnswerFd. Returns the
// process's exit code.
int Probe(const char* path, const char* const* projections, std::size_t count);

}  // namespace catchup
