// source_loop ADDRESS [PREFIX]...: what bare_loop reads, read through the host's own source into a
// sink that does nothing. Same output. The difference is what the source costs or saves.
#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <memory>
#include <utility>

#include "host/source/client/kurrent_source.h"

namespace {

double CpuSeconds(const rusage& usage) {
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Counts until caught up. `events` belongs to the source's thread until the future is ready.
class CountingSink final : public catchup::SubscriptionSink {
 public:
  bool OnEvent(std::unique_ptr<catchup::EventFrame>) override {
    ++events;
    return true;
  }
  bool OnCheckpoint(catchup::Position) override { return true; }
  bool OnCaughtUp(std::optional<catchup::Position>) override {
    Finish("");
    return false;
  }
  void OnEnded(catchup::EndOfCall end) override { Finish(std::move(end.text)); }

  // Empty once caught up, else why the subscription ended.
  std::future<std::string> done() { return done_.get_future(); }

  std::uint64_t events = 0;

 private:
  void Finish(std::string text) {
    if (!std::exchange(finished_, true)) {
      done_.set_value(std::move(text));
    }
  }

  bool finished_ = false;
  std::promise<std::string> done_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: source_loop ADDRESS [PREFIX]...\n");
    return 2;
  }
  catchup::ConnectionOptions connection;
  connection.address = argv[1];
  catchup::SubscribeOptions options;
  options.filter.prefixes.assign(argv + 2, argv + argc);
  if (options.filter.prefixes.empty()) {
    options.filter.prefixes.emplace_back();
  }
  const auto sink = std::make_shared<CountingSink>();
  const auto source = *catchup::OpenKurrentSource(connection);

  const auto begin = std::chrono::steady_clock::now();
  const auto subscription = source->Subscribe(options, sink);
  const std::string failure = sink->done().get();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  if (!failure.empty()) {
    std::fprintf(stderr, "source_loop: %s\n", failure.c_str());
    return 1;
  }

  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double count = sink->events == 0 ? 1.0 : static_cast<double>(sink->events);
  std::printf("events %llu, seconds %.3f, events/s %.0f, cpu us/event %.2f, max rss MiB %.1f\n",
              static_cast<unsigned long long>(sink->events), elapsed.count(),
              count / elapsed.count(), CpuSeconds(usage) * 1e6 / count,
              static_cast<double>(usage.ru_maxrss) / 1024.0);
  return 0;
}
