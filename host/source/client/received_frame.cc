#include "host/source/client/received_frame.h"

namespace catchup {

bool TakeBytes(grpc::ByteBuffer* buffer, grpc::Slice* bytes) {
  const bool ok = buffer->TrySingleSlice(bytes).ok() || buffer->DumpToSingleSlice(bytes).ok();
  buffer->Clear();
  return ok;
}

Status TakeFrame(grpc::ByteBuffer* buffer, grpc::Slice* bytes, ReadFrame* frame) {
  if (!TakeBytes(buffer, bytes)) {
    return Status::Invalid("malformed frame: its bytes cannot be read");
  }
  return DecodeReadFrame({reinterpret_cast<const char*>(bytes->begin()), bytes->size()}, frame);
}

grpc::Status BadFrame(const Status& why) { return {grpc::StatusCode::INTERNAL, why.message()}; }

}  // namespace catchup
