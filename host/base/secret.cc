#include "host/base/secret.h"

#include <string.h>
#include <sys/mman.h>

#include <new>

namespace catchup {

Secret::Secret(std::string_view text) {
  if (text.empty()) {
    return;
  }
  memory_ =
      ::mmap(nullptr, text.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory_ == MAP_FAILED) {
    memory_ = nullptr;
    throw std::bad_alloc();
  }
  size_ = text.size();
  // Neither is there on every kernel, and without them it is memory as any other.
  (void)::madvise(memory_, size_, MADV_DONTDUMP);
  (void)::madvise(memory_, size_, MADV_WIPEONFORK);
  ::memcpy(memory_, text.data(), size_);
}

Secret::~Secret() {
  if (memory_ != nullptr) {
    ::explicit_bzero(memory_, size_);
    (void)::munmap(memory_, size_);
  }
}

void Wipe(std::string* text) {
  ::explicit_bzero(text->data(), text->size());
  text->clear();
}

}  // namespace catchup
