#include "host/runner/plugin_library.h"

#define BOOST_DLL_USE_STD_FS
#include <dlfcn.h>

#include <algorithm>
#include <boost/dll/shared_library.hpp>
#include <cstring>
#include <exception>
#include <memory>
#include <set>
#include <system_error>

#include "host/base/str_cat.h"
#include "host/runner/copy_table.h"

namespace catchup {
namespace {

std::string_view Text(catchup_view view) {
  return view.data == nullptr ? std::string_view() : std::string_view(view.data, view.size);
}

std::string AbiText(unsigned major, unsigned minor) { return StrCat(major, ".", minor); }

bool IsProjectionName(std::string_view name) {
  constexpr std::size_t kLongest = 63;
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kLongest && plain(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return plain(c) || c == '-'; });
}

// Of a table that begins with its own size, as all but the descriptor do.
Status CheckSize(const void* table, std::uint32_t first_bytes, std::string_view what) {
  std::uint32_t size = 0;
  std::memcpy(&size, table, sizeof size);
  if (size >= first_bytes) return {};
  return Status::Incompatible(StrCat("the struct_size of ", what, " is ", size,
                                     ": wanted at least ", first_bytes,
                                     ", as sizeof of the struct gives"));
}

// The name of a table that may be shorter than ours.
std::string_view NameOf(const catchup_projection* projection) {
  catchup_projection copy;
  CopyTable(projection, &copy);
  return Text(copy.name);
}

// Asks through the copy, since an older plugin's own table may end before the function.
const void* Extension(const catchup_projection& copy, const catchup_projection* original,
                      std::string_view id) {
  return copy.get_extension == nullptr ? nullptr
                                       : copy.get_extension(original, {id.data(), id.size()});
}

}  // namespace

Status CheckAbi(const catchup_header& header) {
  if (header.magic != CATCHUP_MAGIC) {
    char found[16];
    std::snprintf(found, sizeof found, "%08x", header.magic);
    char wanted[16];
    std::snprintf(wanted, sizeof wanted, "%08x", CATCHUP_MAGIC);
    return Status::Incompatible(
        StrCat("not a catchup plugin: its magic is ", found, ", wanted ", wanted));
  }
  if (header.struct_size < kFirstDescriptorBytes) {
    return Status::Incompatible(StrCat("its descriptor has ", header.struct_size,
                                       " bytes, wanted at least ", kFirstDescriptorBytes));
  }
  if (header.abi_major != CATCHUP_ABI_MAJOR) {
    return Status::Incompatible(StrCat("built for ABI ", header.abi_major, ".x, host has ",
                                       AbiText(CATCHUP_ABI_MAJOR, CATCHUP_ABI_MINOR)));
  }
  // A newer minor may rely on host functions we lack; an older one only uses fewer. Written so that
  // it also compiles while our minor is 0.
  if (header.abi_minor >= CATCHUP_ABI_MINOR + 1) {
    return Status::Incompatible(StrCat("needs ABI ", AbiText(header.abi_major, header.abi_minor),
                                       ", host has ",
                                       AbiText(CATCHUP_ABI_MAJOR, CATCHUP_ABI_MINOR)));
  }
  return {};
}

std::string_view PluginLibrary::projection_name() const { return Text(projection_.name); }

Result<PluginLibrary> PluginLibrary::Open(const std::filesystem::path& path,
                                          std::string_view projection) {
  Result<PluginLibrary> library = Load(path);
  if (library.ok()) {
    CATCHUP_RETURN_IF_ERROR(library->Choose(projection));
  }
  return library;
}

