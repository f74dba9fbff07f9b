#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace catchup {

// Where the executable and its shared libraries lie in memory, as text and for looking up, in
// memory of its own: a signal handler may read all of it at any time.
//
// Read belongs to one thread; a reader that it overtakes may find nothing, or the modules so far.
class ModuleMap {
 public:
  struct Place {
    std::string_view file;  // The last part of its path.
    std::uintptr_t offset;  // From the load address, as addr2line wants it.
  };

  constexpr ModuleMap() = default;
  ModuleMap(const ModuleMap&) = delete;
  ModuleMap& operator=(const ModuleMap&) = delete;

  // Takes the modules that are loaded now. Not in a signal handler.
  void Read();

  // "catchup-runner: modules ADDRESS PATH, ADDRESS PATH …" and a line's end, as many lines as that
  // takes. When there are more than it has room for, the last says how many.
  std::string_view lines() const { return {text_, text_size_.load(std::memory_order_acquire)}; }

  // The module that holds `address`, unless it came after Read.
  std::optional<Place> Find(std::uintptr_t address) const;

 private:
  // Above the 60 that a plugin with gRPC has on Debian 12.
  static constexpr std::size_t kMaxModules = 128;
  static constexpr std::size_t kTextBytes = 16 << 10;
  // A line stays one write to a pipe, and one line of the host's log.
  static constexpr std::size_t kLineBytes = 1000;

  struct Module {
    std::uintptr_t base;
    std::uintptr_t begin;
    std::uintptr_t end;
    // Of the text.
    std::uint32_t file;
    std::uint32_t file_size;
  };

  void Add(const Module& module, std::string_view path);
  void Append(std::string_view text);

  Module modules_[kMaxModules]{};
  char text_[kTextBytes]{};
  std::size_t writing_ = 0;     // Bytes of the text so far.
  std::size_t line_begin_ = 0;  // Of its last line.
  std::size_t left_out_ = 0;
  std::atomic<std::size_t> count_ = 0;
  std::atomic<std::size_t> text_size_ = 0;
};

}  // namespace catchup
