// decode_frame: nanoseconds to decode one event of 256 bytes, by our decoder and by the generated
// parser.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "host/source/client/frame_decoder.h"
#include "host/source/proto/streams.pb.h"

namespace {

using event_store::client::streams::ReadResp;

constexpr int kRounds = 2000000;

std::string MakeEvent() {
  ReadResp message;
  auto* event = message.mutable_event()->mutable_event();
  event->mutable_id()->mutable_structured()->set_most_significant_bits(-4711);
  event->mutable_id()->mutable_structured()->set_least_significant_bits(-1174);
  event->mutable_stream_identifier()->set_stream_name("order-12345");
  event->set_stream_revision(17);
  event->set_commit_position(123456789);
  event->set_prepare_position(123456789);
  (*event->mutable_metadata())["type"] = "order-placed";
  (*event->mutable_metadata())["created"] = "17639555575720000";
  (*event->mutable_metadata())["content-type"] = "application/json";
  event->set_data(std::string(256, 'x'));
  message.mutable_event()->set_commit_position(123456789);
  return message.SerializeAsString();
}

// Runs `decode` kRounds times; it returns a size that is summed up, so that nothing is left out.
template <typename Decode>
void Measure(const char* name, Decode decode) {
  std::uint64_t sum = 0;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    sum += decode();
  }
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - begin;
  std::printf("%-16s %6.0f ns/event (%llu bytes seen)\n", name, elapsed.count() / kRounds,
              static_cast<unsigned long long>(sum));
}

}  // namespace

int main() {
  const std::string bytes = MakeEvent();
  Measure("in place", [&bytes] {
    catchup::ReadFrame frame;
    return catchup::DecodeReadFrame(bytes, &frame).ok() ? frame.event.size() : 0;
  });
  ReadResp message;
  Measure("generated parser", [&bytes, &message] {
    return message.ParseFromString(bytes) ? message.event().event().data().size() : 0;
  });
  return 0;
}