Result<PluginLibrary> PluginLibrary::Load(const std::filesystem::path& path) {
  const std::string file = path.filename().string();
  if (!path.is_absolute()) {
    return Status::Invalid(path.string() + " is not an absolute path, as a plugin's must be");
  }
  // Leaked on purpose: its destructor would unload the library.
  auto* library = new boost::dll::shared_library;
  try {
    std::error_code failed;
    library->load(path, failed,
                  boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    if (failed) {
      // The code is the same for every failure; only the loader knows the reason.
      const char* reason = dlerror();  // NOLINT: no other thread of ours loads.
      return Status::Incompatible(StrCat(
          file, " cannot be loaded: ", reason != nullptr ? reason : "the loader gives no reason"));
    }
  } catch (const std::exception& error) {
    // Boost's own, or of a constructor of the library.
    return Status::Incompatible(StrCat(file, " cannot be loaded: ", error.what()));
  }
  using Entry = const catchup_plugin*();
  Entry* entry = nullptr;
  if (library->has(kEntrySymbol)) {
    entry = &library->get<Entry>(kEntrySymbol);
  }
  if (entry == nullptr) {
    return Status::Incompatible(
        StrCat(file, " is not a catchup plugin: it exports no ", kEntrySymbol));
  }
  const catchup_plugin* plugin = entry();
  if (plugin == nullptr) {
    return Status::Incompatible(StrCat(file, ": ", kEntrySymbol, " returned null"));
  }
  if (Status abi = CheckAbi(plugin->header); !abi.ok()) {
    return abi.Within(file);
  }
  PluginLibrary opened;
  opened.library_ = library;
  opened.file_ = file;
  CopyTable(plugin, plugin->header.struct_size, &opened.descriptor_);
  opened.name_ = Text(opened.descriptor_.name);
  opened.version_ = Text(opened.descriptor_.version);
  return opened;
}

Status PluginLibrary::Choose(std::string_view projection) {
  const Status found = Find(projection);
  return found.ok() ? found : found.Within(file_);
}

Status PluginLibrary::Find(std::string_view wanted) {
  const catchup_plugin& plugin = descriptor_;
  if (name_.empty() || version_.empty()) {
    return Status::Incompatible(StrCat(
        "has an empty ", name_.empty() ? "name" : "version",
        " in its descriptor: wanted one, as logs and letters tell which plugin was at work"));
  }
  if (plugin.projection_count == 0 || plugin.projections == nullptr) {
    return Status::Incompatible("offers no projection");
  }
  std::string offered;
  std::set<std::string_view> names;
  const catchup_projection* found = nullptr;
  for (std::uint64_t i = 0; i < plugin.projection_count; ++i) {
    const catchup_projection* candidate = plugin.projections[i];
    if (candidate != nullptr) {
      CATCHUP_RETURN_IF_ERROR(
          CheckSize(candidate, kFirstProjectionBytes, StrCat("projection ", i)));
    }
    const std::string_view name = candidate == nullptr ? std::string_view() : NameOf(candidate);
    if (!IsProjectionName(name)) {
      return Status::Incompatible(
          StrCat("projection ", i, " has no name of the form [a-z0-9][a-z0-9-]{0,62}"));
    }
    offered += offered.empty() ? "" : ", ";
    offered += name;
    if (!names.insert(name).second) {
      return Status::Incompatible(
          StrCat("offers two projections of the name \"", name, "\": wanted a name for each"));
    }
    if (wanted.empty() ? plugin.projection_count == 1 : name == wanted) {
      found = candidate;
    }
  }
  if (found == nullptr) {
    return Status::Incompatible(
        wanted.empty()
            ? StrCat("offers several projections (", offered, "): wanted `projection` to name one")
            : StrCat("offers no projection \"", wanted, "\": it has ", offered));
  }
  CopyTable(found, &projection_);
  return CheckTables(found);
}

Status PluginLibrary::CheckTables(const catchup_projection* original) {
  const auto missing = [&](std::string_view function) {
    return Status::Incompatible(
        StrCat("projection \"", projection_name(), "\" has no function ", function));
  };
  if (projection_.create == nullptr) return missing("create");
  if (projection_.destroy == nullptr) return missing("destroy");
  if (projection_.start == nullptr) return missing("start");
  if (projection_.stop == nullptr) return missing("stop");
  if (const void* table = Extension(projection_, original, CATCHUP_EXT_BATCH); table != nullptr) {
    CATCHUP_RETURN_IF_ERROR(CheckSize(table, kFirstBatchBytes, CATCHUP_EXT_BATCH));
    CopyTable(table, &batch_);
    if (batch_.handle_batch == nullptr) return missing("handle_batch");
    if (batch_.max_events == 0) {
      return Status::Incompatible("catchup.batch/1 with max_events 0: wanted at least 1");
    }
  }
  if (const void* table = Extension(projection_, original, CATCHUP_EXT_POSITION);
      table != nullptr) {
    CATCHUP_RETURN_IF_ERROR(CheckSize(table, kFirstPositionBytes, CATCHUP_EXT_POSITION));
    CopyTable(table, &position_);
    if (position_.load_position == nullptr) return missing("load_position");
    if (position_.handle_at == nullptr) return missing("handle_at");
    if (position_.set_position == nullptr) return missing("set_position");
    if (position_.max_events == 0) {
      return Status::Incompatible("catchup.position/1 with max_events 0: wanted at least 1");
    }
  }
  if (projection_.handle == nullptr && !has_position()) return missing("handle");
  return {};
}

}  // namespace catchup
