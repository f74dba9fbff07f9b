#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace catchup {

// A text that nobody is to find lying about: on pages of its own, which the kernel leaves out of a
// core dump, and wiped when it goes. Moves, and is not copied by accident.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string_view text);
  Secret(Secret&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Secret& operator=(Secret&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;
  ~Secret();

  // Lives as long as this.
  std::string_view text() const { return {static_cast<const char*>(memory_), size_}; }

 private:
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};

// Overwrites what has held a secret on its way, and empties it.
void Wipe(std::string* text);

}  // namespace catchup
