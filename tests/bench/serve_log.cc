// serve_log DIRECTORY EVENTS [BYTES]: an embedded log for the benchmarks to read.
//
// Appends EVENTS events of BYTES bytes (256) to the log of DIRECTORY, in streams of 1,000: of each
// hundred one is of type "refund-issued", 49 "stock-moved" and 50 "order-placed", with an order id
// of its own and one of 200 customers. Then prints its address and serves it until standard input
// ends.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "host/source/client/appender.h"
#include "host/source/client/event_writer.h"
#include "host/source/embedded/log_server.h"

namespace {

constexpr std::size_t kUsualBytes = 256;
constexpr std::uint64_t kStreamEvents = 1000;
constexpr std::uint64_t kCustomers = 200;

std::string MakeType(std::uint64_t number) {
  if (number % 100 == 1) {
    return "refund-issued";
  }
  return number % 2 == 0 ? "order-placed" : "stock-moved";
}

// Valid JSON, not the same twice, filled up to `bytes` where there is room to.
std::string MakeData(std::uint64_t number, std::size_t bytes) {
  constexpr std::string_view kFiller = R"(,"filler":")";
  std::string data = R"({"orderId":)" + std::to_string(number) + R"(,"customerId":)" +
                     std::to_string(number / 2 % kCustomers) + R"(,"amountCents":1250)";
  if (data.size() + kFiller.size() + 2 <= bytes) {
    data += kFiller;
    data.append(bytes - data.size() - 2, 'x');
    data += '"';
  }
  return data + "}";
}

catchup::Status Fill(const std::string& address, std::uint64_t count, std::size_t bytes) {
  catchup::ConnectionOptions connection;
  connection.address = address;
  const auto appender = *catchup::Appender::Open(connection);
  catchup::EventWriter writer(appender.get(), {});
  for (std::uint64_t i = 1; i <= count; ++i) {
    catchup::NewEvent event;
    event.id = catchup::Uuid::FromHalves(1, i);
    event.type = MakeType(i);
    event.data = MakeData(i, bytes);
    event.is_json = true;
    const std::string stream = "bench-" + std::to_string(i / kStreamEvents);
    writer.Add(stream, std::move(event), i, false);
    if (!writer.HasRoom()) {
      CATCHUP_RETURN_IF_ERROR(writer.Flush());
    }
  }
  return writer.Flush();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3 && argc != 4) {
    std::fprintf(stderr, "usage: serve_log DIRECTORY EVENTS [BYTES]\n");
    return 2;
  }
  catchup::embedded::ServerOptions options;
  options.directory = argv[1];
  const auto server = catchup::embedded::EmbeddedServer::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "serve_log: %s\n", server.status().message().c_str());
    return 1;
  }
  const std::string address = (*server)->address();
  const std::uint64_t count = std::strtoull(argv[2], nullptr, 10);
  const auto begin = std::chrono::steady_clock::now();
  const std::size_t bytes = argc == 4 ? std::strtoull(argv[3], nullptr, 10) : kUsualBytes;
  const catchup::Status status = Fill(address, count, bytes);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  if (!status.ok()) {
    std::fprintf(stderr, "serve_log: %s\n", status.message().c_str());
    return 1;
  }
  std::fprintf(stderr, "appended %llu events in %.2f s\n", static_cast<unsigned long long>(count),
               elapsed.count());
  std::printf("%s\n", address.c_str());
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
