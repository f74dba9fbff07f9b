#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <string_view>

#include "host/ring/host_end.h"
#include "host/ring/runner_end.h"

namespace catchup {

// Events that both sides of a stress test can make from their number alone, so that every byte that
// crosses the ring is compared. Immutable.
class StressEvents {
 public:
  StressEvents() : bytes_(kMaxEventBytes + kOffsets, '\0') {
    std::mt19937_64 random(4711);
    for (std::size_t i = 0; i + 8 <= bytes_.size(); i += 8) {
      const std::uint64_t word = random();
      bytes_.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
    }
  }

  EventView Make(std::uint64_t sequence) const {
    const std::uint64_t mixed = Mix(sequence);
    EventView event;
    event.stream = Slice(mixed, 1 + mixed % 40);
    event.type = Slice(mixed >> 8, (mixed >> 3) % 30);
    event.metadata = Slice(mixed >> 16, mixed % 11 == 0 ? 200 : 0);
    event.data = Slice(mixed >> 24, DataSize(mixed >> 32));
    event.id.bytes[3] = static_cast<std::uint8_t>(mixed);
    event.revision = mixed;
    event.position = {sequence * 10, sequence * 10 - 1};
    event.is_json = (mixed & 1) != 0;
    return event;
  }

  // Empty if the record is the event of its sequence, else what differs.
  std::string Compare(const RecordView& record) const {
    const EventView wanted = Make(record.ticket);
    const EventRecord& body = *record.body;
    if (body.stream_size != wanted.stream.size() || body.type_size != wanted.type.size() ||
        body.metadata_size != wanted.metadata.size() || body.data_size != wanted.data.size()) {
      return "sizes of event " + std::to_string(record.ticket);
    }
    if (body.revision != wanted.revision || body.commit != wanted.position.commit ||
        record.is_json != wanted.is_json || body.id[3] != wanted.id.bytes[3]) {
      return "numbers of event " + std::to_string(record.ticket);
    }
    const char* at = record.bytes;
    for (const std::string_view part : {wanted.stream, wanted.type, wanted.metadata, wanted.data}) {
      if (std::string_view(at, part.size()) != part) {
        return "bytes of event " + std::to_string(record.ticket);
      }
      at += part.size();
    }
    return {};
  }

 private:
  static constexpr std::uint64_t kOffsets = 4096;

  static std::uint64_t Mix(std::uint64_t value) {
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
    return value ^ (value >> 31);
  }

  // Mostly what projections see; now and then one that fills the ring or needs the large region.
  static std::uint64_t DataSize(std::uint64_t mixed) {
    const std::uint64_t choice = mixed % 65536;
    if (choice == 0) return kMaxEventBytes - 4096;
    if (choice < 8) return mixed % kMaxEventBytes / 8;
    if (choice < 64) return mixed % kMaxInlineRecord;
    if (choice < 4096) return mixed % 4096;
    return mixed % 512;
  }

  std::string_view Slice(std::uint64_t mixed, std::uint64_t size) const {
    return std::string_view(bytes_).substr(mixed % kOffsets, size);
  }

  std::string bytes_;
};

// The runner's side: takes events until a stop is asked for, compares each, settles in batches of
// differing size. Returns what was wrong, or nothing.
inline std::string TakeStressEvents(RunnerEnd* runner, const StressEvents& events,
                                    std::uint64_t lines_every) {
  std::uint64_t expected = 1;
  while (!runner->stop_requested()) {
    std::optional<RecordView> last;
    std::uint64_t taken = 0;
    const std::uint64_t batch = 1 + expected % 97;
    while (taken < batch) {
      const auto record = last.has_value() ? runner->PeekBehind(*last) : runner->Peek();
      if (runner->damage() != nullptr) {
        return runner->damage();
      }
      if (!record.has_value()) {
        break;
      }
      if (record->ticket != expected) {
        return "event " + std::to_string(record->ticket) + " after " + std::to_string(expected - 1);
      }
      if (std::string wrong = events.Compare(*record); !wrong.empty()) {
        return wrong;
      }
      if (expected % lines_every == 0) {
        runner->Log(1, "event " + std::to_string(expected));
      }
      last = record;
      ++expected;
      ++taken;
    }
    if (taken == 0) {
      runner->WaitForWork();
      continue;
    }
    runner->Consume(*last);
    runner->Settle(expected - 1);
  }
  return {};
}

}  // namespace catchup
