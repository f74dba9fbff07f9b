#pragma once

#include <memory>

#include "host/base/status.h"
#include "host/daemon/orders/host_control.h"
#include "host/store/state_directory.h"

namespace catchup {

// Serves the API of a host on the control socket of its state directory, for as long as what is
// returned lives. See AdminServer; the ServeControl of `catchup run`.
Result<std::shared_ptr<void>> ServeHost(HostControl* control, const StateDirectory& state);

}  // namespace catchup
