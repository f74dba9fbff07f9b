#include <poll.h>

#include <cstdint>
#include <cstdio>

#include "host/base/event_size.h"
#include "host/base/host_port.h"
#include "host/base/shortage.h"
#include "host/base/signals.h"
#include "host/base/wait.h"
#include "host/cli/commands.h"
#include "host/config/table_reader.h"
#include "host/source/embedded/log_server.h"

namespace catchup {
namespace {

// Returns once a signal asks for the end; what means nothing is said and passed over.
void AwaitStop(SignalInbox* inbox) {
  while (true) {
    pollfd wait{inbox->fd(), POLLIN, 0};
    (void)PollOrPause(&wait, 1, -1);
    while (const auto signal = inbox->Take()) {
      std::fprintf(stderr, "%s %s, from %s\n", signal->stops() ? "stopped by" : "ignored",
                   SignalName(signal->number).c_str(), signal->Sender().c_str());
      if (signal->stops()) {
        return;
      }
    }
  }
}

}  // namespace

int DevServerCommand(const DevServerArguments& arguments) {
  const auto listen = ParseListenAddress(arguments.listen);
  if (!listen.ok()) {
    std::fprintf(stderr, "--listen: %s\n", listen.status().message().c_str());
    return kExitUsage;
  }
  const auto max_append = ParseSize(arguments.max_append_size, 1, kMaxAppendBytes);
  if (!max_append.ok()) {
    std::fprintf(stderr, "--max-append-size %s: wanted %s\n", arguments.max_append_size.c_str(),
                 max_append.status().message().c_str());
    return kExitUsage;
  }
  BlockHostSignals();
  auto signals = SignalInbox::Open();
  if (!signals.ok()) {
    std::fprintf(stderr, "%s\n", signals.status().message().c_str());
    return kExitFailed;
  }
  if (const Status needs = ProveLibraryNeeds(); !needs.ok()) {
    std::fprintf(stderr, "%s\n", needs.message().c_str());
    return kExitFailed;
  }
  embedded::ServerOptions options;
  options.directory = arguments.data;
  options.listen = *listen;
  options.max_append_bytes = *max_append;
  auto server = embedded::EmbeddedServer::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message().c_str());
    return kExitFailed;
  }
  std::printf("kurrentdb://%s?tls=false\n", (*server)->address().c_str());
  std::fflush(stdout);
  std::fprintf(stderr,
               "embedded log in %s, for development and tests, not for production; ends with "
               "SIGTERM or Ctrl-C\n",
               arguments.data.c_str());
  AwaitStop(&*signals);
  (*server)->Shutdown();
  return kExitDone;
}

}  // namespace catchup
