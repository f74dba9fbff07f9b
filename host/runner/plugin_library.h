#pragma once

#include <catchup/plugin.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

inline constexpr char kEntrySymbol[] = "catchup_plugin_entry";

// What a descriptor has in ABI 1.0, and so the least that any plugin's has. When a field is
// appended to catchup_plugin this number stays, and the line below becomes `<`: a plugin of 1.0
// still loads, and the new field reads as zero. Comparing with today's size would refuse every
// older plugin.
inline constexpr std::uint32_t kFirstDescriptorBytes = 64;
static_assert(kFirstDescriptorBytes == sizeof(catchup_plugin));

// The same of the tables behind it, each as far as its last function that every plugin needs.
inline constexpr std::uint32_t kFirstProjectionBytes = 64;
inline constexpr std::uint32_t kFirstBatchBytes = 16;
inline constexpr std::uint32_t kFirstPositionBytes = 32;
static_assert(kFirstProjectionBytes == offsetof(catchup_projection, get_extension));
static_assert(kFirstBatchBytes == sizeof(catchup_batch));
static_assert(kFirstPositionBytes == sizeof(catchup_position_keeper));

// kOk if a plugin with this header may be looked at further; else kIncompatible with both sides'
// numbers. Reads magic, size, major and minor, in that order, and nothing behind them.
Status CheckAbi(const catchup_header& header);

// A plugin's shared library, mapped for the rest of the process, and one projection of it.
//
// Loading runs the library's constructors, so only a runner does it; the host must not. There is no
// unload, because glibc cannot promise one: a new version of a plugin means a new runner. Immutable
// once opened.
class PluginLibrary {
 public:
  // Maps `path`, which must be absolute (kInvalid), with every symbol resolved at once, checks the
  // ABI header before anything else, and finds `projection` (empty: the only one the file offers).
  static Result<PluginLibrary> Open(const std::filesystem::path& path, std::string_view projection);

  // The two steps of Open. Choose may be called again, with another name, on a copy.
  static Result<PluginLibrary> Load(const std::filesystem::path& path);
  Status Choose(std::string_view projection);

  std::string_view name() const { return name_; }
  std::string_view version() const { return version_; }
  std::string_view projection_name() const;

  // The tables, copied as far as both sides know them; what the plugin does not know is null.
  const catchup_projection& projection() const { return projection_; }
  bool has_batch() const { return batch_.handle_batch != nullptr; }
  const catchup_batch& batch() const { return batch_; }
  bool has_position() const { return position_.handle_at != nullptr; }
  const catchup_position_keeper& position() const { return position_; }

 private:
  PluginLibrary() = default;

  Status Find(std::string_view wanted);
  Status CheckTables(const catchup_projection* original);

  const void* library_ = nullptr;  // Never freed; kept so that a leak checker still finds it.
  std::string file_;               // Its name, for messages.
  catchup_plugin descriptor_{};
  std::string name_;
  std::string version_;
  catchup_projection projection_{};
  catchup_batch batch_{};
  catchup_position_keeper position_{};
};

}  // namespace catchup
