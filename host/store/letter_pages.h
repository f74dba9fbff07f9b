#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "host/base/status.h"
#include "host/store/letter_reader.h"

// Letters as JSON texts of bounded size, so that whoever shows many of them holds few, and a group
// that writes letters meanwhile waits for no long read.
namespace catchup {

enum class LetterView : std::uint8_t {
  kList,     // The members of `dlq list --json`.
  kDetails,  // These and what is known beside: times of its own, each call.
  kEvents,   // The events alone, as event lines.
};

// A page ends at the first of these bounds, but has one letter at least if there is one.
inline constexpr std::uint64_t kPageLetters = 256;
inline constexpr std::uint64_t kPageBytes = 1u << 20;
inline constexpr std::uint64_t kPageLooksAt = 4'096;  // Letters that are meant or not.

// The letters that `filter` means, from the one behind `filter.after` on:
// {"group","letters":[…],"next","count"}. `next` is where the next page begins, as commit:prepare,
// and null behind the last one; a page may be empty and not the last. The first page has `count`,
// of all letters of the group, whatever the filter. A letter whose type an operator has parked has
// no nextTryAt: the host does not call it.
Result<std::string> LetterPage(std::string_view group, const LetterFilter& filter, LetterView view,
                               LetterReader* reader);

// One letter with its details and its event ("event", as an event line), or what is kept of one
// that was dropped. None: neither.
Result<std::optional<std::string>> OneLetter(std::string_view group, Position position,
                                             LetterReader* reader);

// {"group","dropped":[…]}: those that are known to be dropped, the newest first.
Result<std::string> DroppedLetters(std::string_view group, LetterReader* reader);

// {"group","held":[…]}: the types whose events are parked without a call.
Result<std::string> HeldTypes(std::string_view group, LetterReader* reader);

}  // namespace catchup
