#include "host/ring/contract/probe_record.h"

#include <algorithm>
#include <cstring>

namespace catchup {
namespace {

struct RecordHead {
  char magic[4];
  std::int32_t sender;
  std::uint32_t ok;
  std::uint32_t size;  // Bytes of the text behind it.
  std::uint64_t check;
};
static_assert(sizeof(RecordHead) == 24);

constexpr char kMagic[4] = {'C', 'T', 'P', 'R'};

// FNV-1a over the head, but for the check itself, and the text.
std::uint64_t Check(const RecordHead& head, std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto add = [&](std::string_view bytes) {
    for (const char c : bytes) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
  };
  add({reinterpret_cast<const char*>(&head), offsetof(RecordHead, check)});
  add(text);
  return hash;
}

}  // namespace

std::string EncodeProbeRecord(const ProbeRecord& record, pid_t sender) {
  const std::string_view text = std::string_view(record.text).substr(0, kMaxProbeText);
  RecordHead head{};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  head.sender = sender;
  head.ok = record.ok ? 1 : 0;
  head.size = static_cast<std::uint32_t>(text.size());
  head.check = Check(head, text);
  std::string bytes(sizeof head, '\0');
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes.append(text);
}

std::optional<ProbeRecord> TakeProbeRecord(std::string* bytes, pid_t sender) {
  const std::string_view magic(kMagic, sizeof kMagic);
  for (std::size_t at = bytes->find(magic); at != std::string::npos;
       at = bytes->find(magic, at + 1)) {
    RecordHead head{};
    if (bytes->size() - at < sizeof head) {
      break;
    }
    std::memcpy(&head, bytes->data() + at, sizeof head);
    if (head.sender != sender || head.size > kMaxProbeText) {
      continue;
    }
    if (bytes->size() - at - sizeof head < head.size) {
      continue;  // Its rest may come yet, or it is none.
    }
    std::string text = bytes->substr(at + sizeof head, head.size);
    if (head.check == Check(head, text)) {
      bytes->erase(0, at + sizeof head + head.size);
      return ProbeRecord{head.ok != 0, std::move(text)};
    }
  }
  return std::nullopt;
}

}  // namespace catchup
