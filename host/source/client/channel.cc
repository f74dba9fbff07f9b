#include "host/source/client/channel.h"

#include <grpc/compression.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include <limits>

#include "host/base/event_size.h"
#include "host/base/secret.h"
#include "host/source/client/library_log.h"
#include "host/source/client/tls.h"

namespace catchup {
namespace {

// Pace of reconnecting below the engine's own: quick at first, never so slow that a server which is
// back goes unnoticed. What gRPC calls the minimum is what one attempt to connect may take.
constexpr int kInitialBackoffMs = 200;
constexpr int kMaxBackoffMs = 1000;

// The resolver's own limit of two minutes would hide a name that does not resolve.
constexpr int kResolveTimeoutMs = 5000;

// The largest number is gRPC's word for never.
int MillisecondsOrNever(const std::optional<std::chrono::milliseconds>& time) {
  constexpr int kNever = std::numeric_limits<int>::max();
  return time.has_value() && time->count() < kNever ? static_cast<int>(time->count()) : kNever;
}

}  // namespace

std::shared_ptr<grpc::Channel> OpenChannel(const ConnectionOptions& options) {
  TakeOverLibraryLog();
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(kMaxMessageBytes));
  arguments.SetInt(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1);  // The server has the limit and says so.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, MillisecondsOrNever(options.keepalive_time));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, MillisecondsOrNever(options.keepalive_timeout));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kInitialBackoffMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, MillisecondsOrNever(options.connect_timeout));
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxBackoffMs);
  arguments.SetInt(GRPC_ARG_DNS_ARES_QUERY_TIMEOUT_MS, kResolveTimeoutMs);
  // One layer retries, and that is the engine.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A database is not reached through a web proxy that the environment happens to name.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Newer servers compress for whoever offers to inflate, which costs both sides more than it
  // saves.
  arguments.SetInt(GRPC_COMPRESSION_CHANNEL_ENABLED_ALGORITHMS_BITSET, 1 << GRPC_COMPRESS_NONE);
  // "dns:///" keeps a host name from being taken for a scheme of its own.
  return grpc::CreateCustomChannel("dns:///" + options.address, MakeChannelCredentials(options),
                                   arguments);
}

Status AddHeaders(const ConnectionOptions& options, grpc::ClientContext* context) {
  context->AddMetadata("requires-leader", options.requires_leader ? "true" : "false");
  if (!options.connection_name.empty()) {
    context->AddMetadata("connection-name", options.connection_name);
  }
  if (options.authorization == nullptr) {
    return {};
  }
  CATCHUP_ASSIGN_OR_RETURN(std::string header, options.authorization());
  context->AddMetadata("authorization", header);
  Wipe(&header);
  return {};
}

}  // namespace catchup
