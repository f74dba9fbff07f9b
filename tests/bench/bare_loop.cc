// bare_loop ADDRESS [PREFIX]...: the line that the host is measured against.
//
// A loop on the generated stub and its synchronous reader that only reads and parses: the filtered
// subscription that the host makes (search window 1024, multiplier 1, event type prefixes; none
// means everything), from the beginning until the server says caught up. Prints one line: events,
// seconds, events a second, microseconds of CPU an event, greatest resident memory.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "host/source/proto/streams.grpc.pb.h"

namespace {

using event_store::client::streams::ReadReq;
using event_store::client::streams::ReadResp;
using event_store::client::streams::Streams;

constexpr int kMaxReceiveBytes = 17 << 20;

double CpuSeconds(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ReadReq MakeRequest(int count, char** prefixes) {
  ReadReq request;
  ReadReq::Options* options = request.mutable_options();
  options->mutable_all()->mutable_start();
  options->mutable_subscription();
  options->mutable_uuid_option()->mutable_structured();
  options->mutable_filter()->set_max(1024);
  options->mutable_filter()->set_checkpointintervalmultiplier(1);
  auto* expression = options->mutable_filter()->mutable_event_type();
  for (int i = 0; i < count; ++i) {
    expression->add_prefix(prefixes[i]);
  }
  if (count == 0) {
    expression->add_prefix("");
  }
  return request;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: bare_loop ADDRESS [PREFIX]...\n");
    return 2;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  const auto channel =
      grpc::CreateCustomChannel(argv[1], grpc::InsecureChannelCredentials(), arguments);
  const std::unique_ptr<Streams::Stub> stub = Streams::NewStub(channel);

  const auto begin = std::chrono::steady_clock::now();
  grpc::ClientContext context;
  const auto reader = stub->Read(&context, MakeRequest(argc - 2, argv + 2));
  ReadResp message;
  std::uint64_t events = 0;
  bool caught_up = false;
  while (!caught_up && reader->Read(&message)) {
    events += message.has_event() ? 1 : 0;
    caught_up = message.has_caught_up();
  }
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!caught_up) {
    std::fprintf(stderr, "bare_loop: %s: %s\n", argv[1], status.error_message().c_str());
    return 1;
  }

  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double count = events == 0 ? 1.0 : static_cast<double>(events);
  std::printf("events %llu, seconds %.3f, events/s %.0f, cpu us/event %.2f, max rss MiB %.1f\n",
              static_cast<unsigned long long>(events), elapsed.count(), count / elapsed.count(),
              CpuSeconds(usage) * 1e6 / count, static_cast<double>(usage.ru_maxrss) / 1024.0);
  return 0;
}
