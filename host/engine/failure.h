#pragma once

#include <cstdint>
#include <string_view>

namespace catchup {

// What a call that did not return OK means for its event. Decided once, by the Classifier or by how
// the runner ended; everything behind it goes by the class.
enum class FailureClass : std::uint8_t {
  kDomain,          // The plugin said REJECT: the event can never be applied.
  kDomainText,      // FAILED, and a text rule calls that a matter of the event.
  kInfrastructure,  // RETRY, or a text rule says so: nothing about the event.
  kUnknown,         // FAILED, and nobody can say why.
  kCrash,           // The runner died on it.
  kHang,            // It outlasted its limit.
  kFatal,           // The plugin cannot go on.
  kContract,        // No answer that there is.
  kHeld,            // Never called: its type is held.
  kByHand,          // An operator parked it.
};

// "domain", "domain-text", "infrastructure" … as letters and logs say it.
std::string_view FailureClassName(FailureClass failure);

// A failure that tells a poison event and an outage apart from nothing: the event becomes a letter
// that heals.
constexpr bool IsInDoubt(FailureClass failure) {
  return failure == FailureClass::kDomainText || failure == FailureClass::kUnknown ||
         failure == FailureClass::kCrash || failure == FailureClass::kHang;
}

}  // namespace catchup
