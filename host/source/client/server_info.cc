#include "host/source/client/server_info.h"

#include <grpcpp/client_context.h>

#include <chrono>

#include "host/source/client/access.h"
#include "host/source/client/call_status.h"
#include "host/source/client/channel.h"
#include "host/source/proto/server_features.grpc.pb.h"

namespace catchup {

Result<ServerInfo> ReadServerInfo(const ConnectionOptions& options) {
  using event_store::client::server_features::ServerFeatures;
  const std::unique_ptr<ServerFeatures::Stub> stub = ServerFeatures::NewStub(OpenChannel(options));
  grpc::ClientContext context;
  CATCHUP_RETURN_IF_ERROR(AddHeaders(options, &context));
  context.set_deadline(std::chrono::system_clock::now() + options.deadline);
  event_store::client::server_features::SupportedMethods methods;
  const grpc::Status status = AdviseOnAccess(stub->GetSupportedMethods(&context, {}, &methods),
                                             AccessTo::kStream, options.credentials_origin);
  if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED ||
      status.error_code() == grpc::StatusCode::NOT_FOUND) {
    return ServerInfo{};
  }
  if (!status.ok()) {
    return ToStatus(options.address, status, context).Within("ask the server for its version");
  }
  ServerInfo info;
  info.version = methods.event_store_server_version();
  for (const auto& method : methods.methods()) {
    info.batch_append =
        info.batch_append || (method.service_name() == "event_store.client.streams.streams" &&
                              method.method_name() == "batchappend");
  }
  return info;
}

}  // namespace catchup
