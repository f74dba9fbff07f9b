#include "host/runner/modules.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstring>

namespace catchup {
namespace {

constexpr std::string_view kExecutable = "catchup-runner";

constexpr std::size_t Padded(std::size_t size) { return (size + 3) & ~std::size_t{3}; }

// The build id in a segment of notes.
std::string_view BuildIdIn(std::string_view notes) {
  ElfW(Nhdr) note;
  while (notes.size() >= sizeof note) {
    std::memcpy(&note, notes.data(), sizeof note);
    notes.remove_prefix(sizeof note);
    const std::size_t name_size = Padded(note.n_namesz);
    if (notes.size() < name_size || notes.size() - name_size < note.n_descsz) {
      return {};
    }
    if (note.n_type == NT_GNU_BUILD_ID && notes.starts_with(ELF_NOTE_GNU)) {
      return notes.substr(name_size, note.n_descsz);
    }
    const std::size_t size = name_size + Padded(note.n_descsz);
    notes.remove_prefix(size < notes.size() ? size : notes.size());
  }
  return {};
}

// Read from the module's own headers, which the loader has mapped at its start.
std::string_view BuildId(const char* start, std::uintptr_t base) {
  ElfW(Ehdr) header;
  std::memcpy(&header, start, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_phentsize != sizeof(ElfW(Phdr))) {
    return {};
  }
  for (std::size_t i = 0; i < header.e_phnum; ++i) {
    ElfW(Phdr) segment;
    std::memcpy(&segment, start + header.e_phoff + i * sizeof segment, sizeof segment);
    if (segment.p_type == PT_NOTE) {
      const auto* notes = reinterpret_cast<const char*>(base + segment.p_vaddr);
      if (const std::string_view id = BuildIdIn({notes, segment.p_memsz}); !id.empty()) {
        return id;
      }
    }
  }
  return {};
}

}  // namespace

std::optional<Module> FindModule(std::uintptr_t address) {
  dl_find_object found{};
  if (_dl_find_object(reinterpret_cast<void*>(address), &found) != 0) {
    return std::nullopt;
  }
  Module module;
  module.path = found.dlfo_link_map->l_name;
  const std::size_t slash = module.path.rfind('/');
  module.file = module.path.empty() ? kExecutable : module.path.substr(slash + 1);
  module.base = found.dlfo_link_map->l_addr;
  module.build_id = BuildId(static_cast<const char*>(found.dlfo_map_start), module.base);
  return module;
}

}  // namespace catchup
