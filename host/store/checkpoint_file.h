#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/status.h"

struct sqlite3;
struct sqlite3_stmt;

namespace catchup {

// The SQLite file below a checkpoint store: three tables of one row each, every one on a page of
// its own. It moves bytes and knows nothing of what they say.
//
// Why a file is rewritten at every open: after a failed fsync the kernel may hold pages as clean
// that the disk never got, and nothing tells a later process. So what was read is put into a new
// file, which is synced and renamed, before any of it is trusted. The file is four pages long, so
// this costs less than finding out whether it was needed.
//
// Blocking; one thread at a time.
class CheckpointFile {
 public:
  // The rows as they are; a row that cannot be read is absent.
  struct Image {
    std::array<std::optional<std::string>, 2> slots;
    std::optional<std::string> desired;
  };

  // Reads the rows of an existing file, after SQLite has finished or undone what a kill
  // interrupted. kCorrupt: no SQLite file, or damaged beyond its rows. kIncompatible: a database of
  // something else, or a newer format. kInUse: locked by another process.
  static Result<Image> Read(const std::filesystem::path& file);

  // Read() without a lock or a write: what a kill interrupted is seen as it stands, so one slot of
  // the two may be half written.
  static Result<Image> Peek(const std::filesystem::path& file);

  // Writes a new file with these rows, all present, and returns once it is on the disk. What bears
  // the name already is overwritten; no journal is left.
  static Status Write(const std::filesystem::path& file, const Image& image);

  // Opens a file made by Write() and locks it for as long as this object lives.
  static Result<std::unique_ptr<CheckpointFile>> Open(const std::filesystem::path& file);

  CheckpointFile(const CheckpointFile&) = delete;
  CheckpointFile& operator=(const CheckpointFile&) = delete;
  ~CheckpointFile();

  // Replace one row by another of the same size in one transaction; return once it is on the disk.
  // kExhausted: no space, nothing changed, may be tried again. Any other failure: see
  // CheckpointStore::Save().
  Status UpdateSlot(int slot, std::string_view body);
  Status UpdateDesired(std::string_view body);

 private:
  CheckpointFile(std::filesystem::path file, sqlite3* db) : file_(std::move(file)), db_(db) {}

  Status Prepare();
  Status Update(sqlite3_stmt* statement, std::string_view body);

  std::filesystem::path file_;
  sqlite3* db_;
  std::array<sqlite3_stmt*, 2> update_slot_{};
  sqlite3_stmt* update_desired_ = nullptr;
};

}  // namespace catchup
