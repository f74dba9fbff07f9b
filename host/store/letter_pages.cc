#include "host/store/letter_pages.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>
#include <utility>

#include "host/base/text.h"
#include "host/store/letter_json.h"

namespace catchup {
namespace {

std::string Begin(std::string_view group) {
  std::string out = "{\"group\":";
  AppendJsonString(group, &out);
  return out;
}

// The types that an operator has parked.
using Parked = std::set<std::string, std::less<>>;

Result<Parked> ParkedTypes(LetterReader* reader) {
  Parked parked;
  CATCHUP_RETURN_IF_ERROR(reader->ScanHolds([&](const LetterHold& hold) {
    if (hold.by == LetterHold::By::kOperator) {
      parked.insert(hold.type);
    }
  }));
  return parked;
}

// When the host calls it next; the file has what would be so without the hold.
LetterHead AsHeld(LetterHead head, const Parked& parked) {
  head.due_ticks = parked.contains(head.type) ? 0 : head.due_ticks;
  return head;
}

Status AppendLetter(std::string_view group, LetterView view, const LetterHead& head,
                    const LetterCause& cause, LetterReader* reader, std::string* out) {
  if (view == LetterView::kEvents) {
    CATCHUP_ASSIGN_OR_RETURN(const auto letter, reader->Read(head.position));
    if (!letter) {
      return Status::Corrupt("letter " + FormatPosition(head.position) + " has no event");
    }
    AppendLetterEvent(*letter, out);
    return {};
  }
  *out += '{';
  AppendLetterMembers(group, head, cause, out);
  if (view == LetterView::kDetails) {
    AppendLetterDetails(head, cause, out);
  }
  *out += '}';
  return {};
}

}  // namespace

Result<std::string> LetterPage(std::string_view group, const LetterFilter& filter, LetterView view,
                               LetterReader* reader) {
  LetterFilter part = filter;
  part.limit = std::min(filter.limit.value_or(kPageLetters), kPageLetters);
  CATCHUP_ASSIGN_OR_RETURN(part.until, reader->PlaceBehind(filter.after, kPageLooksAt));
  std::optional<Position> next = part.until;
  CATCHUP_ASSIGN_OR_RETURN(const Parked parked, ParkedTypes(reader));
  std::uint64_t letters = 0;
  std::string out = Begin(group) + ",\"letters\":[";
  const Status listed = reader->List(part, [&](const LetterHead& head, const LetterCause& cause) {
    out += letters++ == 0 ? "\n" : ",\n";
    CATCHUP_RETURN_IF_ERROR(AppendLetter(group, view, parked.empty() ? head : AsHeld(head, parked),
                                         cause, reader, &out));
    if (letters == *part.limit || out.size() >= kPageBytes) {
      next = head.position;
      return Status::Cancelled("the page is full");
    }
    return Status();
  });
  if (!listed.ok() && listed.code() != Status::Code::kCancelled) {
    return listed;
  }
  out += "],\"next\":";
  out += next ? "\"" + FormatPosition(*next) + "\"" : "null";
  if (!filter.after) {
    CATCHUP_ASSIGN_OR_RETURN(const LetterTotals totals, reader->Count());
    out += fmt::format(",\"count\":{}", totals.letters());
  }
  return out + "}";
}

Result<std::optional<std::string>> OneLetter(std::string_view group, Position position,
                                             LetterReader* reader) {
  CATCHUP_ASSIGN_OR_RETURN(const auto letter, reader->Read(position));
  std::string out = "{";
  if (!letter) {
    CATCHUP_ASSIGN_OR_RETURN(const auto drop, reader->FindDrop(position));
    if (!drop) {
      return std::optional<std::string>();
    }
    AppendDropMembers(group, *drop, &out);
  } else {
    CATCHUP_ASSIGN_OR_RETURN(const Parked parked, ParkedTypes(reader));
    AppendLetterMembers(group, AsHeld(letter->head, parked), letter->cause, &out);
    AppendLetterDetails(letter->head, letter->cause, &out);
    out += ",\"event\":";
    AppendLetterEvent(*letter, &out);
  }
  return std::optional(out + "}");
}

Result<std::string> DroppedLetters(std::string_view group, LetterReader* reader) {
  std::string out = Begin(group) + ",\"dropped\":[";
  bool first = true;
  CATCHUP_RETURN_IF_ERROR(reader->ScanDrops([&](const LetterDrop& drop) {
    out += std::exchange(first, false) ? "\n{" : ",\n{";
    AppendDropMembers(group, drop, &out);
    out += '}';
  }));
  return out + "]}";
}

Result<std::string> HeldTypes(std::string_view group, LetterReader* reader) {
  std::string out = Begin(group) + ",\"held\":[";
  bool first = true;
  CATCHUP_RETURN_IF_ERROR(reader->ScanHolds([&](const LetterHold& hold) {
    out += std::exchange(first, false) ? "\n{" : ",\n{";
    AppendHoldMembers(hold, &out);
    out += '}';
  }));
  return out + "]}";
}

}  // namespace catchup
