#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "host/source/client/appender.h"
#include "host/source/client/connection_options.h"
#include "host/store/letter_sink.h"

namespace catchup {

// "stream:NAME": each step is an event of type kLetterStepType in a stream of the log, its id made
// of group, position and step, so that a server that remembers it writes it once.
class StreamSink : public LetterSink {
 public:
  static constexpr std::string_view kEventType = "catchup-dead-letter";

  // Where the server is now; asked before each connection is made, so also after one that failed.
  using Server = std::function<Result<ConnectionOptions>()>;

  StreamSink(Server server, std::string group, std::string stream)
      : server_(std::move(server)), group_(std::move(group)), stream_(std::move(stream)) {}

  // Waits for the server as long as the connection's deadline allows. An event that makes a step
  // longer than a server takes by default is left out of it.
  Status Deliver(std::span<const LetterStep> steps) override;
  void Rest() override { appender_.reset(); }
  void Cancel() override { cancelled_ = true; }

 private:
  Status Append(std::span<const NewEvent> events);
  Result<AppendAnswer> Await(std::uint64_t request);

  const Server server_;
  const std::string group_;
  const std::string stream_;
  std::atomic<bool> cancelled_ = false;
  std::unique_ptr<Appender> appender_;  // Made when first needed, and anew after a failure.
};

}  // namespace catchup
