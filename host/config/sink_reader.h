#pragma once

#include <vector>

#include "host/config/config.h"
#include "host/config/table_reader.h"

namespace catchup {

// Reads the list `sinks` of a group's `dead_letters` table. A sink that cannot be used is reported
// at its own place. Files stay as they are written: the reader of the whole document knows the
// folder that they count from.
void ReadSinks(TableReader* reader, std::vector<LetterSinkConfig>* out);

}  // namespace catchup
