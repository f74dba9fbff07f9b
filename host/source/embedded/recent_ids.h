#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>

#include "host/base/uuid.h"

namespace catchup::embedded {

// Where the events written last are, by id: how an append that expects "any" recognises its own
// repetition. Best effort, as on a node: it holds the newest kCapacity ids and forgets the rest.
// For one thread.
class RecentIds {
 public:
  // Enough for a writer that repeats its last pipeline after an hour's work of a test; 6 MB.
  static constexpr std::size_t kCapacity = 65536;

  struct Place {
    std::int64_t revision = 0;
    std::uint64_t position = 0;
  };

  void Add(const Uuid& id, std::string_view stream, Place place) {
    const Entry entry{std::hash<std::string_view>()(stream), place};
    if (!places_.insert_or_assign(id, entry).second) {
      return;
    }
    order_.push_back(id);
    if (order_.size() > kCapacity) {
      places_.erase(order_.front());
      order_.pop_front();
    }
  }

  std::optional<Place> Find(const Uuid& id, std::string_view stream) const {
    const auto found = places_.find(id);
    // Two streams of one hash would also have to hold one id to be mistaken.
    if (found == places_.end() || found->second.stream != std::hash<std::string_view>()(stream)) {
      return std::nullopt;
    }
    return found->second.place;
  }

  void Clear() {
    places_.clear();
    order_.clear();
  }

 private:
  struct Entry {
    std::size_t stream;
    Place place;
  };
  struct Hash {
    std::size_t operator()(const Uuid& id) const {
      return static_cast<std::size_t>(id.most_significant() ^
                                      (id.least_significant() * 0x9e3779b97f4a7c15u));
    }
  };

  std::unordered_map<Uuid, Entry, Hash> places_;
  std::deque<Uuid> order_;
};

}  // namespace catchup::embedded
