#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <grpcpp/support/status.h>

#include "host/base/status.h"
#include "host/source/client/frame_decoder.h"

namespace catchup {

// Moves the bytes of `buffer` into one piece. Most messages lie in one already; one that the
// network cut up is copied together. False: they cannot be read.
bool TakeBytes(grpc::ByteBuffer* buffer, grpc::Slice* bytes);

// The same, decoded. The views of `frame` live as long as `bytes` stays where it is: a short slice
// lies inside the Slice object itself.
Status TakeFrame(grpc::ByteBuffer* buffer, grpc::Slice* bytes, ReadFrame* frame);

// How a call ends that was answered with such a frame.
grpc::Status BadFrame(const Status& why);

}  // namespace catchup
