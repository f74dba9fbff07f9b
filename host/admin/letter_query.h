#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "host/base/status.h"
#include "host/store/letter.h"

namespace catchup {

// Which letters are meant, by name and text: state, class, stream, type, older, newer (durations),
// after (commit:prepare), limit. An option that is not there, or empty, holds for every letter.
//
// kInvalid names the option and what was wanted, as "state ill: wanted healing, dead or follower".
using LetterOptions = std::map<std::string, std::string, std::less<>>;
Result<LetterFilter> ReadLetterFilter(const LetterOptions& options);

// commit:prepare, both of them.
Result<Position> ReadLetterId(std::string_view text);

}  // namespace catchup
