#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace catchup {

// Copies what both sides know of a struct of the ABI, which grow at their ends only. `size` is how
// much of it the plugin has; what it lacks stays zero, what only the plugin knows is left out.
template <typename Table>
void CopyTable(const void* from, std::size_t size, Table* to) {
  *to = Table{};
  std::memcpy(static_cast<void*>(to), from, std::min(size, sizeof(Table)));
}

// The same for a table that begins with its own struct_size, as all but the descriptor do.
template <typename Table>
void CopyTable(const void* from, Table* to) {
  std::uint32_t size = 0;
  std::memcpy(&size, from, sizeof size);
  CopyTable(from, size, to);
}

}  // namespace catchup
