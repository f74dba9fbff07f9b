#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "host/base/status.h"
#include "host/base/unique_fd.h"

namespace catchup {

// The file below a checkpoint store: a header page and two slots. It moves bytes and knows nothing
// of what the slots say. Little-endian:
//
//   0      16    "catchup-checkpt\n"
//   16     u32   kCheckpointFormat
//   20     u32   kSlotBytes
//   4064   32    BLAKE2b of all before; zeros lie between
//   4096   8192  slot 1
//   12288  8192  slot 2
//
// The whole length is written when the file is made, zeros too. fallocate would not do: the first
// write to what it reserves still changes metadata, which makes that sync fifty times dearer and
// lets a full disk refuse it.
//
// Why a file is written anew at every open: after a failed sync the kernel may hold pages as clean
// that the disk never got, and nothing tells a later process. So what was read is put into a new
// file, which is synced and renamed, before any of it is trusted. The file is five pages long, so
// this costs less than finding out whether it was needed.
inline constexpr std::uint32_t kCheckpointFormat = 2;
inline constexpr std::size_t kHeaderBytes = 4096;
inline constexpr std::size_t kSlotBytes = 8192;
inline constexpr std::size_t kSlots = 2;
inline constexpr std::size_t kCheckpointFileBytes = kHeaderBytes + kSlots * kSlotBytes;

// Blocking; one thread at a time.
//
// Failures of every function: kExhausted and kUnavailable for what may pass (no room, quota,
// descriptors or memory; a read-only or forbidden file), with nothing changed; others as said.
class CheckpointFile {
 public:
  using Slots = std::array<std::string, kSlots>;  // kSlotBytes each.

  // What was read. A slot that the file is too short for is empty.
  struct Image {
    Slots slots;
    std::string fault;  // What is wrong outside the slots; empty if nothing.
  };

  // Reads without a lock: a slot may be half written by a host that runs. kIncompatible: another
  // format.
  static Result<Image> Read(const std::filesystem::path& file);

  // Writes a new file; returns once its content is on the disk. Where the name is must be synced by
  // the caller. What bears the name already goes.
  static Status Write(const std::filesystem::path& file, const Slots& slots);

  // Opens and locks `file` for as long as the result lives. kInUse: another process has it.
  static Result<std::unique_ptr<CheckpointFile>> Open(const std::filesystem::path& file);

  CheckpointFile(const CheckpointFile&) = delete;
  CheckpointFile& operator=(const CheckpointFile&) = delete;

  // What the file holds, as Read().
  Result<Image> Read() const;

  // Puts a new file with these slots in its place, locked too, and returns once that is on the
  // disk. After a failure only destruction or another Renew may follow.
  Status Renew(const Slots& slots);

  // Replaces one slot (0 or 1) by one write and one sync. A failed sync is final, whatever its
  // cause, and so is a file that is no longer there under its name: no such failure has a code
  // that may pass.
  Status WriteSlot(std::size_t slot, std::string_view body);

  // kNotFound: the name stands for nothing, or for another file. ok where that cannot be told.
  Status CheckStillThere() const;

 private:
  CheckpointFile(std::filesystem::path file, UniqueFd fd)
      : file_(std::move(file)), fd_(std::move(fd)) {}

  std::filesystem::path file_;
  UniqueFd fd_;
};

}  // namespace catchup
