#include "host/ring/seal.h"

#include <cstring>

#include "host/base/random.h"

namespace catchup {
namespace {

// A finaliser with full avalanche: every bit of the result depends on every bit of `value`.
std::uint64_t Mix(std::uint64_t value) {
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9;
  value ^= value >> 27;
  value *= 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

std::uint64_t Derive(const RingKey& key, Sealed what, int word) {
  return Mix(key.words[word] + Mix(static_cast<std::uint64_t>(what)));
}

}  // namespace

Result<RingKey> MakeRingKey() {
  RingKey key{};
  for (std::uint64_t& word : key.words) {
    word = RandomNumber();
  }
  return key;
}

WordSeal::WordSeal(const RingKey& key, Sealed what)
    : add_(Derive(key, what, 0)), factor_(Derive(key, what, 1) | 1) {}

RecordSeal::RecordSeal(const RingKey& key)
    : start_(Derive(key, Sealed::kOutcomeRecord, 0)),
      factor_(Derive(key, Sealed::kOutcomeRecord, 1) | 1) {}

std::uint64_t RecordSeal::Check(std::uint64_t offset, const void* header, std::size_t header_size,
                                std::string_view text) const {
  std::uint64_t hash = start_ ^ offset;
  const auto add = [&](const void* bytes, std::size_t size) {
    const auto* at = static_cast<const char*>(bytes);
    while (size != 0) {
      std::uint64_t word = 0;
      const std::size_t taken = size < sizeof word ? size : sizeof word;
      std::memcpy(&word, at, taken);
      hash = (hash ^ word) * factor_;
      hash ^= hash >> 32;
      at += taken;
      size -= taken;
    }
  };
  add(header, header_size);
  add(text.data(), text.size());
  return Mix(hash);
}

RingSeals::RingSeals(const RingKey& key)
    : settled(key, Sealed::kSettled),
      event_read(key, Sealed::kEventRead),
      call(key, Sealed::kCall),
      call_ticket(key, Sealed::kCallTicket),
      epoch(key, Sealed::kEpoch),
      outcome_published(key, Sealed::kOutcomePublished),
      sleep(key, Sealed::kSleep),
      log_lines_dropped{
          WordSeal(key, Sealed::kDebugLinesDropped), WordSeal(key, Sealed::kInfoLinesDropped),
          WordSeal(key, Sealed::kWarnLinesDropped), WordSeal(key, Sealed::kErrorLinesDropped)},
      outcome(key) {}

}  // namespace catchup
