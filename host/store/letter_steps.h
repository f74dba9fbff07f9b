#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/position.h"
#include "host/base/sqlite.h"
#include "host/base/status.h"
#include "host/base/uuid.h"
#include "host/store/letter.h"

namespace catchup {

// What became of a letter, as sinks hear of it. Numbers are part of the file format.
enum class LetterStepKind : std::uint8_t {
  kWritten = 1,
  kHealed = 2,
  kDead = 3,
  kRetried = 4,  // A command had it called; what that led to follows, where it changed the state.
  kDropped = 5,
};
std::string_view LetterStepName(LetterStepKind kind);

// One step, as it was stored with the change that it tells of.
struct LetterStep {
  std::uint64_t number = 0;  // Steps of a group are numbered from 1 without a gap.
  LetterStepKind kind = LetterStepKind::kWritten;
  Position position;  // Of the letter.
  std::string head;   // Members of a JSON object: step, number, time, note, the letter's own.
  std::string event;  // The event as an event line.

  // A version-5 UUID of group, position and step: the same however often it is delivered.
  Uuid Id(std::string_view group) const;

  // The step as one JSON object, with the event as its member `event` where all of it takes at most
  // `most` bytes; else `event` is null and `eventBytes` says how long the line was.
  std::string Object(std::size_t most) const;
};

// The steps of a group's letters that some sink does not have yet, and each sink's place among
// them: the number of the last step that it has. They lie in the letters' file, so a step is stored
// if and only if its change is.
//
// Bounded: when a sink stays away for long, the oldest steps go, and the gap in the numbers that
// the sink then sees says how many it missed.
//
// Part of a LetterStore, inside whose transactions its functions run; failures are SQLite's own.
class LetterSteps {
 public:
  // More than a sink that stays away for a night leaves behind, and little beside the letters.
  static constexpr std::uint64_t kMaxSteps = 200'000;
  // A read for a sink: enough to share a sync or a round trip, little enough to hold in memory.
  static constexpr std::size_t kMaxRead = 256;
  static constexpr std::size_t kMaxReadBytes = 4u << 20;

  // `connection` must outlive this. Makes the file's sinks those in `sinks`: a new one begins with
  // the oldest step there is, one that is not configured any more is forgotten.
  static Result<LetterSteps> Over(Connection* connection, const std::vector<std::string>& sinks,
                                  std::uint64_t max_bytes);

  // Stores a step of `letter` as it is after the step, or was before it went. Nothing without
  // sinks.
  Status Add(LetterStepKind kind, std::string_view group, const Letter& letter,
             std::string_view note, std::int64_t time_ticks);

  // The next steps for a sink.
  struct Part {
    std::uint64_t place = 0;        // The last one that it has.
    std::uint64_t last = 0;         // The last one there is.
    std::vector<LetterStep> steps;  // Oldest first. The first may lie beyond place + 1: a gap.
  };
  // At least one step if there is any.
  Result<Part> Read(const std::string& sink);

  // `sink` has all steps up to `number`. Removes what every sink has.
  Status SetPlace(const std::string& sink, std::uint64_t number);

  bool empty() const { return count_ == 0; }

  // What is counted in memory follows the transaction's end.
  void Keep();
  void Forget();
  // What is counted is read anew from the file.
  Status Recount();

 private:
  LetterSteps(Connection* connection, bool wanted, std::uint64_t max_bytes)
      : connection_(connection), wanted_(wanted), max_bytes_(max_bytes) {}

  Status CountAll();
  Status RemoveUpTo(std::uint64_t number);
  Status MakeRoom();

  Connection* connection_;
  bool wanted_ = false;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t last_ = 0;  // The number given out last.
  struct Counts {
    std::uint64_t count = 0;
    std::uint64_t bytes = 0;
    std::uint64_t last = 0;
  };
  Counts kept_;
};

}  // namespace catchup
