#pragma once

#include <cstdint>
#include <string_view>

#include "host/base/text_rules.h"
#include "host/engine/failure.h"

namespace catchup {

// Tells the class of a call's answer by its status and, beside FAILED alone, its text. Where rules
// of both kinds match, infrastructure wins: to wait is safe, to write a letter is not. Immutable.
class Classifier {
 public:
  // The built-in rules.
  Classifier();
  Classifier(TextRules domain, TextRules infrastructure);

  // `status` is not OK. A status that does not exist is kContract.
  FailureClass Classify(std::int32_t status, std::string_view text) const;

 private:
  TextRules domain_;
  TextRules infrastructure_;
};

}  // namespace catchup
