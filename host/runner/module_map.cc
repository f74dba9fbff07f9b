#include "host/runner/module_map.h"

#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace catchup {
namespace {

constexpr std::string_view kLineStart = "catchup-runner: modules ";
// Kept free for the last line.
constexpr std::size_t kReserve = 64;

}  // namespace

void ModuleMap::Append(std::string_view text) {
  std::memcpy(text_ + writing_, text.data(), text.size());
  writing_ += text.size();
}

void ModuleMap::Add(const Module& module, std::string_view path) {
  char address[24];
  const auto address_size =
      static_cast<std::size_t>(std::snprintf(address, sizeof address, "0x%zx ", module.base));
  const std::size_t count = count_.load(std::memory_order_relaxed);
  const std::size_t size = kLineStart.size() + 2 + address_size + path.size();
  if (count == kMaxModules || writing_ + size + kReserve > kTextBytes) {
    ++left_out_;
    return;
  }
  if (writing_ != 0 && writing_ - line_begin_ + size <= kLineBytes) {
    Append(", ");
  } else {
    if (writing_ != 0) {
      Append("\n");
    }
    line_begin_ = writing_;
    Append(kLineStart);
  }
  Append({address, address_size});
  const std::size_t path_begin = writing_;
  Append(path);
  // A line break in a file's name would forge a line.
  std::replace_if(
      text_ + path_begin, text_ + writing_,
      [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, '?');
  const std::size_t slash = path.rfind('/');
  const std::size_t file = slash == std::string_view::npos ? 0 : slash + 1;
  modules_[count] = module;
  modules_[count].file = static_cast<std::uint32_t>(path_begin + file);
  modules_[count].file_size = static_cast<std::uint32_t>(path.size() - file);
  count_.store(count + 1, std::memory_order_release);
}

void ModuleMap::Read() {
  count_.store(0, std::memory_order_release);
  text_size_.store(0, std::memory_order_release);
  writing_ = 0;
  line_begin_ = 0;
  left_out_ = 0;
  const auto add = [](dl_phdr_info* info, std::size_t, void* map) {
    Module module{info->dlpi_addr, UINTPTR_MAX, 0, 0, 0};
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const auto& segment = info->dlpi_phdr[i];
      if (segment.p_type == PT_LOAD) {
        const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
        module.begin = std::min(module.begin, begin);
        module.end = std::max(module.end, begin + segment.p_memsz);
      }
    }
    // The executable has no name there.
    const bool named = info->dlpi_name != nullptr && info->dlpi_name[0] != '\0';
    static_cast<ModuleMap*>(map)->Add(module, named ? info->dlpi_name : "catchup-runner");
    return 0;
  };
  (void)dl_iterate_phdr(add, this);
  if (left_out_ != 0) {
    char more[kReserve];
    const int size = std::snprintf(more, sizeof more, " and %zu more", left_out_);
    Append({more, static_cast<std::size_t>(size)});
  }
  Append("\n");
  text_size_.store(writing_, std::memory_order_release);
}

std::optional<ModuleMap::Place> ModuleMap::Find(std::uintptr_t address) const {
  const std::size_t count = count_.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    const Module& module = modules_[i];
    if (address >= module.begin && address < module.end) {
      return Place{{text_ + module.file, module.file_size}, address - module.base};
    }
  }
  return std::nullopt;
}

}  // namespace catchup
