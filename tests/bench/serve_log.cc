// serve_log DIRECTORY EVENTS: an embedded log for the benchmarks to read.
//
// Fills the log of DIRECTORY up to EVENTS events of 256 bytes, in streams of 1,000, every other one
// of type "order-placed" and the rest "stock-moved"; then prints its address and serves it until
// standard input ends.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "host/source/client/appender.h"
#include "host/source/client/event_writer.h"
#include "host/source/embedded/log_server.h"

namespace {

constexpr std::size_t kDataBytes = 256;
constexpr std::uint64_t kStreamEvents = 1000;

// As many bytes as wanted, valid JSON, not the same twice.
std::string MakeData(std::uint64_t number) {
  std::string data = R"({"number":)" + std::to_string(number) + R"(,"filler":")";
  data.append(kDataBytes - data.size() - 2, 'x');
  return data + "\"}";
}

catchup::Status Fill(const std::string& address, std::uint64_t count) {
  catchup::ConnectionOptions connection;
  connection.address = address;
  const auto appender = catchup::Appender::Open(connection);
  catchup::EventWriter writer(appender.get(), {});
  for (std::uint64_t i = 1; i <= count; ++i) {
    catchup::NewEvent event;
    event.id = catchup::Uuid::FromHalves(1, i);
    event.type = i % 2 == 0 ? "order-placed" : "stock-moved";
    event.data = MakeData(i);
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
  if (argc != 3) {
    std::fprintf(stderr, "usage: serve_log DIRECTORY EVENTS\n");
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
  const catchup::Status status = Fill(address, count);
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
