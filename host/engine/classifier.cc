#include "host/engine/classifier.h"

#include <utility>

#include "catchup/plugin.h"
#include "host/base/failure_rules.h"

namespace catchup {

std::string_view FailureClassName(FailureClass failure) {
  switch (failure) {
    case FailureClass::kDomain:
      return "domain";
    case FailureClass::kDomainText:
      return "domain-text";
    case FailureClass::kInfrastructure:
      return "infrastructure";
    case FailureClass::kUnknown:
      return "unknown";
    case FailureClass::kCrash:
      return "crash";
    case FailureClass::kHang:
      return "hang";
    case FailureClass::kFatal:
      return "fatal";
    case FailureClass::kContract:
      return "contract";
    case FailureClass::kHeld:
      return "held";
    case FailureClass::kByHand:
      break;
  }
  return "by-hand";
}

Classifier::Classifier()
    : Classifier(TextRules::Of(kDomainRules), TextRules::Of(kInfrastructureRules)) {}

Classifier::Classifier(TextRules domain, TextRules infrastructure)
    : domain_(std::move(domain)), infrastructure_(std::move(infrastructure)) {}

FailureClass Classifier::Classify(std::int32_t status, std::string_view text) const {
  switch (status) {
    case CATCHUP_RETRY:
      return FailureClass::kInfrastructure;
    case CATCHUP_REJECT:
      return FailureClass::kDomain;
    case CATCHUP_FAILED:
      break;
    case CATCHUP_FATAL:
      return FailureClass::kFatal;
    default:
      return FailureClass::kContract;
  }
  if (infrastructure_.Matches(text)) {
    return FailureClass::kInfrastructure;
  }
  return domain_.Matches(text) ? FailureClass::kDomainText : FailureClass::kUnknown;
}

}  // namespace catchup
