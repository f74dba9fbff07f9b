#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/base/uuid.h"

namespace catchup::embedded {

// Where the newest event of every id is: how an append that expects "any" recognises its own
// repetition, however long ago the first one was.
//
// The newest ids are in memory. When there are too many, the older half moves into a table of the
// log's file in one sorted statement, so a small log has no such table. An ordinary index would do
// the same with less code, but ids are random: every event would rewrite a page of its own. With a
// million events, appends in transactions of 256 fell to a quarter with an index, and by a
// twentieth with this.
//
// Tables: old_ids(id, position of the newest event with it) and old_ids_end(position), the last
// position that the former covers. A version that does not know them writes on without them; what
// it wrote lies behind that end and is moved later.
//
// Add(), Prepare() and Find() belong to a transaction of the connection, which Keep() or Drop()
// ends. For the connection's thread.
class KnownIds {
 public:
  // A writer mostly repeats its last pipeline, which is then found without the file; 8 MB.
  static constexpr std::size_t kInMemory = 65536;

  struct Place {
    std::int64_t revision = 0;
    std::uint64_t position = 0;
  };

  // `connection` must outlive this object; nothing is read yet.
  KnownIds(Connection& connection, std::size_t in_memory)
      : connection_(connection), in_memory_(in_memory) {}
  KnownIds(const KnownIds&) = delete;
  KnownIds& operator=(const KnownIds&) = delete;

  // First in every transaction: reads the ids if that has not succeeded yet, and moves old ones.
  Status Prepare();

  void Add(const Uuid& id, std::string_view stream, Place place);
  // Finds nothing where the newest event with the id is in another stream, as on a node.
  Result<std::optional<Place>> Find(const Uuid& id, std::string_view stream);

  // To be called after the transaction was committed, or rolled back.
  void Keep();
  void Drop();

 private:
  struct Entry {
    std::size_t stream;  // Its hash: two streams of one would also have to hold one id.
    Place place;
  };
  struct Hash {
    std::size_t operator()(const Uuid& id) const {
      return static_cast<std::size_t>(id.most_significant() ^
                                      (id.least_significant() * 0x9e3779b97f4a7c15u));
    }
  };

  Status Load();
  Status ReadEndInFile();
  // Returns where those begin that are to be kept in memory. More than fit there only where another
  // version wrote.
  Result<std::uint64_t> MoveWhatDoesNotFit();
  Status Move(std::uint64_t end);
  Result<std::optional<Place>> FindInFile(const Uuid& id, std::string_view stream);
  void Remember(const Uuid& id, const Entry& entry);
  void ForgetUpTo(std::uint64_t end);

  Connection& connection_;
  const std::size_t in_memory_;
  bool is_loaded_ = false;
  std::unordered_map<Uuid, Entry, Hash> places_;
  std::deque<std::pair<Uuid, std::uint64_t>> order_;  // Each id once per event, with its position.

  // What the transaction under way adds.
  std::unordered_map<Uuid, Entry, Hash> added_;
  std::deque<std::pair<Uuid, std::uint64_t>> added_order_;
  std::optional<std::uint64_t> moved_end_;
  bool loaded_behind_move_ = false;

  std::uint64_t end_in_file_ = 0;  // The last position that the table covers; 0: no table.
  std::optional<Statement> find_in_file_;
};

}  // namespace catchup::embedded
