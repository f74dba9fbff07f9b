// order_loop ADDRESS DATABASE: the line that order_totals is measured against.
//
// What somebody would write who needs this one read model and no host: a loop on the generated stub
// and its synchronous reader, the example's own tables and statements, effects and position in one
// transaction of as many events as the example takes at a time. Prints one line: events, seconds,
// events a second.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "examples/order_totals/order_events.h"
#include "examples/order_totals/totals_store.h"
#include "host/source/proto/streams.grpc.pb.h"
#include "tests/bench/loop_request.h"

namespace {

using catchup::bench::LoopRequest;
using catchup::bench::LoopStart;
using event_store::client::streams::ReadResp;
using event_store::client::streams::Streams;

constexpr std::uint64_t kMaxEvents = 512;  // The example's.
constexpr std::uint64_t kToken = 1;

// One transaction after the other, each begun with its first event.
class Totals {
 public:
  explicit Totals(const std::string& path) : store_(path) {
    order_totals::Transaction transaction(store_.database());
    position_ = store_.Load("loop", kToken);
    transaction.Commit();
  }

  void Apply(const ReadResp::ReadEvent::RecordedEvent& event) {
    if (!open_) {
      open_.emplace(store_.database());
      events_ = 0;
    }
    store_.Place(order_totals::ParseOrderPlaced(event.data()));
    last_ = {event.commit_position(), event.prepare_position()};
    if (++events_ == kMaxEvents) {
      Commit();
    }
  }

  void Commit() {
    if (open_) {
      store_.WriteTotals();
      store_.Move("loop", position_, last_, kToken);
      open_->Commit();
      open_.reset();
      position_ = last_;
    }
  }

 private:
  order_totals::TotalsStore store_;
  std::optional<order_totals::Transaction> open_;
  std::uint64_t events_ = 0;
  std::optional<catchup_position> position_;
  catchup_position last_{};
};

int Run(const char* address, const char* database) {
  const std::unique_ptr<Streams::Stub> stub =
      Streams::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  Totals totals(database);
  const auto begin = std::chrono::steady_clock::now();
  grpc::ClientContext context;
  const auto reader = stub->Read(&context, LoopRequest(LoopStart::kBeginning, "order-"));
  ReadResp message;
  std::uint64_t events = 0;
  bool caught_up = false;
  while (!caught_up && reader->Read(&message)) {
    if (message.has_event()) {
      totals.Apply(message.event().event());
      ++events;
    }
    caught_up = message.has_caught_up();
  }
  totals.Commit();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  context.TryCancel();
  const grpc::Status status = reader->Finish();
  if (!caught_up) {
    std::fprintf(stderr, "order_loop: %s: %s\n", address, status.error_message().c_str());
    return 1;
  }
  std::printf("events %llu, seconds %.3f, events/s %.0f\n", static_cast<unsigned long long>(events),
              elapsed.count(), static_cast<double>(events) / elapsed.count());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: order_loop ADDRESS DATABASE\n");
    return 2;
  }
  try {
    return Run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "order_loop: %s\n", error.what());
    return 1;
  }
}
