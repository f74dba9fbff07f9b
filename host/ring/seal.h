#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "host/base/status.h"

namespace catchup {

// How the host tells what its runner wrote from what something else in that process wrote over it.
//
// A runner shares its address space with a plugin, and a plugin's stray write reaches whatever is
// mapped writable: the outcome ring above all. A small number written over `settled` would be
// believed, and every event up to it lost for good. So each word of that ring which the host acts
// on holds its number together with check bits, each record has a check of its own, and both are
// made with a key that is random and new for every spawn. Found are, but for one in 2^26 of them:
//
//   a number without check bits (small ones, zero, all ones and pointers always, see WordSeal)
//   a changed bit or byte
//   another word of the same ring, another record, or the same record at another place
//   anything from the rings of another spawn
//   an earlier value of the same word: by itself it is right, so the host holds it against the
//     newest it has seen, and the runner, before it writes a word, against what it wrote there last
//
// Of the numbers that a word can hold, only those are believed that the runner can have meant: what
// is settled, called or failed lies within the tickets of the present epoch, and nothing of the
// epoch is done before the runner has said that it takes it.
//
// The runner also holds its private read position and epoch against the shared words made from
// them, and each record against the ticket of the one before, so that a stray write there gives no
// event twice or never. This state lies between guard pages, out of reach of an overrun of the
// heap.
//
// Not found: a plugin that calls into the runner's code, or writes key and word on purpose; a write
// into a record between the host's copy and now, which matters to nobody; a write into the event
// that the plugin is being shown, which is impossible, since the runner's mapping of the event ring
// is read-only; and what a stray write does to the plugin's own effects. The check bits are no
// signature: they stop accidents.
struct RingKey {
  std::uint64_t words[2];
};

// Fresh random bits from the system. Any thread.
Result<RingKey> MakeRingKey();

// The words and records of the outcome ring. Each has a key of its own, derived from the ring's.
enum class Sealed : std::uint64_t {
  kSettled = 1,
  kEventRead = 2,
  kCall = 3,
  kCallTicket = 4,
  kOutcomePublished = 5,
  kSleep = 6,
  kOutcomeRecord = 8,
  kEpoch = 9,
  kDebugLinesDropped = 10,
  kInfoLinesDropped = 11,
  kWarnLinesDropped = 12,
  kErrorLinesDropped = 13,
};

// A word that only grows, as it lies in shared memory: the low bits of its number, and above them
// check bits over the whole number. The uppermost byte is never 0 or 255, so no small number,
// negative number or address of a process is ever taken for a word. Two multiplications and a few
// shifts; any thread.
class WordSeal {
 public:
  static constexpr unsigned kNumberBits = 38;

  WordSeal(const RingKey& key, Sealed what);

  std::uint64_t Close(std::uint64_t number) const {
    const std::uint64_t hash = Hash(number);
    // 254 values for the uppermost byte, 2^18 for the bits below: 2^26 but for a hair.
    const std::uint64_t top = 1 + (((hash >> 32) * 254) >> 32);
    return (top << 56) | ((hash & kLowCheckMask) << kNumberBits) | (number & kNumberMask);
  }

  // The number of `word`, if it is one from `least` to `most` and its check bits say so. Those two
  // must lie less than 2^38 apart: the bits that the word leaves out follow from them.
  std::optional<std::uint64_t> Open(std::uint64_t word, std::uint64_t least,
                                    std::uint64_t most) const {
    const std::uint64_t number = least + ((word - least) & kNumberMask);
    if (number > most || Close(number) != word) [[unlikely]] {
      return std::nullopt;
    }
    return number;
  }

 private:
  static constexpr std::uint64_t kNumberMask = (std::uint64_t{1} << kNumberBits) - 1;
  static constexpr std::uint64_t kLowCheckMask = (std::uint64_t{1} << (56 - kNumberBits)) - 1;

  std::uint64_t Hash(std::uint64_t number) const {
    std::uint64_t hash = (number ^ add_) * kOdd;
    hash ^= hash >> 32;
    hash *= factor_;
    return hash ^ (hash >> 29);
  }

  static constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio.

  std::uint64_t add_;
  std::uint64_t factor_;  // Odd.
};

// The check of an outcome record that begins at byte `offset` of the ring: over its header, with
// the check itself as zero, and its text. Any thread.
class RecordSeal {
 public:
  explicit RecordSeal(const RingKey& key);

  std::uint64_t Check(std::uint64_t offset, const void* header, std::size_t header_size,
                      std::string_view text) const;

 private:
  std::uint64_t start_;
  std::uint64_t factor_;  // Odd.
};

// All of one spawn.
struct RingSeals {
  explicit RingSeals(const RingKey& key);

  WordSeal settled;
  WordSeal event_read;
  WordSeal call;
  WordSeal call_ticket;
  WordSeal epoch;
  WordSeal outcome_published;
  WordSeal sleep;
  std::array<WordSeal, 4> log_lines_dropped;  // By level.
  RecordSeal outcome;
};

}  // namespace catchup
