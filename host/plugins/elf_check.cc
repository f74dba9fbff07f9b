#include <elf.h>
#include <fmt/core.h>

#include <cstring>
#include <optional>

#include "host/plugins/plugin_file.h"

namespace catchup {
namespace {

#if defined(__x86_64__)
constexpr std::uint16_t kMachine = EM_X86_64;
constexpr std::string_view kMachineName = "x86-64";
#elif defined(__aarch64__)
constexpr std::uint16_t kMachine = EM_AARCH64;
constexpr std::string_view kMachineName = "AArch64";
#else
#error "name this machine's ELF number"
#endif

constexpr std::string_view kEntry = "catchup_plugin_entry";

// A file of fewer sections, segments and symbols than these is every real one.
constexpr std::size_t kMostEntries = 1u << 22;

// The file's bytes, read with every offset and count checked: it comes from outside.
class Elf {
 public:
  explicit Elf(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  std::optional<T> At(std::uint64_t offset) const {
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(T)) {
      return std::nullopt;
    }
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof value);
    return value;
  }

  std::string_view Text(std::uint64_t offset) const {
    if (offset >= bytes_.size()) {
      return {};
    }
    const std::string_view rest = bytes_.substr(offset);
    return rest.substr(0, rest.find('\0'));
  }

 private:
  std::string_view bytes_;
};

Status Bad(std::string text) { return Status::Incompatible(std::move(text)); }

Status CheckIdentity(const Elf64_Ehdr& header) {
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return Bad("is not a 64-bit little-endian ELF file");
  }
  if (header.e_machine != kMachine) {
    return Bad(
        fmt::format("is built for ELF machine {}: wanted {}", header.e_machine, kMachineName));
  }
  if (header.e_type != ET_DYN) {
    return Bad(fmt::format("is not a shared object (ELF type {})", header.e_type));
  }
  return {};
}

// A run path in quotes, in brackets; empty where the file does not say it. The strings lie at an
// address of the loaded file, the first segment that has it tells where that is in the file.
std::string RunPath(const Elf& elf, const Elf64_Ehdr& header, const Elf64_Phdr& dynamic,
                    std::uint64_t offset) {
  std::uint64_t strings = 0;
  for (std::uint64_t i = 0; i < dynamic.p_filesz / sizeof(Elf64_Dyn) && i < kMostEntries; ++i) {
    const auto entry = elf.At<Elf64_Dyn>(dynamic.p_offset + i * sizeof(Elf64_Dyn));
    if (!entry.has_value() || entry->d_tag == DT_NULL) {
      break;
    }
    strings = entry->d_tag == DT_STRTAB ? entry->d_un.d_ptr : strings;
  }
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = elf.At<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (segment.has_value() && segment->p_type == PT_LOAD && strings >= segment->p_vaddr &&
        strings - segment->p_vaddr < segment->p_filesz) {
      const std::string_view path =
          elf.Text(segment->p_offset + (strings - segment->p_vaddr) + offset);
      return path.empty() ? "" : fmt::format(" (\"{}\")", path);
    }
  }
  return {};
}

Status CheckDynamic(const Elf& elf, const Elf64_Ehdr& header, const Elf64_Phdr& segment) {
  for (std::uint64_t i = 0; i < segment.p_filesz / sizeof(Elf64_Dyn) && i < kMostEntries; ++i) {
    const auto entry = elf.At<Elf64_Dyn>(segment.p_offset + i * sizeof(Elf64_Dyn));
    if (!entry.has_value()) {
      return Bad("is cut short");
    }
    switch (entry->d_tag) {
      case DT_NULL:
        return {};
      case DT_TEXTREL:
        return Bad("has text relocations: build it with -fPIC");
      case DT_RPATH:
      case DT_RUNPATH:
        return Bad(fmt::format(
            "has a run path{}: wanted none, since a plugin is loaded from a copy of its file; link "
            "it without -rpath (CMake: SKIP_BUILD_RPATH, and no INSTALL_RPATH)",
            RunPath(elf, header, segment, entry->d_un.d_val)));
      default:
        break;
    }
  }
  return {};
}

Status CheckSegments(const Elf& elf, const Elf64_Ehdr& header) {
  bool relro = false;
  for (std::uint64_t i = 0; i < header.e_phnum; ++i) {
    const auto segment = elf.At<Elf64_Phdr>(header.e_phoff + i * sizeof(Elf64_Phdr));
    if (!segment.has_value()) {
      return Bad("is cut short");
    }
    if (segment->p_type == PT_GNU_RELRO) {
      relro = true;
    }
    if (segment->p_type == PT_GNU_STACK && (segment->p_flags & PF_X) != 0) {
      return Bad("asks for an executable stack: link it with -z noexecstack");
    }
    if (segment->p_type == PT_DYNAMIC) {
      CATCHUP_RETURN_IF_ERROR(CheckDynamic(elf, header, *segment));
    }
  }
  return relro ? Status() : Bad("has no RELRO segment: link it with -z relro");
}

// A file without section headers can still be loaded; the runner then finds out.
Status CheckEntry(const Elf& elf, const Elf64_Ehdr& header) {
  for (std::uint64_t i = 0; i < header.e_shnum; ++i) {
    const auto section = elf.At<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
    if (!section.has_value()) {
      return Bad("is cut short");
    }
    if (section->sh_type != SHT_DYNSYM) {
      continue;
    }
    const auto names =
        elf.At<Elf64_Shdr>(header.e_shoff + std::uint64_t{section->sh_link} * sizeof(Elf64_Shdr));
    if (!names.has_value()) {
      return Bad("is cut short");
    }
    for (std::uint64_t k = 0; k < section->sh_size / sizeof(Elf64_Sym) && k < kMostEntries; ++k) {
      const auto symbol = elf.At<Elf64_Sym>(section->sh_offset + k * sizeof(Elf64_Sym));
      if (!symbol.has_value()) {
        return Bad("is cut short");
      }
      if (symbol->st_shndx != SHN_UNDEF && elf.Text(names->sh_offset + symbol->st_name) == kEntry) {
        return {};
      }
    }
    return Bad("is not a catchup plugin: it exports no " + std::string(kEntry));
  }
  return {};
}

}  // namespace

Status CheckElf(std::string_view bytes) {
  const Elf elf(bytes);
  const auto header = elf.At<Elf64_Ehdr>(0);
  if (!header.has_value() || std::memcmp(header->e_ident, ELFMAG, SELFMAG) != 0) {
    return Bad("is not an ELF file");
  }
  CATCHUP_RETURN_IF_ERROR(CheckIdentity(*header));
  CATCHUP_RETURN_IF_ERROR(CheckSegments(elf, *header));
  return CheckEntry(elf, *header);
}

}  // namespace catchup
