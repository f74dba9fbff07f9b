#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/digest.h"
#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// A plugin as it lies in one of the configured directories, opened for reading.
struct PluginFile {
  std::filesystem::path path;
  UniqueFd fd;
  std::uint64_t size = 0;
};

// Opens `name`, a bare file name, in the first of `directories` that has it.
//
// The directory and the file must belong to root or to us and be writable by nobody else, and the
// file must be a regular one, reached without symbolic links: whoever can put a file there runs
// code as us. The text of a failure names the file, what was found, what was wanted, and the
// command that mends it, if there is one.
Result<PluginFile> FindPlugin(const std::vector<std::filesystem::path>& directories,
                              const std::string& name);

// The host's own copy of a plugin, which a runner loads: the file it was copied from may change or
// go at any time.
struct StagedPlugin {
  std::filesystem::path path;  // plugins/SHA256/NAME below the state directory.
  Digest32 digest{};           // SHA-256.
  std::string sha256;          // The same as text.
};

// Hashes the file and copies it to `plugins`/SHA256/NAME, durable and read-only, unless an intact
// copy is there already. A `pin` that is not empty must equal the digest. What the copy holds is
// checked as CheckElf does, before any of its code can run.
Result<StagedPlugin> StagePlugin(const PluginFile& file, const std::filesystem::path& plugins,
                                 std::string_view pin);

// Whether the digest of `staged`, a copy of `file`, is the one that its group pins. Always, if
// there is no pin.
Status CheckPin(const PluginFile& file, const StagedPlugin& staged, std::string_view pin);

// Hashes the copy again: nothing else may ever be loaded under its digest. kCorrupt: it has
// changed; kNotFound: it is gone; a status that may pass says nothing about the copy.
Status VerifyStaged(const StagedPlugin& plugin);

// VerifyStaged; if the copy is gone, changed or cannot be read, makes it again from the file of its
// name in `directories`, which must still be the one it was made from. *lost then says what was
// wrong with the copy.
Status RestageIfLost(const StagedPlugin& plugin,
                     const std::vector<std::filesystem::path>& directories,
                     const std::filesystem::path& plugins, std::string* lost);

// Whether `bytes` are a shared object for this machine that is safe to load: 64-bit, our machine,
// RELRO, no executable stack, no text relocations, no run path, and an entry point of ours.
Status CheckElf(std::string_view bytes);

}  // namespace catchup
