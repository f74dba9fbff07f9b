#include "host/admin/host_service.h"

#include <utility>

#include "host/admin/admin_server.h"
#include "host/admin/group_api.h"
#include "host/admin/letter_api.h"
#include "host/admin/router.h"

namespace catchup {

Result<std::shared_ptr<void>> ServeHost(HostControl* control, const StateDirectory& state) {
  Router router;
  AddGroupRoutes(control, &router);
  AddLetterRoutes(control, &router);
  CATCHUP_ASSIGN_OR_RETURN(auto server, AdminServer::Start(state.path(), std::move(router)));
  return std::shared_ptr<void>(std::move(server));
}

}  // namespace catchup
