#include "host/runner/probe.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "host/base/str_cat.h"
#include "host/runner/loop.h"
#include "host/runner/plugin_library.h"

namespace catchup {
namespace {

// False when nobody can be told any more: the plugin may have closed the descriptor.
bool Answer(bool ok, std::string text) {
  const std::string bytes = EncodeProbeRecord({ok, std::move(text)}, getpid());
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t size = write(kProbeAnswerFd, rest.data(), rest.size());
    if (size < 0 && errno != EINTR) {
      return false;
    }
    rest.remove_prefix(size < 0 ? 0 : static_cast<std::size_t>(size));
  }
  return true;
}

bool AnswerOne(const PluginLibrary& library, std::string_view projection) {
  PluginLibrary chosen = library;
  const Status status = chosen.Choose(projection);
  return Answer(status.ok(),
                status.ok() ? std::string(chosen.projection_name()) : status.message());
}

}  // namespace

int Probe(const char* path, const char* const* projections, std::size_t count) {
  struct stat before {};
  struct stat now {};
  const bool open = fstat(kProbeAnswerFd, &before) == 0;
  const Result<PluginLibrary> library = PluginLibrary::Load(path);
  // A plugin that closes it may have opened something else under its number.
  bool told = open && fstat(kProbeAnswerFd, &now) == 0 && now.st_dev == before.st_dev &&
              now.st_ino == before.st_ino;
  told =
      told && Answer(library.ok(), library.ok() ? StrCat(library->name(), " ", library->version())
                                                : library.status().message());
  for (std::size_t i = 0; library.ok() && told && i < count; ++i) {
    told = AnswerOne(*library, projections[i]);
  }
  return static_cast<int>(told ? RunnerExit::kClean : RunnerExit::kUnheard);
}

}  // namespace catchup
