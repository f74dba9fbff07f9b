#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// A mapping of shared memory, unmapped when it goes. Not inherited by children (MADV_DONTFORK).
// Movable; any thread.
class Mapping {
 public:
  enum class Access : std::uint8_t { kReadOnly, kReadWrite };

  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  // Maps the first `size` bytes of `fd`, which must hold as many.
  static Result<Mapping> Map(int fd, std::uint64_t size, Access access);

  // For one that others in this process may write to: has the same memory at another address from
  // here on, which they do not know; what they still write to the old one goes nowhere. False, and
  // nothing has changed: the system refused.
  bool MoveAway();

  std::byte* data() const { return data_; }
  std::uint64_t size() const { return size_; }

 private:
  Mapping(std::byte* data, std::uint64_t size) : data_(data), size_(size) {}

  std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

// Who may write to a region besides the mappings that its creator already has.
enum class RegionWriters : std::uint8_t {
  kCreatorOnly,  // Sealed against every later writable mapping and write().
  kBothSides,    // Sealed against resizing only.
};

struct Region {
  UniqueFd fd;  // Close-on-exec; to be handed to the runner.
  Mapping mapping;
};

// Anonymous shared memory of `size` bytes, zeroed, mapped writable here, sealed against shrinking
// (a truncated mapping would kill this process with SIGBUS), growing and further seals.
Result<Region> CreateRegion(const std::string& name, std::uint64_t size, RegionWriters writers);

}  // namespace catchup
