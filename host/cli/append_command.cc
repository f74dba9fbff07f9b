#include <cstdio>

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

Status WriteEvents(EventFile* file, EventWriter* writer) {
  while (true) {
    auto line = file->Next();
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
  const Status written = WriteEvents(&*file, &writer);
  const std::uint64_t next_line =
      writer.last_line() == 0 ? arguments.from_line : writer.last_line() + 1;
  std::printf("written %llu, next line %llu\n", static_cast<unsigned long long>(writer.written()),
              static_cast<unsigned long long>(written.ok() ? file->next_line() : next_line));
  if (!written.ok()) {
    std::fprintf(stderr, "%s\n", written.message().c_str());
    return kExitFailed;
  }
  return kExitDone;
}

}  // namespace catchup
