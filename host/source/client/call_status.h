#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "host/base/end_of_call.h"
#include "host/base/status.h"

namespace catchup {

// "UNAVAILABLE" for 14, and so on; the number for what has no name.
std::string StatusName(int code);

// The server's own name of the error that a finished call ended with, such as "not-leader"; empty
// without one. As long as `context` lives.
std::string_view ServerException(const grpc::ClientContext& context);

// "ADDRESS: NAME: detail (exception)", in one line. The trailers of the finished call add what only
// they say: the server's own name of the error, and where the leader is.
std::string DescribeEnd(std::string_view address, const grpc::Status& status,
                        const grpc::ClientContext& context);

// What the end of a call means. A clean end is a drop. `heard`: something of the server's has come
// on this call, if only a header.
EndOfCall ClassifyEnd(std::string_view address, const grpc::Status& status,
                      const grpc::ClientContext& context, bool heard);

// The end of a call that is not a subscription. Only for a status that is not OK.
Status ToStatus(std::string_view address, const grpc::Status& status,
                const grpc::ClientContext& context);
Status ToStatus(const EndOfCall& end);

}  // namespace catchup
