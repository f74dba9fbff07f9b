#include "host/daemon/letters/letter_classes.h"

namespace catchup {

StoredClass ClassOf(FailureClass failure) {
  switch (failure) {
    case FailureClass::kDomain:
      return StoredClass::kDomain;
    case FailureClass::kDomainText:
      return StoredClass::kDomainText;
    case FailureClass::kInfrastructure:
      return StoredClass::kInfrastructure;
    case FailureClass::kCrash:
      return StoredClass::kCrash;
    case FailureClass::kHang:
      return StoredClass::kHang;
    case FailureClass::kHeld:
      return StoredClass::kHeld;
    case FailureClass::kByHand:
      return StoredClass::kByHand;
    case FailureClass::kUnknown:
    case FailureClass::kFatal:
    case FailureClass::kContract:
      break;
  }
  return StoredClass::kUnknown;
}

FailureClass FailureOf(StoredClass letter_class) {
  switch (letter_class) {
    case StoredClass::kDomain:
      return FailureClass::kDomain;
    case StoredClass::kDomainText:
      return FailureClass::kDomainText;
    case StoredClass::kCrash:
      return FailureClass::kCrash;
    case StoredClass::kHang:
      return FailureClass::kHang;
    case StoredClass::kHeld:
      return FailureClass::kHeld;
    case StoredClass::kByHand:
      return FailureClass::kByHand;
    case StoredClass::kNone:
    case StoredClass::kUnknown:
    case StoredClass::kInfrastructure:
      break;
  }
  return FailureClass::kUnknown;
}

StoredState StoredOf(LetterState state) {
  switch (state) {
    case LetterState::kHealing:
      return StoredState::kHealing;
    case LetterState::kDead:
      return StoredState::kDead;
    case LetterState::kFollower:
      break;
  }
  return StoredState::kFollower;
}

LetterState StateOf(StoredState state) {
  switch (state) {
    case StoredState::kHealing:
      return LetterState::kHealing;
    case StoredState::kDead:
      return LetterState::kDead;
    case StoredState::kFollower:
      break;
  }
  return LetterState::kFollower;
}

}  // namespace catchup
