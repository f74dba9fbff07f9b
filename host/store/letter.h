#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/digest.h"
#include "host/base/position.h"
#include "host/base/uuid.h"

// What a dead letter is, wherever it is stored: the whole event, since the log may be scavenged,
// and why it is not handled. Plain values. Times are wall clock, in 100 ns ticks since 1970.
namespace catchup {

// Numbers are part of the file format.
enum class StoredState : std::uint8_t {
  kHealing = 1,   // Called again by the host itself.
  kDead = 2,      // Waits for a person.
  kFollower = 3,  // Waits behind an earlier letter of its stream; never called so far.
};

// Numbers are part of the file format.
enum class StoredClass : std::uint8_t {
  kNone = 0,  // Of a follower.
  kDomain = 1,
  kDomainText = 2,
  kUnknown = 3,
  kCrash = 4,
  kHang = 5,
  kHeld = 6,            // Parked without a call, because its type is held.
  kByHand = 7,          // Parked by an operator.
  kInfrastructure = 8,  // Of a call only: no letter is written for it.
};

// As users see them: "healing", "domain-text". Empty for kNone.
std::string_view StoredStateName(StoredState state);
std::string_view StoredClassName(StoredClass letter_class);
std::optional<StoredState> ParseStoredState(std::string_view name);
// Those that a letter may have; nothing for kNone and kInfrastructure.
std::optional<StoredClass> ParseStoredClass(std::string_view name);

// Enough for a stack of exceptions; a plugin may say more, and nobody reads it.
inline constexpr std::size_t kMaxLetterReason = 64u << 10;
// The last calls of a letter; earlier ones are counted in `attempts` only.
inline constexpr std::size_t kMaxLetterCalls = 16;
inline constexpr std::size_t kMaxLetterCallText = 256;

// Of what an operator says when he decides about one: a sentence, not a file.
inline constexpr std::size_t kMaxOperatorReason = 4u << 10;

// One failed call of the plugin with a letter's event.
struct LetterCall {
  std::int64_t time_ticks = 0;
  StoredClass letter_class = StoredClass::kNone;
  std::string text;  // At most kMaxLetterCallText bytes.
};

// What is known of a letter without its event's payload and its failures: what a group holds in
// memory, or decides by, is part of this.
struct LetterHead {
  Position position;  // Of the event; no two letters of a group have the same.
  std::string stream;
  std::string type;
  Uuid event_id;  // Not unique: a log may hold one id twice.
  std::uint64_t revision = 0;
  std::int64_t created_ticks = 0;
  bool is_json = false;

  StoredState state = StoredState::kHealing;
  StoredClass letter_class = StoredClass::kNone;
  std::int64_t written_ticks = 0;       // When it became a letter.
  std::int64_t since_ticks = 0;         // In this state since.
  std::int64_t due_ticks = 0;           // Of the next call by the host itself; 0: none.
  std::uint32_t step = 0;               // How far its delays have grown.
  std::uint32_t attempts = 0;           // Failed calls.
  std::int64_t first_failed_ticks = 0;  // 0: never called.
  std::int64_t last_failed_ticks = 0;

  // What it counts against the bound in bytes. Set by the store.
  std::uint64_t bytes = 0;
};

// Why an event is a letter.
struct LetterCause {
  std::string reason;             // At most kMaxLetterReason bytes.
  std::vector<LetterCall> calls;  // Oldest first, at most kMaxLetterCalls.
  std::string plugin;             // File name and version of the plugin that was last called, or
  std::string plugin_version;     // of the one that ran when the event was parked without a call.
  Digest32 plugin_digest{};
  std::uint64_t token = 0;  // Fencing token of its runner.
  std::string trace_id;     // 32 and 16 hexadecimal digits, or empty.
  std::string span_id;
};

struct Letter {
  LetterHead head;
  LetterCause cause;
  std::string data;
  std::string metadata;
};

// Events of one type are parked without a call while a hold lasts.
struct LetterHold {
  enum class By : std::uint8_t { kHost = 1, kOperator = 2 };

  std::string type;
  By by = By::kHost;
  std::int64_t since_ticks = 0;
  std::string reason;  // An operator's, or the text of the failure; at most kMaxLetterReason bytes.
};

// An event that is to become a letter when its turn comes, because an operator wants it so.
struct LetterPark {
  Position position;
  std::int64_t since_ticks = 0;
  std::string by;
  std::string reason;
};

// A letter that an operator removed: who it was, and why.
struct LetterDrop {
  Position position;
  std::string stream;
  std::string type;
  Uuid event_id;
  std::uint64_t revision = 0;
  StoredClass letter_class = StoredClass::kNone;
  std::int64_t dropped_ticks = 0;
  std::string by;
  std::string reason;
};

// All letters of a group, counted.
struct LetterTotals {
  std::uint64_t healing = 0;
  std::uint64_t dead = 0;
  std::uint64_t followers = 0;
  std::uint64_t bytes = 0;

  std::uint64_t letters() const { return healing + dead + followers; }
  friend bool operator==(const LetterTotals&, const LetterTotals&) = default;
};

// What a group may keep, all states together.
struct LetterBounds {
  std::uint64_t max_letters = 100'000;
  std::uint64_t max_bytes = 4ull << 30;
};

// Which letters are meant. All conditions hold together; an absent one holds for every letter.
struct LetterFilter {
  std::optional<StoredState> state = {};
  std::optional<StoredClass> letter_class = {};
  std::optional<std::string> stream = {};
  std::optional<std::string> type = {};
  std::optional<std::int64_t> written_before = {};
  std::optional<std::int64_t> written_after = {};
  std::optional<Position> after = {};  // Where the last page ended.
  std::optional<Position> until = {};  // Not beyond it.
  std::optional<std::uint64_t> limit = {};
};

// For people: every name that ParseStoredClass takes, "domain, domain-text, … or by-hand".
std::string StoredClassNames();

// For people: there is none at `position`.
std::string NoLetterText(std::string_view group, Position position);

// What a row takes in the file besides its texts and its payload: names of the stream in an index,
// numbers, check sums, and the tables' own overhead.
inline constexpr std::uint64_t kLetterOverhead = 512;

// What a letter counts against the bound in bytes.
std::uint64_t LetterBytes(const Letter& letter);

// Cuts `letter`'s texts and drops its oldest calls to what the bounds above allow.
void CutLetter(LetterCause* cause);

}  // namespace catchup
