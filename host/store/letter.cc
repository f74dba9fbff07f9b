#include "host/store/letter.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <utility>

#include "host/base/text.h"

namespace catchup {
namespace {

using StateName = std::pair<StoredState, std::string_view>;
constexpr std::array kStates = {StateName{StoredState::kHealing, "healing"},
                                StateName{StoredState::kDead, "dead"},
                                StateName{StoredState::kFollower, "follower"}};

using ClassName = std::pair<StoredClass, std::string_view>;
constexpr std::array kClasses = {
    ClassName{StoredClass::kDomain, "domain"},   ClassName{StoredClass::kDomainText, "domain-text"},
    ClassName{StoredClass::kUnknown, "unknown"}, ClassName{StoredClass::kCrash, "crash"},
    ClassName{StoredClass::kHang, "hang"},       ClassName{StoredClass::kHeld, "held"},
    ClassName{StoredClass::kByHand, "by-hand"}};

template <typename Table, typename Value>
std::string_view NameOf(const Table& table, Value value) {
  for (const auto& [one, name] : table) {
    if (one == value) {
      return name;
    }
  }
  return {};
}

template <typename Table>
auto ValueOf(const Table& table, std::string_view wanted)
    -> std::optional<typename Table::value_type::first_type> {
  for (const auto& [one, name] : table) {
    if (name == wanted) {
      return one;
    }
  }
  return std::nullopt;
}

}  // namespace

std::string_view StoredStateName(StoredState state) { return NameOf(kStates, state); }

std::string_view StoredClassName(StoredClass letter_class) {
  return letter_class == StoredClass::kInfrastructure ? "infrastructure"
                                                      : NameOf(kClasses, letter_class);
}

std::optional<StoredState> ParseStoredState(std::string_view name) {
  return ValueOf(kStates, name);
}

std::optional<StoredClass> ParseStoredClass(std::string_view name) {
  return ValueOf(kClasses, name);
}

std::string StoredClassNames() {
  std::string names;
  for (const auto& [one, name] : kClasses) {
    names += names.empty() ? "" : one == kClasses.back().first ? " or " : ", ";
    names += name;
  }
  return names;
}

std::string NoLetterText(std::string_view group, Position position) {
  return fmt::format("group {0} has no letter {1}: `catchup dlq list {0}` shows those it has",
                     group, FormatPosition(position));
}

std::uint64_t LetterBytes(const Letter& letter) {
  std::uint64_t bytes = kLetterOverhead + letter.head.stream.size() + letter.head.type.size() +
                        letter.data.size() + letter.metadata.size() + letter.cause.reason.size() +
                        letter.cause.plugin.size() + letter.cause.plugin_version.size();
  for (const LetterCall& call : letter.cause.calls) {
    bytes += call.text.size();
  }
  return bytes;
}

void CutLetter(LetterCause* cause) {
  cause->reason = CutText(cause->reason, kMaxLetterReason);
  if (cause->calls.size() > kMaxLetterCalls) {
    cause->calls.erase(cause->calls.begin(),
                       cause->calls.end() - static_cast<std::ptrdiff_t>(kMaxLetterCalls));
  }
  for (LetterCall& call : cause->calls) {
    call.text = CutText(call.text, kMaxLetterCallText);
  }
}

}  // namespace catchup
