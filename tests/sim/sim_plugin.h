#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tests/sim/history.h"
#include "tests/sim/scheduler.h"

namespace catchup::sim {

// The durable side of a plugin: its journal, and in position mode the row with position and token.
// It survives every process.
class PluginStore {
 public:
  enum class Answer : std::uint8_t { kOk, kAlready, kFenced, kMismatch };

  PluginStore(History* history, const Scheduler* clock) : history_(*history), clock_(*clock) {}

  // A call without a position: the effect of one event, which may be a letter's.
  void Apply(std::uint64_t token, std::size_t event, bool letter = false) {
    Note({.kind = Record::Kind::kApply, .runner = token, .event = event, .letter = letter});
  }

  // load_position.
  Answer Load(std::uint64_t token, std::optional<Position>* out) {
    if (token < token_) {
      return Answer::kFenced;
    }
    token_ = token;
    *out = position_;
    return Answer::kOk;
  }

  // handle_at, guarded by token and by the position before.
  Answer HandleAt(std::uint64_t token, const std::vector<std::size_t>& events,
                  std::optional<Position> previous, Position position) {
    if (token_ > token) {
      return Answer::kFenced;
    }
    if (position_ != previous) {
      return position_ >= position ? Answer::kAlready : Answer::kMismatch;
    }
    for (const std::size_t event : events) {
      Apply(token, event);
    }
    position_ = position;
    return Answer::kOk;
  }

  // An operator puts a back-up of the whole store in place.
  void Restore(std::optional<Position> position) {
    position_ = position;
    Note({.kind = Record::Kind::kRestore, .position = position});
  }

  const std::optional<Position>& position() const { return position_; }

 private:
  void Note(Record record) {
    record.at = clock_.now();
    history_.records.push_back(record);
  }

  History& history_;
  const Scheduler& clock_;
  std::optional<Position> position_;
  std::uint64_t token_ = 0;
};

}  // namespace catchup::sim
