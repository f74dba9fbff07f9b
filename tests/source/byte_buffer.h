#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <string>

#include "host/base/check.h"

// Messages as gRPC carries them, and as the tests have them.
namespace catchup {

inline grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

inline std::string ToText(const grpc::ByteBuffer& buffer) {
  grpc::Slice slice;
  CATCHUP_CHECK(buffer.DumpToSingleSlice(&slice).ok());
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

}  // namespace catchup
