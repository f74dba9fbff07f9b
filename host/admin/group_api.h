#pragma once

#include "host/admin/router.h"
#include "host/daemon/orders/host_control.h"

namespace catchup {

// Adds what can be asked of the groups of a host:
//
//   POST /api/groups/{group}/stop
//   POST /api/groups/{group}/start   {"acceptFilter": false, "takeOver": false}
//   POST /api/groups/{group}/reset   {"to": "beginning" | "commit:prepare"}
//
// Each is answered once it is done, with {"group", "state", "reason"} and where there is more to
// say "note"; else with an error: 404 no such group, 409 refused, 503 not now, 504 not in time. A
// body is an object of no other members than these; where none is needed it may be left out.
//
// `control` must outlive the router.
void AddGroupRoutes(HostControl* control, Router* router);

}  // namespace catchup
