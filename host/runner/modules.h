#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace catchup {

// The executable or shared library that holds an address.
struct Module {
  std::string_view path;    // As it was opened; empty for the executable. Lives while it is loaded.
  std::string_view file;    // The last part of `path`.
  std::uintptr_t base = 0;  // Where it was loaded: addr2line wants an address less this.
  std::string_view build_id;  // The linker's bytes; empty without. Lives while it is loaded.
};

// Looks in what is loaded now, by the loader's own table, which needs no lock: any thread, also in
// a signal handler.
std::optional<Module> FindModule(std::uintptr_t address);

}  // namespace catchup
