#include "host/base/status.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>

namespace catchup {

Status Status::FromErrno(std::string_view what, int error_number) {
  std::string text(what);
  text += ": ";
  text += std::generic_category().message(error_number);
  Code code = Code::kInternal;
  switch (error_number) {
    case ENOENT:
    case ENOTDIR:
      code = Code::kNotFound;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = Code::kDenied;
      break;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:  // Of a file that is far from any file system's own limit, so that of the process.
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOLCK:
      code = Code::kExhausted;
      break;
    case EAGAIN:
    case EINTR:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
      code = Code::kUnavailable;
      break;
    default:
      break;
  }
  return {code, std::move(text)};
}

Status Status::Within(std::string_view prefix) const {
  if (ok()) {
    return *this;
  }
  std::string text(prefix);
  text += ": ";
  text += message_;
  return {code_, std::move(text)};
}

void CheckFailed(const char* file, int line, const char* expression) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, expression);
  std::abort();
}

}  // namespace catchup
