#pragma once

#include "host/admin/router.h"
#include "host/daemon/orders/host_control.h"

namespace catchup {

// Adds what can be asked about the letters of a group:
//
//   GET  /api/groups/{group}/letters?state=&class=&stream=&type=&older=&newer=&after=&limit=&view=
//        one page of them (host/store/letter_pages.h); view: list, details or events
//   GET  /api/groups/{group}/letters/{id}    one, whole
//   GET  /api/groups/{group}/dropped         the last ones that were dropped
//   POST /api/groups/{group}/letters/{id}/retry   {"after": 0}
//        answered with {"letter": {"id", "result", …}}; "waiting" has "after", to ask again with;
//        a 409 with "letter", "refused" or "gone", speaks of this letter alone
//   POST /api/groups/{group}/letters/{id}/drop    {"reason": "…"}
//   POST /api/groups/{group}/park            {"event": "commit:prepare" | "type": "…", "reason"}
//   POST /api/groups/{group}/unpark          {"type": "…"}
//
// Errors as those of group_api.h. `control` must outlive the router.
void AddLetterRoutes(HostControl* control, Router* router);

}  // namespace catchup
