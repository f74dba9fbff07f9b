// live_loop ADDRESS COUNT PREFIX: the line that live delivery is measured against.
//
// A loop on the generated stub and its synchronous reader, subscribed from the end of the log. Says
// "live" once it is; then takes COUNT events, whose data is the time of their making (nanoseconds
// of CLOCK_MONOTONIC as text), and prints how many microseconds each was on its way, one a line.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "host/source/proto/streams.grpc.pb.h"
#include "tests/bench/loop_request.h"

namespace {

using catchup::bench::LoopRequest;
using catchup::bench::LoopStart;
using event_store::client::streams::ReadResp;
using event_store::client::streams::Streams;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: live_loop ADDRESS COUNT PREFIX\n");
    return 2;
  }
  const std::size_t count = std::strtoull(argv[2], nullptr, 10);
  const std::unique_ptr<Streams::Stub> stub =
      Streams::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  const auto reader = stub->Read(&context, LoopRequest(LoopStart::kEnd, argv[3]));
  std::vector<double> notes;
  ReadResp message;
  while (notes.size() < count && reader->Read(&message)) {
    if (message.has_caught_up()) {
      std::printf("live\n");
      std::fflush(stdout);
    }
    if (!message.has_event()) {
      continue;
    }
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const long long made = std::strtoll(message.event().event().data().c_str(), nullptr, 10);
    notes.push_back(static_cast<double>(std::chrono::nanoseconds(now).count() - made) / 1e3);
  }
  context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (notes.size() < count) {
    std::fprintf(stderr, "live_loop: %s: %s\n", argv[1], status.error_message().c_str());
    return 1;
  }
  for (const double note : notes) {
    std::printf("%.1f\n", note);
  }
  return 0;
}
