#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "host/base/check.h"
#include "host/base/position.h"
#include "host/engine/command.h"
#include "host/engine/letter.h"

namespace catchup {

// What is being written of letters that were called: that they have healed, or what else became of
// them. Several may be under way, so that letters that heal in a row share commits.
//
// What was called waits for its own to be on the disk before anything comes of it: with order
// kStream no letter and no event of the stream is called meanwhile, so that no kill brings a letter
// again behind what followed it; else not the letter itself.
class LetterWrites {
 public:
  // At a time. A commit takes as long as some twenty calls of a quick handler, so this is more than
  // one that is under way and the next one can share; and a kill repeats no more calls than this.
  static constexpr std::size_t kMost = 64;

  explicit LetterWrites(LetterOrder order) : order_(order) {}

  struct Write {
    std::string stream;
    bool ours = false;            // No runner has reported what is written.
    std::optional<Command> line;  // The notice of it, which is true once it is on the disk.
  };

  void Begin(std::string_view stream, Position position, bool ours, std::optional<Command> line) {
    const bool begun =
        writes_.emplace(position, Write{std::string(stream), ours, std::move(line)}).second;
    CATCHUP_CHECK(begun);
    streams_.emplace(stream);
    ours_ += ours ? 1 : 0;
  }

  // What is on the disk now; none: nothing of this letter was under way.
  std::optional<Write> End(Position position) {
    const auto found = writes_.find(position);
    if (found == writes_.end()) {
      return std::nullopt;
    }
    Write write = std::move(found->second);
    writes_.erase(found);
    ours_ -= write.ours ? 1 : 0;
    streams_.erase(streams_.find(write.stream));
    return write;
  }

  // Of this letter.
  bool Has(Position position) const { return writes_.contains(position); }

  bool empty() const { return writes_.empty(); }
  bool full() const { return writes_.size() >= kMost; }
  bool has_ours() const { return ours_ > 0; }
  bool has_reported() const { return writes_.size() > ours_; }

  // Whether a letter's call would come before what it has to wait for.
  bool Holds(std::string_view stream, Position position) const {
    return order_ != LetterOrder::kStream ? Has(position) : streams_.find(stream) != streams_.end();
  }

 private:
  const LetterOrder order_;
  std::map<Position, Write> writes_;
  std::multiset<std::string, std::less<>> streams_;
  std::size_t ours_ = 0;
};

}  // namespace catchup
