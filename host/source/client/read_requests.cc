#include "host/source/client/read_requests.h"

#include <fmt/core.h>
#include <grpcpp/support/slice.h>

#include <limits>
#include <string>
#include <string_view>

#include "host/source/proto/streams.pb.h"

namespace catchup {
namespace {

using event_store::client::streams::ReadReq;

// How many records the server considers for one page. Measured: from 1,024 on it scans twice as
// fast as with the official clients' 32, and costs the client 15 times less over what does not
// match.
constexpr std::uint32_t kSearchWindow = 1024;

// A checkpoint frame for every window: a restart repeats at most that many records.
constexpr std::uint32_t kCheckpointMultiplier = 1;

// From this level of compatibility on, a read of one stream says where that ends.
constexpr std::uint32_t kSaysStreamEnd = 1;

grpc::ByteBuffer Serialize(const ReadReq& request) {
  const std::string bytes = request.SerializeAsString();
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

Status SetPlace(Position from, std::string_view verb, ReadReq::Options* out) {
  if (!IsPlace(from)) {
    return Status::Invalid(fmt::format(
        "cannot {} from position {}: wanted prepare <= commit < 2^63", verb, FormatPosition(from)));
  }
  ReadReq::Options::Position* position = out->mutable_all()->mutable_position();
  position->set_commit_position(from.commit);
  position->set_prepare_position(from.prepare);
  return {};
}

void SetFilter(const EventFilter& wanted, ReadReq::Options* out) {
  out->set_resolve_links(wanted.resolve_links);
  ReadReq::Options::FilterOptions* filter = out->mutable_filter();
  filter->set_max(kSearchWindow);
  filter->set_checkpointintervalmultiplier(kCheckpointMultiplier);
  ReadReq::Options::FilterOptions::Expression* expression =
      wanted.match == EventFilter::Match::kEventType ? filter->mutable_event_type()
                                                     : filter->mutable_stream_identifier();
  for (const std::string& prefix : wanted.prefixes) {
    expression->add_prefix(prefix);
  }
}

}  // namespace

Result<grpc::ByteBuffer> SubscriptionRequest(const SubscribeOptions& options) {
  ReadReq request;
  ReadReq::Options* out = request.mutable_options();
  if (options.from_end) {
    out->mutable_all()->mutable_end();
  } else if (options.from.has_value()) {
    CATCHUP_RETURN_IF_ERROR(SetPlace(*options.from, "subscribe", out));
  } else {
    out->mutable_all()->mutable_start();
  }
  out->set_read_direction(ReadReq::Options::Forwards);
  out->mutable_subscription();
  SetFilter(options.filter, out);
  out->mutable_uuid_option()->mutable_structured();
  return Serialize(request);
}

grpc::ByteBuffer EmptyRequest() {
  const grpc::Slice nothing;
  return {&nothing, 1};
}

grpc::ByteBuffer HeadRequest() {
  ReadReq request;
  ReadReq::Options* out = request.mutable_options();
  out->mutable_all()->mutable_end();
  out->set_read_direction(ReadReq::Options::Backwards);
  out->set_count(1);
  out->mutable_no_filter();
  out->mutable_uuid_option()->mutable_structured();
  return Serialize(request);
}

Result<grpc::ByteBuffer> FirstRequest(Position from) {
  ReadReq request;
  ReadReq::Options* out = request.mutable_options();
  CATCHUP_RETURN_IF_ERROR(SetPlace(from, "read", out));
  out->set_read_direction(ReadReq::Options::Forwards);
  out->set_count(1);
  out->mutable_no_filter();
  out->mutable_uuid_option()->mutable_structured();
  return Serialize(request);
}

grpc::ByteBuffer RevisionRequest(std::string_view stream, std::uint64_t revision) {
  ReadReq request;
  ReadReq::Options* out = request.mutable_options();
  out->mutable_stream()->mutable_stream_identifier()->set_stream_name(std::string(stream));
  out->mutable_stream()->set_revision(revision);
  out->set_read_direction(ReadReq::Options::Forwards);
  out->set_count(1);
  out->mutable_no_filter();
  out->mutable_uuid_option()->mutable_structured();
  out->mutable_control_option()->set_compatibility(kSaysStreamEnd);
  return Serialize(request);
}

Result<grpc::ByteBuffer> NextRequest(std::optional<Position> behind, const EventFilter& filter) {
  ReadReq request;
  ReadReq::Options* out = request.mutable_options();
  if (behind.has_value()) {
    CATCHUP_RETURN_IF_ERROR(SetPlace(*behind, "read", out));
  } else {
    out->mutable_all()->mutable_start();
  }
  out->set_read_direction(ReadReq::Options::Forwards);
  out->set_count(2);
  SetFilter(filter, out);
  out->mutable_uuid_option()->mutable_structured();
  return Serialize(request);
}

grpc::ByteBuffer StreamEndRequest(std::string_view stream) {
  ReadReq request;
  ReadReq::Options* out = request.mutable_options();
  out->mutable_stream()->mutable_stream_identifier()->set_stream_name(std::string(stream));
  out->mutable_stream()->mutable_end();
  out->set_read_direction(ReadReq::Options::Backwards);
  // All of them: the reader stops when it has seen enough.
  out->set_count(std::numeric_limits<std::int64_t>::max());
  out->mutable_no_filter();
  out->mutable_uuid_option()->mutable_structured();
  return Serialize(request);
}

}  // namespace catchup
