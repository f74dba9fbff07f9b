#pragma once

#include <filesystem>
#include <string>

#include "host/config/config.h"
#include "host/daemon/orders/group_orders.h"

namespace catchup {

// `catchup reset GROUP --to last-good` where no host runs: asks the server of `config` which of the
// events that the group has handled its log has, and stores what the next run shall do. The caller
// owns the state directory, whose folder `groups` this is. Blocks for at most half a minute
// beside what the disk takes.
Result<OrderNote> ResetToLastGood(const HostConfig& config, const std::filesystem::path& groups,
                                  const GroupConfig& group, const std::string& by);

}  // namespace catchup
