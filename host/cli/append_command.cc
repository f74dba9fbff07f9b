#include <pthread.h>

#include <csignal>
#include <cstdio>

#include "host/base/check.h"
#include "host/base/shortage.h"
#include "host/cli/commands.h"
#include "host/cli/event_file.h"
#include "host/config/source_uri.h"
#include "host/source/client/event_writer.h"
#include "host/source/embedded/log_server.h"

namespace catchup {
namespace {

struct Target {
  std::string address;
  embedded::EmbeddedEndpoint endpoint;  // Keeps a log that this command itself has opened.
};

Result<Target> OpenTarget(const SourceUri& uri) {
  Target target;
  if (uri.kind == SourceUri::Kind::kServer) {
    target.address = uri.target();
    return target;
  }
  embedded::ServerOptions options;
  options.directory = uri.path;
  auto endpoint = embedded::OpenEmbedded(options);
  if (!endpoint.ok()) {
    return endpoint.status();
  }
  target.endpoint = std::move(*endpoint);
  target.address = target.endpoint.address;
  return target;
}

volatile std::sig_atomic_t stop_signal = 0;

// The signals that end an append. They are blocked but for the reading of the next line, so that
// they never cut a call (one that comes just before a read that waits ends it when sent again), and
// the threads of the library, which inherit the mask, never get them.
class StopSignals {
 public:
  StopSignals() {
    sigemptyset(&set_);
    struct sigaction action {};
    action.sa_handler = [](int number) { stop_signal = number; };
    // Without SA_RESTART: a read of standard input must end.
    for (const int number : {SIGINT, SIGTERM}) {
      sigaddset(&set_, number);
      CATCHUP_CHECK(sigaction(number, &action, nullptr) == 0);
    }
    Mask(SIG_BLOCK);
  }
  ~StopSignals() { Mask(SIG_UNBLOCK); }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  Result<const EventFile::Line*> ReadNext(EventFile* file) const {
    Mask(SIG_UNBLOCK);
    auto line = stop_signal == 0 ? file->Next() : Result<const EventFile::Line*>(nullptr);
    Mask(SIG_BLOCK);
    if (stop_signal != 0) {
      return Status::Cancelled(std::string("stopped by ") +
                               (stop_signal == SIGINT ? "SIGINT" : "SIGTERM"));
    }
    return line;
  }

 private:
  void Mask(int how) const { CATCHUP_CHECK(pthread_sigmask(how, &set_, nullptr) == 0); }

  sigset_t set_;
};

Status WriteEvents(const StopSignals& signals, EventFile* file, EventWriter* writer) {
  while (true) {
    auto line = signals.ReadNext(file);
    if (line.status().code() == Status::Code::kCancelled) {
      return line.status();
    }
    if (!line.ok()) {
      // What stands before the bad line is good and was asked for.
      const Status flushed = writer->Flush();
      return flushed.ok() ? line.status() : flushed;
    }
    if (*line == nullptr) {
      return writer->Flush();
    }
    const EventFile::Line& from = **line;
    NewEvent event;
    event.id = from.id;
    event.type = from.event.type;
    event.data = from.event.data;
    event.metadata = from.event.metadata;
    event.is_json = from.event.is_json;
    CATCHUP_RETURN_IF_ERROR(writer->Add(from.event.stream, std::move(event), from.number));
  }
}

// What can be done about it, for who does not know how a server recognises a repetition.
std::string WayOut(const Status& status) {
  // Nothing is asked of a stream's revision, so this is all that the name can mean.
  if (status.message().find("WrongExpectedVersion") == std::string::npos) {
    return {};
  }
  return "; go on behind what an earlier append wrote: --from-line M, where M is the \"next line "
         "M\" that it printed";
}

}  // namespace

int AppendCommand(const AppendArguments& arguments) {
  if (!arguments.credentials_file.empty()) {
    std::fprintf(stderr, "--credentials-file: this version supports servers without credentials\n");
    return kExitUsage;
  }
  const auto uri = ParseSourceUri(arguments.to);
  if (!uri.ok()) {
    std::fprintf(stderr, "--to: %s\n", uri.status().message().c_str());
    return kExitUsage;
  }
  auto file = EventFile::Open(arguments.events);
  if (!file.ok()) {
    std::fprintf(stderr, "%s\n", file.status().message().c_str());
    return kExitFailed;
  }
  file->SkipTo(arguments.from_line);
  const StopSignals signals;  // Before any thread is made.
  if (const Status threads = ProveThreads(kLibraryThreads); !threads.ok()) {
    std::fprintf(stderr, "%s\n", threads.message().c_str());
    return kExitFailed;
  }
  const auto target = OpenTarget(*uri);
  if (!target.ok()) {
    std::fprintf(stderr, "%s: %s\n", arguments.to.c_str(), target.status().message().c_str());
    return kExitFailed;
  }
  ConnectionOptions connection;
  connection.address = target->address;
  connection.connection_name = "catchup-append";
  const std::unique_ptr<Appender> appender = Appender::Open(connection);
  EventWriter writer(appender.get());
  const Status written = WriteEvents(signals, &*file, &writer);
  // The line behind the last is where an append of the whole file says to go on.
  if (written.ok() && file->next_line() < arguments.from_line) {
    std::fprintf(stderr, "--from-line %llu: %s has %llu lines\n",
                 static_cast<unsigned long long>(arguments.from_line), arguments.events.c_str(),
                 static_cast<unsigned long long>(file->next_line() - 1));
    return kExitFailed;
  }
  const std::uint64_t next_line =
      writer.last_line() == 0 ? arguments.from_line : writer.last_line() + 1;
  std::printf("written %llu, next line %llu\n", static_cast<unsigned long long>(writer.written()),
              static_cast<unsigned long long>(written.ok() ? file->next_line() : next_line));
  if (!written.ok()) {
    std::fprintf(stderr, "%s%s\n", written.message().c_str(), WayOut(written).c_str());
    return kExitFailed;
  }
  return kExitDone;
}

}  // namespace catchup
