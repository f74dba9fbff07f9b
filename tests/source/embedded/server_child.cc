// Serves an embedded log until it is killed: the process that the kill tests kill.
#include <unistd.h>

#include <cstdio>

#include "host/source/embedded/log_server.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: embedded_server_child DIRECTORY\n");
    return 2;
  }
  catchup::embedded::ServerOptions options;
  options.directory = argv[1];
  auto server = catchup::embedded::EmbeddedServer::Start(options);
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", server.status().message().c_str());
    return 1;
  }
  // Ends with whoever started it, should that die without killing it.
  char byte = 0;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
